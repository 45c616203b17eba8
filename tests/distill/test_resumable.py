"""Training in an actor: killed in the middle it goes on from its newest checkpoint, and nothing is left when it is done."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from distill.cold_start import cold_start
from distill.conversation import worked_answer
from distill.resumable import ResumableTraining
from rl.config.settings import RunSettings
from rl.policy import read_weights
from tasks.message import text_message


@dataclass(frozen=True)
class Counted:
    step: int
    done: bool


class Counting:
    """Counts to 10, two at a time. `policy` is what it was made from."""

    def __init__(self, policy: Path | None) -> None:
        self.policy = policy
        self.step = 0

    def advance(self) -> Counted:
        self.step += 2
        return Counted(self.step, self.step == 10)

    def save(self, folder: Path) -> None:
        (folder / "policy").mkdir()
        (folder / "state.json").write_text(json.dumps(self.step))

    def load(self, folder: Path) -> None:
        assert self.policy == folder / "policy"
        self.step = json.loads((folder / "state.json").read_text())


class InProcess:
    """An actor without a process; it dies at the call number `fatal`."""

    def __init__(self, fatal: int = 1000) -> None:
        self._left = fatal

    async def start(self, build: Callable[[], Counting]) -> None:
        self._object = await asyncio.to_thread(build)

    async def call(self, method: str, *arguments: object) -> object:
        self._left -= 1
        if not self._left:
            raise RuntimeError("killed")
        return getattr(self._object, method)(*arguments)


def run(root: Path, actor: InProcess, every: int = 4, seconds: float | None = None) -> tuple[list[int], list[str]]:
    steps: list[int] = []
    notes: list[str] = []
    training = ResumableTraining(actor, root, every, lambda report: steps.append(report.step), notes.append)  # type: ignore[arg-type]
    try:
        asyncio.run(training.run("cold_start", Counting, seconds))
    except RuntimeError:
        notes.append("killed")
    return steps, notes


IN_A_STEP, IN_THE_NEXT, WHILE_SAVING, AFTER_SAVING = (2, [2], 0), (4, [2, 4], 4), (6, [2, 4, 6, 8], 4), (7, [2, 4, 6, 8], 8)


@pytest.mark.parametrize(("fatal", "first", "saved"), [IN_A_STEP, IN_THE_NEXT, WHILE_SAVING, AFTER_SAVING])
def test_a_killed_training_goes_on_from_its_newest_checkpoint(tmp_path: Path, fatal: int, first: list[int], saved: int) -> None:
    root = tmp_path / "unfinished"
    assert run(root, InProcess(fatal)) == (first, ["killed"])
    steps, notes = run(root, InProcess())
    assert steps == list(range(saved + 2, 11, 2))
    assert notes == ([f"continues from {root}/cold_start/step_{saved:06d}"] if saved else [])
    assert not root.exists()


def test_seconds_count_those_before_the_kill(tmp_path: Path) -> None:
    run(tmp_path, InProcess(4))
    manifest = tmp_path / "cold_start" / "step_000004" / "manifest.json"
    written = json.loads(manifest.read_text())
    assert written["progress"]["train_s"] > 0
    manifest.write_text(json.dumps(written | {"progress": written["progress"] | {"train_s": 1000.0}}))
    assert run(tmp_path, InProcess(), seconds=500.0)[0] == [6]


def test_checkpoints_come_no_more_often_than_asked_for(tmp_path: Path) -> None:
    run(tmp_path, InProcess(4), every=8)
    assert not (tmp_path / "cold_start").exists()


def test_a_cold_start_that_is_killed_makes_the_policy_of_one_that_is_not(tiny_policy: Path, tmp_path: Path) -> None:
    imitated = [worked_answer((text_message("user", f"{i} + 1"),), f"{i + 1}") for i in range(12)]
    supervised = {"steps": 8, "validate_every": 2, "batch_size": 4, "optimizer": {"lr": 1e-3, "warmup_steps": 2}}

    def made(cache: str, actor: InProcess) -> tuple[list[object], Path]:
        settings = RunSettings.model_validate({"tasks": {"a": {"family": "algebra"}}, "cache": tmp_path / cache, "cold_start": supervised})
        reports: list[object] = []
        training = ResumableTraining(actor, tmp_path / "unfinished", 2, reports.append, lambda note: None)  # type: ignore[arg-type]
        return reports, asyncio.run(cold_start(settings, settings.cold_start, tiny_policy, imitated, training, from_trained=False))

    whole, expected = made("whole", InProcess())
    with pytest.raises(RuntimeError, match="killed"):
        made("killed", InProcess(6))
    assert not list((tmp_path / "killed" / "cold_starts").iterdir())
    rest, resumed = made("killed", InProcess())
    assert rest == whole[2:]
    assert not (tmp_path / "unfinished").exists()
    weights = read_weights(expected)
    assert all(torch.equal(value, weights[name]) for name, value in read_weights(resumed).items())
