"""Reinforcement learning from a given policy to the last evaluation: what `rl.run` does after the cold start."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from rewards.judge.budget import spent
from rl.checkpoint import Checkpoint, Progress, write_checkpoint
from rl.config.settings import RunSettings
from rl.evaluate import attempt_all, check_ungraded
from rl.graded import GradedGroup
from rl.grading import Grader
from rl.interruption import Interruption
from rl.loop import StepDone, TrainedPolicy, train
from rl.objectives.advantages import AdvantageKind, group_advantages
from rl.query_filter import graders, kept_problems, pass_rates, recorded_rates, table_key, waves
from rl.records.evaluation_record import Evaluation, Stage, score_groups
from rl.records.json_lines import replace_bytes
from rl.records.progress import seconds_since_start
from rl.records.rollout_records import RecordedRollout
from rl.records.run_records import Records
from rl.records.stats import StepGroups, StepTimes, judge_stats, learner_stats, step_stats
from rl.signal import Signal
from rl.stream import GroupStream
from rl.task_pools import filtered_pools
from rollouts.group import GroupRunner
from rollouts.render import Renderer
from tasks.build import Task, training_problems
from tasks.mixture import slots
from tasks.problem import Problem
from tasks.source import PoolSource, Source


class Display(Protocol):
    """What the person at the terminal is shown; see `rl.records.progress`."""

    def stage(self, name: str, total: int) -> None: ...

    def advance(self, amount: int = 1) -> None: ...

    def step(self, metrics: Mapping[str, float]) -> None: ...

    def evaluation(self, accuracies: Mapping[str, float | None]) -> None: ...

    def note(self, text: str) -> None: ...


class Session:
    """`policy_key` says which policy it starts from, by content. An interruption ends training after the step, with a checkpoint."""

    def __init__(
        self,
        settings: RunSettings,
        tasks: Mapping[str, Task],
        training: GroupRunner,
        evaluating: GroupRunner,
        learner: TrainedPolicy,
        signal: Signal,
        grader: Grader,
        renderer: Renderer,
        records: Records,
        display: Display,
        interruption: Interruption,
    ) -> None:
        self._settings = settings
        self._tasks = tasks
        self._training = training
        self._evaluating = evaluating
        self._learner = learner
        self._signal = signal
        self._grader = grader
        self._renderer = renderer
        self._records = records
        self._display = display
        self._interruption = interruption
        self._train_s = 0.0
        self._sampled_at = self._graded_at = 0.0

    async def reinforce(self, policy_key: str, checkpoint: Checkpoint | None) -> None:
        if checkpoint is not None:
            await self._learner.load(checkpoint.folder)
            await self._learner.publish(checkpoint.progress.next_step)
            self._train_s = checkpoint.progress.train_s
            self._display.note(f"continues from {checkpoint.folder}")
        await self.evaluate_first()
        sources = await self._sources(None if checkpoint else policy_key)
        done = checkpoint.progress if checkpoint else Progress(0, {}, 0.0)
        last = await self._train(sources, done)
        if last == self._settings.loop.steps and not self._interruption.asked:
            await self.evaluate(last, "after")

    async def answered(self, number: int, samples: int) -> list[GradedGroup]:
        """Graded answers to `number` training problems of each task, or to all that a pool has. Raises where too few can be graded."""
        problems = [problem for task in self._tasks.values() for problem in training_problems(task, number)]
        self._display.stage("answers to compare", len(problems))

        async def attempt(problem: Problem, samples: int) -> GradedGroup:
            group = await self._attempt(self._training, problem, samples, "answered", training=True)
            self._display.advance()
            return group

        groups = await attempt_all(problems, samples, attempt, self._in_flight(samples))
        check_ungraded(groups, self._settings.rewards.max_ungraded_share, "the answers to compare")
        return list(groups)

    async def _sources(self, policy_key: str | None) -> dict[str, Source]:
        """What is trained on: each task's pool without the queries that the filter drops, or all it has.

        The policy of that key is sampled; without one, the weights are a checkpoint's and what the run recorded counts.
        """
        settings = self._settings.query_filter
        if not settings.enabled:
            return {name: self._tasks[name].train for name in self._settings.weights}
        pools = filtered_pools(self._settings, self._tasks)
        problems = [problem for pool in pools.values() for problem in pool]
        self._display.stage("query filter", len(problems))
        recorded = self._records.folder.path / "pass_rates.jsonl"
        if policy_key is None:
            rates = recorded_rates(problems, recorded)
        else:
            table = self._settings.cache / "pass_rates" / f"{self._table_key(policy_key, problems)}.jsonl"
            limit = self._settings.rewards.max_ungraded_share
            in_flight = self._in_flight(sum(waves(settings)[:2]))
            rates = await pass_rates(problems, settings, self._filter_attempt, table, limit, in_flight, self._display.advance)
            replace_bytes(recorded, table.read_bytes())
        kept = kept_problems(pools, rates, settings)
        counts = ", ".join(f"{name} {len(left)} of {len(pools[name])}" for name, left in kept.items())
        self._display.note(f"queries kept: {counts}")
        return {name: PoolSource(name, tuple(left), self._settings.seed) for name, left in kept.items()}

    def _table_key(self, policy_key: str, problems: Sequence[Problem]) -> str:
        rollout, settings = self._settings.rollout, self._settings.query_filter
        how = self._training.sampling
        manner = f"{how} {rollout.limits} {rollout.tools} {rollout.max_model_len} {settings.drop_unsolved} {graders(problems)}"
        return table_key(policy_key, problems, waves(settings), manner)

    async def _train(self, sources: Mapping[str, Source], done: Progress) -> int:
        settings = self._settings
        loop = settings.loop
        finished = done.next_step

        def check(arrived: Sequence[GradedGroup]) -> None:
            check_ungraded(arrived, settings.rewards.max_ungraded_share, f"step {finished + 1}")

        stream = GroupStream(
            sources,
            slots(settings.weights, loop.groups_per_batch),
            self._train_attempt,
            max_lag=loop.max_lag,
            refill=loop.refill,
            max_refills=loop.max_refills,
            needs_signal=not settings.distillation.teachers,
            positions=done.positions,
            check=check,
        )
        self._display.stage("reinforcement learning" if settings.uses_rewards else "on-policy distillation", loop.steps)
        self._display.advance(done.next_step)

        async def after_step(step: StepDone) -> bool:
            nonlocal finished
            finished = step.step + 1
            self._log(step, finished)
            ends = self._interruption.asked or finished == loop.steps
            if finished % settings.evaluation.every == 0 and not ends:
                await self.evaluate(finished, "during")
                ends = self._interruption.asked
            if ends or finished % settings.checkpoint.every == 0:
                await self._checkpoint(Progress(finished, dict(stream.positions), self._train_s))
            return not ends

        try:
            with self._interruption.deferred():
                await train(stream, self._signal, self._learner, range(done.next_step, loop.steps), after_step)
        finally:
            await stream.close()
        return finished

    async def _checkpoint(self, progress: Progress) -> None:
        root = self._records.folder.path / "checkpoints"
        written = await write_checkpoint(root, progress, self._learner.save, self._settings.checkpoint.keep)
        self._display.note(f"checkpoint {written.folder}")

    async def evaluate_first(self) -> None:
        """The policy that training starts from; what a process that was ended has evaluated already is only shown."""
        made = self._records.folder.evaluations()
        if made:
            self._display.evaluation(_accuracies(made[0]))
        else:
            await self.evaluate(0, "before")

    async def evaluate(self, step: int, stage: Stage, train_s: float | None = None) -> None:
        """Every held-out problem; `train_s` are the seconds trained so far, where this session has not counted them."""
        settings = self._settings.evaluation
        samples = settings.samples if stage == "during" else settings.final_samples
        problems = [problem for task in self._tasks.values() for problem in task.heldout]
        if stage != "during":
            self._display.stage(f"evaluation {stage} training", len(problems))

        async def attempt(problem: Problem, samples: int) -> GradedGroup:
            group = await self._attempt(self._evaluating, problem, samples, "evaluation", training=False)
            if stage != "during":
                self._display.advance()
            return group

        groups = await attempt_all(problems, samples, attempt, self._in_flight(samples))
        check_ungraded(groups, self._settings.rewards.max_ungraded_share, f"the evaluation after step {step}")
        evaluation = Evaluation(step, stage, self._train_s if train_s is None else train_s, score_groups(groups))
        self._records.log_evaluation(evaluation, ks=(samples,))
        self._display.evaluation(_accuracies(evaluation))

    def _in_flight(self, samples: int) -> int:
        """As many problems as the engines can hold, and as many again waiting."""
        rollout = self._settings.rollout
        return max(1, 2 * rollout.replicas * rollout.max_num_seqs // samples)

    async def _train_attempt(self, problem: Problem, position: int) -> GradedGroup:
        return await self._attempt(self._training, problem, self._settings.rollout.group_size, f"train/{position}", training=True)

    async def _filter_attempt(self, problem: Problem, samples: int, wave: int) -> GradedGroup:
        return await self._attempt(self._training, problem, samples, f"filter/{wave}" if wave else "filter", training=False)

    async def _attempt(self, runner: GroupRunner, problem: Problem, size: int, stream: str, *, training: bool) -> GradedGroup:
        named = f"{self._settings.seed}/{stream}"
        group = await runner.run(problem, size, named)
        self._sampled_at = time.monotonic()
        graded = await self._grader.grade_group(group, named, training=training)
        if not self._graded_at:
            self._display.note(f"first graded rollout {seconds_since_start():.1f} s after the program started")
        self._graded_at = time.monotonic()
        return graded

    def _log(self, step: StepDone, finished: int) -> None:
        seconds = step.seconds
        self._train_s += seconds.total
        grading = min(seconds.take, max(0.0, self._graded_at - self._sampled_at))
        teacher_s = step.data.teacher_s
        batch_s = seconds.signal - teacher_s
        times = StepTimes(seconds.total, seconds.take - grading, grading, batch_s, seconds.update, seconds.publish, teacher_s)
        groups = StepGroups(step.batch.groups, step.batch.dropped)
        report = step.report
        metrics = step_stats(groups, report.version - 1, times) | learner_stats(report.version, report.grad_norm, report.stats)
        metrics |= judge_stats(spent())
        self._records.log(finished, metrics)
        self._display.advance()
        self._display.step(metrics)
        if finished % self._settings.records.rollouts_every == 0 or finished == 1:
            self._records.write_rollouts(
                finished, _recorded(step, self._settings.records.rollouts_per_task, self._settings.objective.advantage), self._renderer.text
            )


def _accuracies(evaluation: Evaluation) -> dict[str, float | None]:
    return {task: evaluation.accuracy(task) for task in evaluation.tasks}


def _recorded(step: StepDone, per_task: int, kind: AdvantageKind) -> Iterator[RecordedRollout]:
    """The first groups of each task in the batch, with their advantages."""
    seen: Counter[str] = Counter()
    for group in step.batch.groups:
        seen[group.problem.source] += 1
        if seen[group.problem.source] > per_task:
            continue
        advantages = iter(group_advantages(group.rewards, kind))
        for member in group.members:
            yield RecordedRollout(member.rollout, member.outcome, None if member.reward is None else next(advantages))
