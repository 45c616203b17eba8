"""Where metrics go besides `metrics.jsonl`: TensorBoard, and wandb or trackio where they are installed and asked for."""

import hashlib
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

TrackerName: TypeAlias = Literal["tensorboard", "wandb", "trackio"]

PROJECT = "posttrain"


class Tracker(Protocol):
    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes the values of a step; steps never go back, and one step may come more than once with other names."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class TrackedRun:
    """What a tracker needs to know of a run. `last_step` is the step it continues after, 0 for a new one."""

    folder: Path
    config: Mapping[str, object]
    last_step: int

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def id(self) -> str:
        """The same whenever this folder's run is continued, another for a folder of the same name elsewhere."""
        return f"{self.name}-{hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:8]}"


class TensorBoardTracker:
    """Event files below `tensorboard/`. Those of steps that are about to be done again are marked void."""

    def __init__(self, run: TrackedRun) -> None:
        self._run = run
        self._writer: SummaryWriter | None = None

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(self._run.folder / "tensorboard"), purge_step=self._run.last_step + 1)
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()


class WandbTracker:
    def __init__(self, run: TrackedRun) -> None:
        wandb = _installed("wandb")
        self._run = wandb.init(project=PROJECT, name=run.name, id=run.id, resume="allow", dir=str(run.folder), config=dict(run.config))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._run.log(dict(metrics), step=step)

    def close(self) -> None:
        self._run.finish()


class TrackioTracker:
    def __init__(self, run: TrackedRun) -> None:
        self._trackio = _installed("trackio")
        self._trackio.init(project=PROJECT, name=run.id, resume="allow", config=dict(run.config))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        self._trackio.log(dict(metrics), step=step)

    def close(self) -> None:
        self._trackio.finish()


def check_trackers(names: Sequence[TrackerName]) -> None:
    """Raises for the first name whose package is missing, before a run has started."""
    for name in names:
        package = "tensorboard" if name == "tensorboard" else name
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"{name!r} is not installed: `pip install {package}`, or take it out of records.trackers")


def open_trackers(names: Sequence[TrackerName], run: TrackedRun) -> tuple[Tracker, ...]:
    """One tracker for each name. TensorBoard opens its files with the first value."""
    check_trackers(names)
    makers: Mapping[TrackerName, Callable[[TrackedRun], Tracker]] = {
        "tensorboard": TensorBoardTracker,
        "wandb": WandbTracker,
        "trackio": TrackioTracker,
    }
    return tuple(makers[name](run) for name in names)


def _installed(name: TrackerName) -> ModuleType:
    check_trackers((name,))
    return importlib.import_module(name)
