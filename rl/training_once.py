"""Training done once, not in the loop: cold starts, of policy and teachers, and the methods that stand in the loop's place."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from distill.cold_start import SupervisedTraining, cold_start, further_supervised
from distill.imitated import Imitation
from distill.off_policy_run import teachers_conversations
from distill.own_pairs import own_pairs
from distill.preference_pairs import Pair, text_pair
from distill.preference_training import PreferenceReport, PreferenceTrainer
from distill.resumable import ReportT, ResumableTraining
from distill.supervised import SupervisedReport
from distill.teacher_checkpoints import teacher_checkpoint
from rewards.isolation import RewardPool
from rl.assembly import softmax, uses_bfloat16
from rl.cluster import Cluster, RayObject
from rl.config.settings import RunSettings
from rl.policy import copy_policy
from rl.records.progress import Progress
from rl.records.run_folder import RunFolder, TrainingStage
from rl.records.run_records import Records
from rl.session import Session
from rollouts.render import Renderer
from tasks.build import Task
from tasks.errors import TaskError


@dataclass(frozen=True, slots=True)
class TrainingOnce:
    """What such training works with: `trainer` is the actor that it runs in, and no problem's rollout has more than `max_images`.

    `pairs` are those of the user's data.
    """

    settings: RunSettings
    tasks: dict[str, Task]
    imitated: Imitation
    pairs: Sequence[Pair]
    folder: RunFolder
    cluster: Cluster
    trainer: RayObject
    records: Records
    display: Progress
    max_images: int

    async def starting_policy(self, untrained: Path) -> Path:
        """What the run's method starts from, and a reference term refers to: after the cold start, which is all that `sft` itself does."""
        return untrained if self.settings.method == "sft" else await self._cold_start(untrained)

    async def teachers(self, student: Path) -> dict[str, Path]:
        """The checkpoint of each teacher that is not behind a server."""
        found = {}
        for name, teacher in self.settings.distillation.teachers.items():
            if teacher.server is None:
                self.display.stage(f"teacher {name}", teacher.cold_start.steps)
                found[name] = await teacher_checkpoint(self.settings, name, teacher, self.tasks, student, self._supervised(None))
        return found

    async def in_place_of_the_loop(self, start: Path, teachers: Mapping[str, Path], session: Session, pool: RewardPool) -> Path:
        """The policy that the run's method makes of `start`, in the run's folder."""
        settings, folder = self.settings, self.folder.path / "policy"
        if settings.further_supervised_s is not None:
            self.display.stage("further supervised training", round(settings.further_supervised_s))
            training, seconds = self._supervised("further_supervised"), settings.further_supervised_s
            return await further_supervised(settings, start, self.imitated, seconds, training, folder)
        if settings.method == "dpo":
            return await self._preferences(start, session, folder)
        copy_policy(await (self._cold_start(start) if settings.method == "sft" else self._off_policy(start, teachers, pool)), folder)
        return folder

    async def _cold_start(self, untrained: Path) -> Path:
        settings = self.settings
        if not settings.cold_start.enabled:
            return untrained
        self.display.stage("cold start", settings.cold_start.steps)
        training, given = self._supervised("cold_start"), settings.policy.path is not None
        return await cold_start(settings, settings.cold_start, untrained, self.imitated, training, from_trained=given)

    async def _off_policy(self, start: Path, teachers: Mapping[str, Path], pool: RewardPool) -> Path:
        settings, off, display = self.settings, self.settings.distillation.off_policy, self.display
        display.stage("teachers' answers", off.problems * len(settings.weights))
        kept = await teachers_conversations(
            settings, self.tasks, start, teachers, self.cluster, pool, self.folder.path, self.max_images, display.advance, display.note
        )
        display.stage("imitation", off.supervised.steps)
        trained = settings.policy.path is not None or settings.cold_start.enabled
        return await cold_start(settings, off.supervised, start, kept, self._supervised("imitation"), from_trained=trained)

    async def _preferences(self, start: Path, session: Session, folder: Path) -> Path:
        settings, preferences = self.settings, self.settings.preferences
        renderer = Renderer(start)
        if preferences.data is not None:
            pairs = [text_pair(pair, renderer) for pair in self.pairs]
        else:
            answered = partial(session.answered, preferences.problems, preferences.samples)
            pairs = await own_pairs(self.folder.path / "preference_pairs.jsonl", answered, renderer.text, self.display.note)
        if not pairs:
            raise TaskError("preferences: rewards differ in no problem, so there is no pair: more samples, or other problems")
        distribution, learner, bfloat16 = softmax(settings, renderer), settings.learner, uses_bfloat16(settings)

        def build(checkpoint: Path | None) -> PreferenceTrainer:
            return PreferenceTrainer(
                start, preferences, learner, distribution, pairs, settings.seed, folder, bfloat16=bfloat16, checkpoint=checkpoint
            )

        done = 0

        def report(latest: PreferenceReport) -> None:
            nonlocal done
            values = {"preference/loss": latest.loss, "preference/accuracy": latest.accuracy, "preference/margin": latest.margin}
            self.records.log_training("preferences", latest.step, values)
            self.display.advance(latest.step - done)
            done = latest.step
            self.display.step(values)

        self.display.stage("preference optimisation", preferences.steps)
        await self._resumable(report).run("preferences", build)
        return folder

    def _resumable(self, report: Callable[[ReportT], None]) -> ResumableTraining[ReportT]:
        unfinished = self.folder.path / "unfinished"
        return ResumableTraining(self.trainer, unfinished, self.settings.checkpoint.every, report, self.display.note)

    def _supervised(self, stage: TrainingStage | None) -> SupervisedTraining:
        """Shows the training, and logs it as that of `stage`; a teacher's, which has none, is only shown.

        Further supervised training lasts for seconds, all other for steps.
        """
        done, began = 0, time.monotonic()

        def report(latest: SupervisedReport) -> None:
            nonlocal done
            if not done and latest.num_too_long:
                self.display.note(f"{latest.num_too_long} demonstrations have more tokens than long_context and are left out")
            if latest.done and not latest.best_step:
                self.display.note("no checkpoint predicts held-back demonstrations better than the policy it started from, which is kept")
            reached = round(time.monotonic() - began) if stage == "further_supervised" else latest.step
            self.display.advance(reached - done)
            done = reached
            name = stage or "teacher"
            values = {f"{name}/train_loss": latest.train_loss, f"{name}/validation_loss": latest.validation_loss}
            if stage is not None:
                self.records.log_training(stage, latest.step, values)
            self.display.step(values)

        return self._resumable(report)
