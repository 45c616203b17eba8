"""What a session does at its edges: interrupted in its last step, and continued from a checkpoint."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest

from rewards.outcome import Grade
from rl.checkpoint import Checkpoint, Progress, newest_checkpoint
from rl.config.settings import RunSettings
from rl.graded import GradedGroup, GradedRollout
from rl.interruption import Interruption
from rl.records.run_folder import RunFolder
from rl.records.run_records import Records
from rl.session import Session
from rl.signal import SapoSignal
from rl.training.batch import SapoBatch
from rl.training.learner import UpdateReport
from rollouts.rollout import Given, Rollout, RolloutGroup, Sampled
from tasks.build import build_task
from tasks.errors import TaskError
from tasks.message import text_message
from tasks.problem import Problem

STEPS = 2


class Policy:
    """Engine, learner and grader in one. Every second answer is right; the update of the step `ended_in` is when Ctrl-C is pressed."""

    sampling = "as it is"

    def __init__(self, ended_in: int | None = None) -> None:
        self.ended_in = ended_in
        self.version = 0
        self.streams: list[str] = []
        self.interruption: Interruption | None = None

    async def run(self, problem: Problem, size: int, stream: str) -> RolloutGroup:
        self.streams.append(stream.split("/")[1])
        turn = Sampled(text_message("assistant", "!"), (7,), (-1.0,), self.version)
        return RolloutGroup(problem, tuple(Rollout(problem, i, (Given(problem.messages, (1,)), turn), "complete") for i in range(size)))

    async def grade_group(self, group: RolloutGroup, stream: str, *, training: bool) -> GradedGroup:
        grades = [Grade(float(r.index % 2), verdict=bool(r.index % 2)) for r in group.rollouts]
        return GradedGroup(group.problem, tuple(map(GradedRollout, group.rollouts, grades)))

    async def update(self, batch: SapoBatch) -> UpdateReport:
        assert self.interruption is not None
        self.interruption.asked = self.version + 1 == self.ended_in
        return UpdateReport(self.version + 1, 1.0, {"engine_kl": 0.0})

    async def publish(self, version: int) -> None:
        self.version = version

    async def save(self, folder: Path) -> None:
        (folder / "version").write_text(str(self.version))

    async def load(self, folder: Path) -> None:
        self.version = int((folder / "version").read_text())


class NoDisplay:
    def stage(self, name: str, total: int) -> None: ...
    def advance(self, amount: int = 1) -> None: ...
    def step(self, metrics: Mapping[str, float]) -> None: ...
    def evaluation(self, accuracies: Mapping[str, float | None]) -> None: ...
    def note(self, text: str) -> None: ...


def reinforce(folder: RunFolder, policy: Policy, checkpoint: Checkpoint | None = None) -> list[str]:
    """The stages of the evaluations that are there at the end."""
    settings = RunSettings.model_validate(
        {
            "cache": folder.path.parent / "cache",
            "tasks": {"algebra": {"family": "algebra", "heldout": 2, "pool": 4}},
            "loop": {"steps": STEPS, "groups_per_batch": 2},
            "records": {"rollouts_every": 100, "trackers": []},
        }
    )
    tasks = {"algebra": build_task("algebra", settings.tasks["algebra"], 0)}

    class Renderer:
        def text(self, ids: object) -> str:
            return ""

    async def run() -> None:
        policy.interruption = Interruption(lambda told: None)
        with Records(folder, (), checkpoint.progress.next_step if checkpoint else 0) as records:
            signal = SapoSignal("standardised", 8)
            shown = (records, NoDisplay(), policy.interruption)
            session = Session(settings, tasks, policy, policy, policy, signal, policy, Renderer(), *shown)  # type: ignore[arg-type]
            await session.reinforce("start", checkpoint)

    with folder.claimed(settings.model_dump(mode="json")):
        asyncio.run(run())
    return [evaluation.stage for evaluation in folder.evaluations()]


def test_ctrl_c_in_the_last_step_leaves_the_last_evaluation_to_the_next_call(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    assert reinforce(folder, Policy(ended_in=STEPS)) == ["before"]
    checkpoint = newest_checkpoint(folder.path / "checkpoints", pytest.fail)
    assert checkpoint is not None
    assert checkpoint.progress.next_step == STEPS
    assert reinforce(folder, Policy(), checkpoint) == ["before", "after"]


def test_a_run_that_goes_on_samples_its_trained_policy_for_no_filter(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    first, later = Policy(ended_in=1), Policy()
    reinforce(folder, first)
    assert "filter" in first.streams
    checkpoint = newest_checkpoint(folder.path / "checkpoints", pytest.fail)
    (table,) = (tmp_path / "cache" / "pass_rates").iterdir()
    table.unlink()
    assert reinforce(folder, later, checkpoint)[-1] == "after"
    assert "filter" not in later.streams
    assert not table.exists()
    (folder.path / "pass_rates.jsonl").unlink()
    with pytest.raises(TaskError, match="start a new run: name=<another>"):
        reinforce(folder, Policy(), Checkpoint(folder.path / "checkpoints" / "step_000001", Progress(1, {}, 0.0)))
