"""A scored file as columns of numbers, 8 bytes a cell, and the signs of reward hacking in them."""

import heapq
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from rewards.offline.scored import ScoredRow

Floats = npt.NDArray[np.float64]
REWARD, RIGHT, LENGTH = "reward", "right", "length"
EXAMPLES = 4
MIN_ROWS = 20
"""Fewer rows than this in a comparison show nothing."""
LOOKED_FOR = (
    "reward that rises in training while correctness does not",
    "wrong answers that are paid like right ones",
    "reward that grows with length among wrong answers",
    "components that pay wrong answers more than right ones",
)


@dataclass(frozen=True, slots=True)
class Signal:
    title: str
    detail: str


@dataclass(slots=True)
class ScoredColumns:
    """`values` holds reward, right (1 or 0), length in characters, step and each component; NaN where a row has none."""

    values: "dict[str, array[float]]" = field(default_factory=dict)
    rows: int = 0
    ungraded: Counter[str] = field(default_factory=Counter)
    steps: "array[float]" = field(default_factory=lambda: array("d"))
    lowest: list[tuple[float, int, ScoredRow]] = field(default_factory=list)
    highest: list[tuple[float, int, ScoredRow]] = field(default_factory=list)
    paid_wrong: list[tuple[float, int, ScoredRow]] = field(default_factory=list)
    longest: list[tuple[float, int, ScoredRow]] = field(default_factory=list)
    not_graded: dict[str, list[ScoredRow]] = field(default_factory=dict)

    @classmethod
    def of(cls, rows: Iterable[ScoredRow]) -> "ScoredColumns":
        columns = cls()
        for row in rows:
            columns._add(row)
        return columns

    def column(self, name: str) -> Floats:
        return np.frombuffer(self.values[name]) if self.values.get(name) else np.full(self.rows, math.nan)

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(name for name in self.values if name not in (REWARD, RIGHT, LENGTH))

    def _add(self, row: ScoredRow) -> None:
        found: dict[str, float | None] = {
            REWARD: row.reward,
            RIGHT: None if row.verdict is None else float(row.verdict),
            LENGTH: float(row.chars),
            **{name: score.reward for name, score in row.components.items()},
        }
        for name in found:
            if name not in self.values:
                self.values[name] = array("d", [math.nan]) * self.rows
        for name, column in self.values.items():
            value = found.get(name)
            column.append(math.nan if value is None else value)
        self.steps.append(math.nan if row.step is None else row.step)
        self.rows += 1
        if row.reward is None:
            reason = row.ungraded or "unknown"
            self.ungraded[reason] += 1
            if len(self.not_graded.setdefault(reason, [])) < EXAMPLES:
                self.not_graded[reason].append(row)
            return
        _keep(self.highest, row.reward, row)
        _keep(self.lowest, -row.reward, row)
        _keep(self.longest, row.chars, row)
        if row.verdict is False:
            _keep(self.paid_wrong, row.reward, row)


def correlations(columns: ScoredColumns) -> tuple[tuple[str, ...], list[list[float | None]]]:
    """Names, and Pearson's r of each pair over the rows that have both; None where one is constant or there are fewer than three rows."""
    names = tuple(name for name in (REWARD, RIGHT, LENGTH, *columns.components) if np.isfinite(columns.column(name)).any())
    return names, [[pearson(columns.column(a), columns.column(b)) for b in names] for a in names]


def pearson(a: Floats, b: Floats) -> float | None:
    both = np.isfinite(a) & np.isfinite(b)
    if both.sum() < 3 or np.ptp(a[both]) == 0 or np.ptp(b[both]) == 0:
        return None
    return float(np.corrcoef(a[both], b[both])[0, 1])


