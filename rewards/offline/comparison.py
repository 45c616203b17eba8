"""Two scored files of the same answers: what changed, by how much, and where."""

import heapq
import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from rewards.offline.scored import ScoredRow, read_scored
from rewards.offline.summary import Moments


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """A row whose outcome differs. `size` is the difference of the rewards; infinite where one of them has none."""

    size: float
    row: int
    before: ScoredRow = field(compare=False)
    after: ScoredRow = field(compare=False)


@dataclass(slots=True)
class ComponentChange:
    before: Moments = field(default_factory=Moments)
    after: Moments = field(default_factory=Moments)
    changed: int = 0


@dataclass(slots=True)
class Comparison:
    """`differences` are after minus before, over the rows that both grade; `verdicts` counts (before, after), None without one."""

    paired: int = 0
    only_before: int = 0
    only_after: int = 0
    changed: int = 0
    before: Moments = field(default_factory=Moments)
    after: Moments = field(default_factory=Moments)
    differences: Moments = field(default_factory=Moments)
    verdicts: Counter[tuple[bool | None, bool | None]] = field(default_factory=Counter)
    ungraded: Counter[tuple[str | None, str | None]] = field(default_factory=Counter)
    components: dict[str, ComponentChange] = field(default_factory=dict)
    sources: dict[str, Moments] = field(default_factory=dict)
    largest: list[Change] = field(default_factory=list)


def compare(before: Path, after: Path, examples: int) -> Comparison:
    """Pairs rows by id and its occurrence, or else by number, and keeps the `examples` largest changes; in memory that does not grow."""
    found = Comparison()
    with sqlite3.connect("") as store:
        store.execute("CREATE TABLE rows (key TEXT PRIMARY KEY, line BLOB) WITHOUT ROWID")
        _store(store, before)
        for key, row in _keyed(store, "after", after):
            line = store.execute("DELETE FROM rows WHERE key = ? RETURNING line", (key,)).fetchone()
            if line is None:
                found.only_after += 1
            else:
                _add(found, ScoredRow.read(line[0]), row, examples)
        found.only_before = store.execute("SELECT COUNT(*) FROM rows").fetchone()[0]
    found.largest.sort(key=lambda change: (-change.size, change.row))
    return found


def _store(store: sqlite3.Connection, path: Path) -> None:
    for key, row in _keyed(store, "before", path):
        store.execute("INSERT INTO rows VALUES (?, ?)", (key, row.line()))


def _keyed(store: sqlite3.Connection, name: str, path: Path) -> Iterator[tuple[str, ScoredRow]]:
    """Each row with what it is paired by: source, id and how often that id stood before it, or its number."""
    store.execute(f"CREATE TABLE seen_{name} (key TEXT PRIMARY KEY, number INT) WITHOUT ROWID")
    count = f"INSERT INTO seen_{name} VALUES (?, 1) ON CONFLICT (key) DO UPDATE SET number = number + 1 RETURNING number"
    for row in read_scored(path):
        if row.id is None:
            yield json.dumps([row.row]), row
        else:
            named = json.dumps([row.source, row.id])
            number = store.execute(count, (named,)).fetchone()[0]
            yield f"{named}{number}", row


def _add(found: Comparison, before: ScoredRow, after: ScoredRow, examples: int) -> None:
    found.paired += 1
    found.verdicts[before.verdict, after.verdict] += 1
    found.ungraded[before.ungraded, after.ungraded] += 1
    for name in {**before.components, **after.components}:
        change = found.components.setdefault(name, ComponentChange())
        old, new = before.components.get(name), after.components.get(name)
        if old is not None and old.reward is not None:
            change.before.add(old.reward)
        if new is not None and new.reward is not None:
            change.after.add(new.reward)
        change.changed += (old and old.reward) != (new and new.reward)
    if before.reward is not None and after.reward is not None:
        found.before.add(before.reward)
        found.after.add(after.reward)
        found.differences.add(after.reward - before.reward)
        found.sources.setdefault(after.source or "", Moments()).add(after.reward - before.reward)
    if (before.reward, before.verdict, before.ungraded) == (after.reward, after.verdict, after.ungraded):
        return
    found.changed += 1
    both = before.reward is not None and after.reward is not None
    size = abs((after.reward or 0.0) - (before.reward or 0.0)) if both else float("inf")
    heapq.heappush(found.largest, Change(size, -after.row, before, after))
    if len(found.largest) > examples:
        heapq.heappop(found.largest)
