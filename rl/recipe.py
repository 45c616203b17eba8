"""The recipe of a run: policy, cold start, query filter, SAPO, evaluation, report. `rl.run` loads it when the settings are checked."""

import asyncio
import os
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from transformers.utils.logging import disable_progress_bar

from distill.conversation_sources import corpus, imitated_by
from distill.imitated import Imitation
from distill.off_policy_run import check_modes, check_tools
from distill.on_policy import build_objective, build_scorer, build_signal, check_teachers, scorer_preload, teacher_of_task
from distill.preference_pairs import read_pairs
from distill.teacher_checkpoints import untrained_teacher
from rewards.isolation import RewardPool
from rewards.plugins import load_plugin
from rl.assembly import build_frozen, build_generator, build_group_runner, build_learner, engine_preload, tool_runner
from rl.checkpoint import Checkpoint, newest_checkpoint
from rl.cluster import Cluster, RayFrozenModel, RayGenerator, RayLearner, RayObject
from rl.config.error import ConfigError
from rl.config.processes import gpu_shortage, processes, this_machine
from rl.config.settings import RunSettings
from rl.grading import Grader
from rl.interruption import Interruption
from rl.policy import build_tiny_policy, policy_key, read_weights, resolve_policy
from rl.records.progress import Progress, seconds_since_start
from rl.records.run_folder import RunFolder
from rl.records.run_records import Records
from rl.report.page import write_report
from rl.session import Session
from rl.signal import SapoSignal
from rl.task_pools import filtered_pools
from rl.task_prompts import check_prompts
from rl.task_rewards import check_task_rewards
from rl.training_once import TrainingOnce
from rollouts.render import Renderer
from tasks.build import Task, build_task, most_images


