"""The run as one watches it: a live screen in a terminal, one line for each step where there is none (CI, nohup, a pipe)."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

import psutil
from rich.console import Console, ConsoleRenderable
from rich.live import Live

from rl.records.screen import Screen, Stage, figures, render_screen, seconds_text

NOTES = 4
HISTORY = 32


def seconds_since_start() -> float:
    """Since this program started, its imports included."""
    return max(0.0, time.time() - psutil.Process().create_time())


@dataclass(slots=True)
class Progress:
    """Fed with plain values; holds nothing of the run. `clock` gives seconds, `head_start` are those that had passed.

    The first `evaluation` is what later ones are compared with. Feed it `advance` before the `step` that it belongs to.
    """

    name: str
    console: Console = field(default_factory=Console)
    clock: Callable[[], float] = time.monotonic
    head_start: float = 0.0
    _screen: Screen = field(init=False)
    _started: float = field(init=False)
    _live: Live | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._started = self.clock() - self.head_start
        self._screen = Screen(self.name)

    def __enter__(self) -> "Progress":
        if self.console.is_terminal and not self.console.is_dumb_terminal:
            self._live = Live(get_renderable=self.render, console=self.console, refresh_per_second=4)
            self._live.start(refresh=True)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        """The last screen stays in the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def stage(self, name: str, total: int) -> None:
        """A stage of `total` units begins, and the one before it is over."""
        self._screen = self._screen.with_stage(Stage(name, total, self.clock()))
        self._line(f"{name} (of {total})" if total > 1 else name)

    def advance(self, amount: int = 1) -> None:
        self._screen = self._screen.advanced(amount, self.clock())

    def step(self, metrics: Mapping[str, float]) -> None:
        """What a step measured, under the names of `docs/metrics.md`; others are kept and not shown."""
        self._screen = self._screen.with_metrics(metrics, HISTORY)
        current = self._screen.current
        place = f"{current.name} {current.done}/{current.total}" if current else "step"
        left = current.seconds_left(self.clock()) if current else None
        rest = [f"{seconds_text(left)} left"] if left else []
        self._line("  ".join((place, *figures(metrics), *rest)))

    def evaluation(self, accuracies: Mapping[str, float | None]) -> None:
        """Held-out accuracy, mean pass@1, of each task; None where no answer has a verdict."""
        first = self._screen.first_accuracies
        known = {task: value for task, value in accuracies.items() if value is not None}
        texts = [f"{task} {value:.1%}" + (f" (from {first[task]:.1%})" if task in first else "") for task, value in known.items()]
        self._screen = self._screen.with_accuracies(known)
        if known:
            self._line(f"held-out: {'  '.join(texts)}")
        if without := [task for task in accuracies if task not in known]:
            self.note(f"held-out: no accuracy of {', '.join(without)}: the reward gives no verdict, as in Grade(0.5, verdict=False)")

    def note(self, text: str) -> None:
        """A sentence to keep in sight for a while, such as where the checkpoint is."""
        self._screen = self._screen.with_note(f"{seconds_text(self.clock() - self._started)}  {text}", NOTES)
        self._line(text)

    def render(self) -> ConsoleRenderable:
        """The whole screen as it is now."""
        now = self.clock()
        return render_screen(self._screen, now, now - self._started, self.console.width)

    def _line(self, text: str) -> None:
        if self._live is None:
            self.console.print(f"[{seconds_text(self.clock() - self._started)}] {text}", markup=False, highlight=False, soft_wrap=True)
