"""What a scored file says as a whole: means, pass@k, shares ungraded; of everything and by source."""

import math
import sqlite3
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.console import Group, RenderableType
from rich.table import Table

from rewards.offline.scored import ScoredRow
from rewards.pass_at_k import pass_at_k
from tasks.message import Json

_COUNT = "INSERT INTO ids VALUES (?, ?, 1, ?) ON CONFLICT (source, id) DO UPDATE SET judged = judged + 1, right = right + excluded.right"


@dataclass(slots=True)
class Moments:
    """Count, mean, spread and range of numbers, by Welford's updates."""

    number: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, value: float) -> None:
        self.number += 1
        difference = value - self.mean
        self.mean += difference / self.number
        self.squares += difference * (value - self.mean)
        self.low, self.high = min(self.low, value), max(self.high, value)

    def as_json(self) -> Json:
        if not self.number:
            return None
        std = math.sqrt(self.squares / (self.number - 1)) if self.number > 1 else None
        return {"mean": self.mean, "std": std, "min": self.low, "max": self.high}


@dataclass(slots=True)
class ComponentTally:
    value: Moments = field(default_factory=Moments)
    seconds: Moments = field(default_factory=Moments)
    ungraded: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class Tally:
    rows: int = 0
    right: int = 0
    judged: int = 0
    reward: Moments = field(default_factory=Moments)
    ungraded: Counter[str] = field(default_factory=Counter)

    def add(self, row: ScoredRow) -> None:
        self.rows += 1
        if row.reward is None:
            self.ungraded[row.ungraded or "unknown"] += 1
            return
        self.reward.add(row.reward)
        if row.verdict is not None:
            self.judged += 1
            self.right += row.verdict

    def as_json(self, pass_at: Mapping[str, float]) -> dict[str, Json]:
        return {
            "rows": self.rows,
            "graded": self.reward.number,
            "ungraded_frac": self.ungraded.total() / self.rows if self.rows else None,
            "ungraded": dict(self.ungraded),
            "reward": self.reward.as_json(),
            "accuracy": self.right / self.judged if self.judged else None,
            "pass_at": dict(pass_at),
        }


class Summary:
    """Adds scored rows up in memory that does not grow with them: samples of a problem are counted in a temporary file."""

    def __init__(self) -> None:
        self.all = Tally()
        self.sources: dict[str, Tally] = {}
        self.components: dict[str, ComponentTally] = {}
        self._ids = sqlite3.connect("")
        self._ids.execute("CREATE TABLE ids (source TEXT, id TEXT, judged INT, right INT, PRIMARY KEY (source, id)) WITHOUT ROWID")

    def add(self, rows: Iterable[ScoredRow]) -> None:
        counted = []
        for row in rows:
            self.all.add(row)
            if row.source is not None:
                self.sources.setdefault(row.source, Tally()).add(row)
            if row.id is not None and row.verdict is not None:
                counted.append((row.source, row.id, int(row.verdict)))
            for name, score in row.components.items():
                tally = self.components.setdefault(name, ComponentTally())
                if score.reward is not None:
                    tally.value.add(score.reward)
                else:
                    tally.ungraded[score.ungraded or "unknown"] += 1
                if score.seconds is not None:
                    tally.seconds.add(score.seconds)
        self._ids.executemany(_COUNT, counted)

    def pass_at(self, source: str | None = None) -> dict[str, float]:
        """Mean unbiased pass@k over the problems with at least k judged samples, for k = 1, 2, 4, ...; empty when no id repeats."""
        where, values = ("WHERE source = ?", (source,)) if source is not None else ("", ())
        found = self._ids.execute(f"SELECT judged, right, COUNT(*) FROM ids {where} GROUP BY judged, right", values).fetchall()
        most = max((judged for judged, _, _ in found), default=0)
        means: dict[str, float] = {}
        for k in (1 << power for power in range(most.bit_length())) if most > 1 else ():
            enough = [(pass_at_k(judged, right, k), number) for judged, right, number in found if judged >= k]
            means[str(k)] = sum(value * number for value, number in enough) / sum(number for _, number in enough)
        return means

    def as_json(self) -> dict[str, Json]:
        return {
            "all": self.all.as_json(self.pass_at()),
            "components": {
                name: {
                    "value": tally.value.as_json(),
                    "ungraded": dict(tally.ungraded),
                    "seconds": {"mean": tally.seconds.mean, "max": tally.seconds.high} if tally.seconds.number else None,
                }
                for name, tally in self.components.items()
            },
            "sources": {source: tally.as_json(self.pass_at(source)) for source, tally in self.sources.items()},
        }

    def tables(self) -> RenderableType:
        by_source = Table("source", box=None, pad_edge=False)
        for heading in ("rows", "mean", "accuracy", "ungraded"):
            by_source.add_column(heading, justify="right")
        several = sorted(self.sources.items()) if len(self.sources) > 1 else []
        ks = list(self.pass_at())
        for k in ks:
            by_source.add_column(f"pass@{k}", justify="right")
        for name, tally in (*several, ("all", self.all)):
            passed = self.pass_at(None if tally is self.all else name)
            by_source.add_row(
                name, f"{tally.rows:,}", _mean(tally.reward), _share(tally.right, tally.judged), _share(tally.ungraded.total(), tally.rows),
                *(f"{100 * passed[k]:.1f} %" if k in passed else "–" for k in ks),
            )  # fmt: skip
        parts = Table("component", box=None, pad_edge=False)
        for heading in ("mean", "min", "max", "ungraded", "ms mean", "ms worst"):
            parts.add_column(heading, justify="right")
        for name, part in self.components.items():
            seconds = (f"{1e3 * part.seconds.mean:.2f}", f"{1e3 * part.seconds.high:.0f}") if part.seconds.number else ("–", "–")
            span = (f"{part.value.low:.4g}", f"{part.value.high:.4g}") if part.value.number else ("–", "–")
            ungraded = part.ungraded.total()
            parts.add_row(name, _mean(part.value), *span, _share(ungraded, ungraded + part.value.number), *seconds)
        reasons = ", ".join(f"{reason} {count:,}" for reason, count in self.all.ungraded.most_common())
        return Group(by_source, "", parts, *([f"\nungraded: {reasons}"] if reasons else []))


def _mean(moments: Moments) -> str:
    return f"{moments.mean:.4f}" if moments.number else "–"


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"
