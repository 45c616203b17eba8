"""`backend=verl`: the run that the settings describe, on verl's trainer."""

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from rl.config.error import ConfigError
from rl.config.settings import RunSettings
from rl.integrations.verl.compose import DataFiles, compose
from rl.integrations.verl.data import batches_in_order, write_data
from rl.integrations.verl.environment import run_environment
from rl.integrations.verl.limits import notes
from rl.integrations.verl.resources import resource_plan
from rl.task_rewards import check_task_rewards
from tasks.build import Task, build_task
from tasks.mixture import slots

if TYPE_CHECKING:
    from omegaconf import DictConfig


def run(settings: RunSettings) -> None:
    """Validates everything, writes the data, and trains; with `dry_run` it only validates and prints. Raises `ConfigError`."""
    on_cpu = not torch.cuda.is_available()
    os.environ.update(run_environment(settings, on_cpu=on_cpu))
    folder = settings.runs / settings.name
    files = DataFiles(folder / "data" / "train.parquet", folder / "data" / "heldout.parquet")
    config = compose(settings, files, on_cpu=on_cpu)
    tasks = {name: build_task(name, task, settings.seed) for name, task in settings.tasks.items()}
    check_task_rewards(tasks)
    check_rewards(tasks)
    if settings.dry_run:
        print(dry_run_text(settings, config, on_cpu=on_cpu))
        return
    sources = {name: tasks[name].train for name in settings.weights}
    shares = slots(settings.weights, settings.loop.groups_per_batch)
    write_data(batches_in_order(sources, shares, settings.loop.steps), files.train)
    write_data((problem for task in tasks.values() for problem in task.heldout), files.heldout)
    (folder / "verl.yaml").write_text(config_yaml(config))
    _train(config)


def dry_run_text(settings: RunSettings, config: "DictConfig", *, on_cpu: bool) -> str:
    remarks = "\n".join(f"- {note}" for note in notes(settings))
    return f"{config_yaml(config)}\n{resource_plan(settings, on_cpu=on_cpu)}\n\nOtherwise than with backend=local:\n{remarks}"


def config_yaml(config: "DictConfig") -> str:
    from omegaconf import OmegaConf

    return OmegaConf.to_yaml(config)


def check_rewards(tasks: Mapping[str, Task]) -> None:
    """Raises `ConfigError` for a reward that needs what verl does not hand on, and for problems with tools."""
    from rewards.mixture import check_spec, spec_of

    for name, task in tasks.items():
        problem = task.heldout[0]
        if problem.tools:
            raise ConfigError(
                f"backend=verl: tasks.{name} has tools ({', '.join(problem.tools)}), and only our own loop plays turns with tools: run it "
                f"with backend=local, or set tasks.{name}=null"
            )
        for reward in check_spec(spec_of(problem.reward), problem.target):
            if reward.images:
                raise ConfigError(f"backend=verl: tasks.{name}: reward {reward.name!r} reads images, which verl does not hand to rewards")


def _train(config: "DictConfig") -> None:
    from verl.trainer.main_ppo import TaskRunnerV1, run_ppo

    run_ppo(config, TaskRunnerV1)
