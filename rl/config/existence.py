"""Whether what the settings name exists: families, files, plug-ins, rewards, tools, trackers, checkpoints; and a slot for every task."""

import difflib
import random
from collections.abc import Iterator
from pathlib import Path

from rewards.errors import RewardError
from rewards.mixture import check_spec, check_target, spec_of
from rewards.plugins import load_plugin
from rl.config.checkpoint_folder import checkpoint_fault
from rl.config.error import ConfigError
from rl.config.keys import KeyPath
from rl.config.settings import STAGE, RunSettings
from rl.config.task_settings import TaskSettings
from rl.records.trackers import check_trackers
from rollouts.tools import registry as tools
from tasks.errors import TaskError
from tasks.families import make_family
from tasks.mixture import slots
from tasks.plugins import PluginError
from tasks.table import PREFIX as HUB


def missing(settings: RunSettings) -> Iterator[tuple[KeyPath, str]]:
    """The keys whose value names nothing or does not fit, each with the reason. Imports the plug-ins, which registers what they hold."""
    for spec in settings.rewards.plugins:
        try:
            load_plugin(spec)
        except RewardError as error:
            yield ("rewards", "plugins"), str(error)
    try:
        slots(settings.weights, settings.loop.groups_per_batch)
    except TaskError as error:
        yield ("loop", "groups_per_batch"), str(error)
    try:
        check_trackers(settings.records.trackers)
    except ModuleNotFoundError as error:
        yield ("records", "trackers"), str(error)
    yield from _missing_tools(settings)
    for name, task in settings.tasks.items():
        for path, reason in _missing_in_task(task):
            yield ("tasks", name, *path), reason
    for section, data in (("cold_start", settings.cold_start.data), ("preferences", settings.preferences.data)):
        if data is not None and not data.startswith(HUB) and not Path(data).expanduser().exists():
            yield (section, "data"), _no_file(Path(data))
    for name, teacher in settings.distillation.teachers.items():
        for source in teacher.sources:
            if source not in settings.weights:
                trained = f"no task {source!r} is trained on; such tasks are {', '.join(settings.weights)}"
                yield ("distillation", "teachers", name, "sources"), trained
    if settings.backend != "verl":  # Its folders are the cluster's.
        yield from _broken_checkpoints(settings)


def check_cold_start(settings: RunSettings) -> None:
    """Raises `ConfigError` where the run has a cold start and nothing to imitate in it."""
    cold = settings.cold_start
    if cold.enabled and cold.data is None and not any(task.has_demonstrations for task in settings.tasks.values()):
        raise ConfigError(
            "cold_start: no task has worked answers to imitate (data and gym:<name> have none); give some as cold_start.data=<file>, or "
            "leave it out: cold_start.enabled=false policy.path=<a trained checkpoint>"
        )


def _broken_checkpoints(settings: RunSettings) -> Iterator[tuple[KeyPath, str]]:
    checkpoints: dict[KeyPath, str | None] = {("policy", "path"): settings.policy.path}
    for name, teacher in settings.distillation.teachers.items():
        if teacher.server is None:
            checkpoints["distillation", "teachers", name, "path"] = teacher.path
    for key, checkpoint in checkpoints.items():
        if checkpoint is not None and not checkpoint.startswith(STAGE) and (fault := checkpoint_fault(checkpoint)):
            yield key, fault


def _missing_tools(settings: RunSettings) -> Iterator[tuple[KeyPath, str]]:
    """They are first used after the cold start: too late for a name that was mistyped."""
    rollout = settings.rollout.tools
    for place in rollout.plugins:
        try:
            tools.load_plugin(place)
        except PluginError as error:
            yield ("rollout", "tools", "plugins"), str(error)
    for name, values in rollout.settings.items():
        try:
            tools.check_settings(tools.find(name), values)
        except PluginError as error:
            yield ("rollout", "tools", "settings", name), str(error)
    for task_name, task in settings.tasks.items():
        for name in task.tools:
            try:
                tools.find(name)
            except PluginError as error:
                yield ("tasks", task_name, "tools"), str(error)


def _missing_in_task(task: TaskSettings) -> Iterator[tuple[KeyPath, str]]:
    try:
        family = make_family(task.family, task.options) if task.family is not None else None
    except TaskError as error:
        yield ("options" if task.options and _is_family(task.family) else "family",), str(error)
        return
    for key, reward in (("reward", task.reward), ("heldout_reward", task.heldout_reward)):
        try:
            # A family's own reward grades what it makes; asking would import sympy.
            if reward is not None and family is not None:
                check_target(reward, family.make(random.Random(0)).target)
            elif reward is not None:
                check_spec(spec_of(reward))
        except TaskError as error:
            yield ("family",), str(error)
        except RewardError as error:
            yield (key,), str(error)
    if task.data is not None and not task.data.startswith(HUB) and not Path(task.data).expanduser().exists():
        yield ("data",), _no_file(Path(task.data))


def _is_family(name: str | None) -> bool:
    """True when the family is there, so that a mistake must be in its options."""
    try:
        make_family(name or "", {})
    except TaskError:
        return False
    return True


def _no_file(path: Path) -> str:
    folder = path.expanduser().parent
    if not folder.is_dir():
        return f"there is no file {path}: no folder {folder} seen from {Path.cwd()}"
    near = difflib.get_close_matches(path.name, [other.name for other in folder.iterdir()], n=1)
    return f"there is no file {path}" + (f"; did you mean {folder / near[0]}?" if near else f" seen from {Path.cwd()}")