class Recipe:
    """One run, its stages in order. `run` gives the exit code: 0 done, 130 ended by the user."""

    def __init__(self, settings: RunSettings, folder: RunFolder) -> None:
        self._settings = settings
        self._folder = folder
        _check_gpus(settings)
        for plugin in settings.rewards.plugins:
            load_plugin(plugin)
        if settings.distillation.teachers:
            teacher_of_task(settings)
        self._tasks = {name: build_task(name, task, settings.seed) for name, task in settings.tasks.items()}
        check_task_rewards(self._tasks)
        filtered_pools(settings, self._tasks)  # One that cannot be filled is told now, not after the cold start.
        if settings.method == "off_policy_distill":
            check_tools(settings, self._tasks)
        self._imitated = _imitated(self._tasks, settings)
        data = settings.preferences.data
        self._pairs = read_pairs(data) if settings.method == "dpo" and data is not None else []
        self._checkpoint: Checkpoint | None = None

    async def run(self) -> int:
        settings = self._settings
        disable_progress_bar()
        with Progress(settings.name, head_start=seconds_since_start()) as display:
            interruption = Interruption(display.note)
            with Cluster(not torch.cuda.is_available(), settings.gpu_share) as cluster:
                await self._stages(cluster, display, interruption)
        if settings.records.report and not interruption.asked:
            display.note(f"report {write_report(self._folder)}")
        return 130 if interruption.asked else 0

    async def _stages(self, cluster: Cluster, display: Progress, interruption: Interruption) -> None:
        settings = self._settings
        for name, task in self._tasks.items():
            if task.bad_rows:
                row = task.bad_rows[0]
                display.note(f"tasks.{name}: {len(task.bad_rows)} rows were skipped, the first is {row.where}: {row.reason}")
        self._checkpoint = newest_checkpoint(self._folder.path / "checkpoints", display.note)
        last_step = self._checkpoint.progress.next_step if self._checkpoint else 0
        generator = RayGenerator(cluster.actors(settings.rollout.replicas, preload=engine_preload(settings.rollout.engine)))
        ranks = cluster.actors(settings.learner.ranks, threads=settings.learner.threads, preload="rl.training.learner", group=True)
        trainer = RayObject(ranks)
        with Records(self._folder, settings.records.trackers, last_step) as records:
            once = TrainingOnce(
                settings, self._tasks, self._imitated, self._pairs, self._folder, cluster, trainer, records, display, self._max_images()
            )
            untrained = _untrained(settings, self._imitated)
            check_prompts(self._tasks, Renderer(untrained), settings.rollout.max_model_len)
            self._check_teachers(untrained)
            first = self._checkpoint.policy if self._checkpoint else untrained
            # An engine takes long to start and little to be given other weights: it starts while the cold start trains.
            start, _ = await asyncio.gather(
                once.starting_policy(untrained),
                generator.start(build_generator(settings, first, self._max_images())),
            )
            if self._checkpoint is None and start != first:
                await generator.publish(read_weights(start), 0)
            teachers = await once.teachers(start) if settings.uses_teachers else {}
            await self._learn(start, teachers, generator, once, interruption)

    async def _learn(
        self, start: Path, teachers: Mapping[str, Path], generator: RayGenerator, once: TrainingOnce, interruption: Interruption
    ) -> None:
        cluster, trainer = once.cluster, once.trainer
        settings = self._settings
        renderer = Renderer(start)
        policy = self._checkpoint.policy if self._checkpoint else start
        starting = []
        if settings.uses_loop:
            starting.append(trainer.start(build_learner(settings, policy, renderer, build_objective(settings, start, teachers))))
        reference = None
        if settings.objective.reference.coefficient > 0 and settings.uses_loop:
            reference = RayFrozenModel(cluster.actors(1, preload="rl.training.frozen")[0])
            starting.append(reference.start(build_frozen(settings, start, renderer)))
        scoring = teachers if settings.uses_loop else {}
        scorers = {name: RayFrozenModel(cluster.actors(1, preload=scorer_preload(settings, name))[0]) for name in scoring}
        starting += [
            scorer.start(build_scorer(settings, name, teachers[name], start, renderer, self._max_images()))
            for name, scorer in scorers.items()
        ]
        await asyncio.gather(*starting)
        rewards = settings.rewards
        pool = RewardPool(rewards.workers, rewards.timeout_s, rewards.memory_mib, rewards.plugins)
        async with pool, tool_runner(settings) as runner:
            rollout = settings.rollout
            grader = Grader(pool, coin_flip=rewards.coin_flip, over_limit=rollout.over_limit, penalty=rollout.over_limit_penalty)
            training, evaluating = (
                build_group_runner(settings, generator, renderer, runner, temperature)
                for temperature in (rollout.temperature, settings.evaluation_temperature)
            )
            learner = RayLearner(trainer, generator)
            rewarded = SapoSignal(settings.objective.advantage, settings.rollout.max_tokens, reference, keep_ungraded=bool(scorers))
            signal = build_signal(settings, rewarded, start, scorers)
            session = Session(
                settings, self._tasks, training, evaluating, learner, signal, grader, renderer, once.records, once.display, interruption
            )
            if settings.uses_loop:
                await session.reinforce(policy_key(start), self._checkpoint)
            else:
                await session.evaluate_first()
                began = time.monotonic()
                result = await once.in_place_of_the_loop(start, teachers, session, pool)
                await generator.publish(read_weights(result), 1)
                await session.evaluate(1, "after", train_s=time.monotonic() - began)
        await generator.close()

    def _check_teachers(self, student: Path) -> None:
        """Before anything is trained: training changes neither token ids nor patches."""
        settings = self._settings
        if not settings.uses_teachers:
            return
        checkpoints = {
            name: untrained_teacher(settings, name, teacher, student)
            for name, teacher in settings.distillation.teachers.items()
            if teacher.server is None
        }
        if settings.uses_loop:
            check_teachers(settings, student, checkpoints, self._tasks)
        else:
            check_modes(settings, student, checkpoints)

    def _max_images(self) -> int:
        return max(1, *(most_images(task, self._settings.rollout.limits.calls) for task in self._tasks.values()))


def _check_gpus(settings: RunSettings) -> None:
    """Raises `ConfigError` where the processes do not fit on this machine's GPUs; those of a cluster are counted later."""
    gpus = torch.cuda.device_count()
    if gpus and not os.environ.get("RAY_ADDRESS"):
        actors = processes(settings, None, replace(this_machine(), gpus=gpus))
        if shortage := gpu_shortage(settings, actors, gpus):
            raise ConfigError(shortage)


def _imitated(tasks: Mapping[str, Task], settings: RunSettings) -> Imitation:
    """What the cold start imitates, and a tiny policy's tokenizer is made from."""
    if not (settings.cold_start.enabled or settings.policy.path is None or settings.further_supervised_s is not None):
        return []
    return imitated_by(settings.cold_start, tasks)


def _untrained(settings: RunSettings, imitated: Imitation) -> Path:
    if settings.policy.path is not None:
        return resolve_policy(settings.policy.path)
    return build_tiny_policy(settings.policy.tiny, corpus(imitated), settings.seed, settings.cache)
