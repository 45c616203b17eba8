"""Training outside of the loop, in an actor: a run that is killed in the middle of it goes on from the newest checkpoint."""

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from rl.checkpoint import Progress, newest_checkpoint, write_checkpoint
from rl.cluster import RayObject


class TrainingReport(Protocol):
    """Where a trainer stands after `advance`."""

    @property
    def step(self) -> int: ...

    @property
    def done(self) -> bool: ...


class Resumable(Protocol):
    """What the actor holds. `load` continues, in a trainer made from the checkpoint's policy, from what `save` wrote."""

    def advance(self) -> TrainingReport: ...

    def save(self, folder: Path) -> None: ...

    def load(self, folder: Path) -> None: ...


ReportT = TypeVar("ReportT", bound=TrainingReport)


@dataclass(frozen=True, slots=True)
class ResumableTraining(Generic[ReportT]):
    """`report` is given each report of the trainer in `actor`, `note` what a person should know.

    While a training is not done, `unfinished/<its name>` holds its newest checkpoint, written where it reports `every` or more steps after
    the one before.
    """

    actor: RayObject
    unfinished: Path
    every: int
    report: Callable[[ReportT], None]
    note: Callable[[str], None]

    async def run(self, name: str, build: Callable[[Path | None], Resumable], seconds: float | None = None) -> None:
        """To the trainer's end, or for `seconds`, those before a kill included up to the checkpoint.

        `build` makes the trainer in the actor, with the weights of a checkpoint's policy where it is given one.
        """
        folder = self.unfinished / name
        checkpoint = newest_checkpoint(folder, self.note)
        await self.actor.start(partial(build, checkpoint.policy.resolve() if checkpoint else None))
        saved, began = 0, time.monotonic()
        if checkpoint is not None:
            await self.actor.call("load", checkpoint.folder.resolve())
            saved, began = checkpoint.progress.next_step, began - checkpoint.progress.train_s
            self.note(f"continues from {checkpoint.folder}")
        while True:
            latest: ReportT = await self.actor.call("advance")  # type: ignore[assignment]
            self.report(latest)
            if latest.done or (seconds is not None and time.monotonic() - began >= seconds):
                break
            if latest.step - saved >= self.every:
                await write_checkpoint(folder, Progress(latest.step, {}, time.monotonic() - began), self._save, 1)
                saved = latest.step
        shutil.rmtree(folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # Another training of the run is not done, or this one never wrote a checkpoint.
            self.unfinished.rmdir()

    async def _save(self, folder: Path) -> None:
        await self.actor.call("save", folder.resolve())
