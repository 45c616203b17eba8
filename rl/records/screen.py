"""What the live display shows, as values, and how it is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rich.console import ConsoleRenderable, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

SPARKS = "▁▂▃▄▅▆▇█"
NARROW = 70


@dataclass(frozen=True, slots=True)
class Stage:
    """`first_done` units were there at `first_time`, when the stage moved first: what is resumed does not count as speed."""

    name: str
    total: int
    started: float
    done: int = 0
    first_done: int = 0
    first_time: float | None = None
    last_time: float | None = None

    def advanced(self, amount: int, now: float) -> "Stage":
        done = self.done + amount
        if self.first_time is None:
            return replace(self, done=done, first_done=done, first_time=now, last_time=now)
        return replace(self, done=done, last_time=now)

    def seconds_left(self, now: float) -> float | None:
        """At the mean pace since it moved first; None until it moved twice."""
        if self.first_time is None or self.last_time is None or self.done == self.first_done or self.done >= self.total:
            return None
        pace = (self.last_time - self.first_time) / (self.done - self.first_done)
        return max(0.0, pace * (self.total - self.done) - (now - self.last_time))


@dataclass(frozen=True, slots=True)
class Screen:
    """Everything on the screen. Each change is a new one, so that the thread that draws never meets half of it."""

    name: str
    finished: tuple[tuple[str, float], ...] = ()
    current: Stage | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)
    rewards: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    first_accuracies: Mapping[str, float] = field(default_factory=dict)
    accuracies: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def with_stage(self, stage: Stage) -> "Screen":
        finished = self.finished
        if self.current is not None:
            finished = (*finished, (self.current.name, stage.started - self.current.started))
        return replace(self, finished=finished, current=stage, metrics={})

    def advanced(self, amount: int, now: float) -> "Screen":
        return replace(self, current=self.current.advanced(amount, now)) if self.current else self

    def with_metrics(self, metrics: Mapping[str, float], history: int) -> "Screen":
        rewards = dict(self.rewards)
        for task, value in _rewards(metrics).items():
            rewards[task] = (*rewards.get(task, ()), value)[-history:]
        return replace(self, metrics=dict(metrics), rewards=rewards)

    def with_accuracies(self, accuracies: Mapping[str, float]) -> "Screen":
        first = {**accuracies, **self.first_accuracies}
        return replace(self, first_accuracies=first, accuracies={**self.accuracies, **accuracies})

    def with_note(self, note: str, most: int) -> "Screen":
        return replace(self, notes=(*self.notes, note)[-most:])


def render_screen(screen: Screen, now: float, elapsed: float, width: int) -> ConsoleRenderable:
    parts: list[ConsoleRenderable] = [Text.assemble((screen.name, "bold"), f"  {seconds_text(elapsed)}"), _stages(screen)]
    if screen.current is not None:
        parts.append(_bar(screen.current, now, width))
    if screen.rewards or screen.accuracies:
        parts.append(_tasks(screen, width))
    if screen.metrics:
        parts.append(Text("   ".join(figures(screen.metrics))))
    parts += [Text(note, "dim") for note in screen.notes]
    return Group(*parts)


_TAUGHT = {
    "learner/divergence": "divergence",
    "preference/loss": "preference loss",
    "preference/accuracy": "preference accuracy",
    "preference/margin": "margin",
}


def figures(metrics: Mapping[str, float]) -> list[str]:
    """The few numbers that one watches, of those that are there, each with its name."""
    shown = []
    if "reward/mean" in metrics:
        shown.append(f"reward {metrics['reward/mean']:.3f}")
    shown += [f"{name.rpartition('/')[2].replace('_', ' ')} {value:.3f}" for name, value in metrics.items() if name.endswith("_loss")]
    shown += [f"{label} {metrics[name]:.3f}" for name, label in _TAUGHT.items() if name in metrics]
    if "rollout/length_mean" in metrics:
        shown.append(f"length {metrics['rollout/length_mean']:.0f} (max {metrics.get('rollout/length_max', 0):.0f})")
    if "rollout/lag_mean" in metrics:
        shown.append(f"lag {metrics['rollout/lag_mean']:.1f}")
    if "learner/entropy" in metrics:
        shown.append(f"entropy {metrics['learner/entropy']:.2f}")
    if metrics.get("time/step_s", 0) > 0:
        shown.append(f"{metrics.get('rollout/tokens', 0) / metrics['time/step_s']:,.0f} tokens/s")
    if metrics.get("group/zero_variance_frac", 0) > 0:
        shown.append(f"equal rewards {metrics['group/zero_variance_frac']:.0%}")
    if metrics.get("group/refilled", 0) > 0:
        shown.append(f"refilled {metrics['group/refilled']:.0f}")
    if "group/ungraded_frac" in metrics:
        shown.append(f"ungraded {metrics['group/ungraded_frac']:.1%}")
    return shown


def seconds_text(seconds: float) -> str:
    """`0:07`, `12:30`, `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def spark(values: tuple[float, ...], low: float, high: float) -> str:
    """One block for each value, its height the value's place between `low` and `high`."""
    span = max(high - low, 1e-9)
    places = [min(max((value - low) / span, 0.0), 1.0) for value in values]
    return "".join(SPARKS[round(place * (len(SPARKS) - 1))] for place in places)


def _rewards(metrics: Mapping[str, float]) -> dict[str, float]:
    named = {name.removeprefix("reward/"): value for name, value in metrics.items() if name.startswith("reward/")}
    named.pop("mean", None)
    return named


def _stages(screen: Screen) -> Text:
    line = Text()
    for name, seconds in screen.finished:
        line.append(f"{name} ", "green")
        line.append(f"{seconds_text(seconds)} > ", "dim")
    if screen.current is not None:
        line.append(screen.current.name, "bold cyan")
    return line


def _bar(stage: Stage, now: float, width: int) -> ConsoleRenderable:
    left = stage.seconds_left(now)
    text = f"{stage.done}/{stage.total}" + (f"  {seconds_text(left)} left" if left is not None else "")
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=max(stage.total, 1), completed=min(stage.done, stage.total), width=max(8, min(44, width - 26))), text)
    return grid


def _tasks(screen: Screen, width: int) -> Table:
    narrow = width < NARROW
    table = Table(box=None, header_style="dim", pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("task", overflow="ellipsis", no_wrap=True, max_width=max(6, width - 30))
    table.add_column("reward", justify="right", no_wrap=True)
    if not narrow:
        table.add_column("", no_wrap=True)
        table.add_column("held-out first", justify="right", no_wrap=True)
    table.add_column("now" if narrow else "held-out now", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for task in dict.fromkeys((*screen.accuracies, *screen.rewards)):
        rewards = screen.rewards.get(task, ())
        first, now = screen.first_accuracies.get(task), screen.accuracies.get(task)
        trend = [Text(spark(rewards, 0.0, max(1.0, *rewards, 0.0)), "cyan"), _share(first)] if not narrow else []
        table.add_row(Text(task), Text(f"{rewards[-1]:.3f}" if rewards else ""), *trend, _share(now), _change(first, now))
    return table


def _share(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.1%}")


def _change(first: float | None, now: float | None) -> Text:
    if first is None or now is None or first == now:
        return Text("")
    return Text(f"{100 * (now - first):+.1f}", "green" if now > first else "red")
