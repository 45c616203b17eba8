"""The one loop: batches of graded groups in, versions of the policy out. Synchronous is `max_lag` 0 of the stream."""

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rl.signal import Signal
from rl.stream import Batch, GroupStream, NothingToLearn
from rl.training.batch import SapoBatch
from rl.training.learner import UpdateReport


class TrainedPolicy(Protocol):
    """The learner as the loop sees it."""

    async def update(self, batch: SapoBatch) -> UpdateReport: ...

    async def publish(self, version: int) -> None:
        """Makes the newest weights live on all generators, under that version."""
        ...

    async def save(self, folder: Path) -> None: ...

    async def load(self, folder: Path) -> None: ...


@dataclass(frozen=True, slots=True)
class StepSeconds:
    """Wall time of the parts of a step: waiting for groups, making the batch, the update, publishing."""

    take: float
    signal: float
    update: float
    publish: float

    @property
    def total(self) -> float:
        return self.take + self.signal + self.update + self.publish


@dataclass(frozen=True, slots=True)
class StepDone:
    """Step `step` (from 0) trained `batch` and made version `report.version`."""

    step: int
    batch: Batch
    data: SapoBatch
    report: UpdateReport
    seconds: StepSeconds


async def train(
    stream: GroupStream, signal: Signal, learner: TrainedPolicy, steps: range, after_step: Callable[[StepDone], Awaitable[bool]]
) -> None:
    """Runs `steps`, or fewer: `after_step` says whether to go on.

    It is awaited while the new version is live and before new problems start: it logs, evaluates, saves. Raises `NothingToLearn` for a
    batch without a rollout that can be trained on.
    """
    stream.release()
    for step in steps:
        t0 = time.perf_counter()
        batch = await stream.take()
        t1 = time.perf_counter()
        data = await signal.batch(batch.groups)
        if not data.trees:
            raise NothingToLearn(_nothing_left(batch))
        t2 = time.perf_counter()
        report = await learner.update(data)
        t3 = time.perf_counter()
        await learner.publish(report.version)
        t4 = time.perf_counter()
        if not await after_step(StepDone(step, batch, data, report, StepSeconds(t1 - t0, t2 - t1, t3 - t2, t4 - t3))):
            return
        stream.release()


def _nothing_left(batch: Batch) -> str:
    members = [member for group in batch.groups for member in group.members]
    left_out = sum(member.left_out for member in members)
    missing = sum(group.num_failed + group.num_ungraded for group in batch.groups)
    return (
        f"no rollout of a batch of {len(batch.groups)} groups can be trained on: {left_out} of {len(members)} were ended by a limit and "
        f"left out, {missing} could not be made or graded. Raise the limit (rollout.max_tokens, rollout.limits), or take "
        "rollout.over_limit=penalised"
    )