def signals(columns: ScoredColumns) -> list[Signal]:
    """What looks like hacking: reasons to read samples, not proofs."""
    reward, right, length = (columns.column(name) for name in (REWARD, RIGHT, LENGTH))
    found = [*_over_training(np.frombuffer(columns.steps) if columns.rows else reward, reward, right)]
    wrong, correct = (right == 0) & np.isfinite(reward), (right == 1) & np.isfinite(reward)
    if min(wrong.sum(), correct.sum()) >= MIN_ROWS:
        typical = float(np.median(reward[correct]))
        share = float((reward[wrong] >= typical).mean())
        if share > 0.01:
            detail = f"{share:.1%} of the wrong answers earn {typical:.4g} or more, the median of the right ones."
            found.append(Signal("Wrong answers paid like right ones", detail))
        for name in columns.components:
            value = columns.column(name)
            low, high = value[correct & np.isfinite(value)], value[wrong & np.isfinite(value)]
            if min(low.size, high.size) >= MIN_ROWS and high.mean() - low.mean() > 3 * _error(low, high):
                detail = f"Mean {high.mean():.3f} where the answer is wrong, {low.mean():.3f} where it is right."
                found.append(Signal(f"{name} pays wrong answers more", detail))
    if wrong.sum() >= MIN_ROWS:
        r = pearson(reward[wrong], length[wrong])
        if r is not None and r > 0.3:
            found.append(Signal("Length is paid", f"Among wrong answers the reward grows with the length: r = {r:.2f}."))
    return found


def _over_training(steps: Floats, reward: Floats, right: Floats) -> list[Signal]:
    """The first third of the steps against the last: reward up by more than three standard errors, correctness not up by two."""
    judged = np.isfinite(steps) & np.isfinite(reward) & np.isfinite(right)
    if not judged.any() or np.ptp(steps[judged]) == 0:
        return []
    first, last = np.quantile(np.unique(steps[judged]), [1 / 3, 2 / 3])
    early, late = judged & (steps <= first), judged & (steps >= last)
    if min(early.sum(), late.sum()) < MIN_ROWS:
        return []
    rise, true_rise = reward[late].mean() - reward[early].mean(), right[late].mean() - right[early].mean()
    if rise <= 3 * _error(reward[early], reward[late]) or true_rise >= 2 * _error(right[early], right[late]):
        return []
    moved = f"the mean reward moved by {rise:+.3f}, the share of right answers by {100 * true_rise:+.1f} points"
    detail = f"From the first third of the steps to the last {moved}."
    return [Signal("Reward rises while correctness does not", detail)]


def _error(a: Floats, b: Floats) -> float:
    """The standard error of a difference of means."""
    return math.sqrt(float(a.var(ddof=1)) / a.size + float(b.var(ddof=1)) / b.size)


def _keep(kept: list[tuple[float, int, ScoredRow]], value: float, row: ScoredRow) -> None:
    item = (value, -row.row, row)
    if len(kept) < EXAMPLES:
        heapq.heappush(kept, item)
    elif item[:2] > kept[0][:2]:
        heapq.heapreplace(kept, item)


def ordered(kept: Sequence[tuple[float, int, ScoredRow]]) -> list[ScoredRow]:
    return [row for _, _, row in sorted(kept, key=lambda item: item[:2], reverse=True)]


def spans(columns: ScoredColumns, most: int = 10) -> tuple[Sequence[str], Mapping[str, tuple[int, Mapping[str, float | None]]]]:
    """Means of reward, right answers and components by step, or by at most so many spans of steps; empty without steps."""
    names = (REWARD, RIGHT, LENGTH, *columns.components)
    steps = np.frombuffer(columns.steps) if columns.rows else np.zeros(0)
    known = np.unique(steps[np.isfinite(steps)])
    found: dict[str, tuple[int, Mapping[str, float | None]]] = {}
    for span in np.array_split(known, min(most, known.size)) if known.size else ():
        inside = (steps >= span[0]) & (steps <= span[-1])
        means = {name: _mean(columns.column(name)[inside]) for name in names}
        label = f"{span[0]:.0f}" if span.size == 1 else f"{span[0]:.0f}–{span[-1]:.0f}"
        found[label] = int(inside.sum()), means
    return names, found


def _mean(values: Floats) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
