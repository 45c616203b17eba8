"""Problems from a user's data: which column holds what, rows that cannot be read, and the held-out split."""

import heapq
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from operator import itemgetter
from typing import Literal, Protocol

from tasks.columns import Columns, read_choices, read_expected_calls, read_reward
from tasks.errors import RowError, TaskError, nearest, short
from tasks.gold import TARGET_KINDS, read_target
from tasks.problem import MissingTarget, RewardNotation, Target
from tasks.prompt import read_prompt
from tasks.stored_image import StoredImage, read_images
from tasks.stored_problem import StoredProblem, StoredProblems, content_digest
from tasks.table import BadRow, Row, Table, open_table

# Our field -> the columns that are looked for when no other is named, first come first served.
COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id",),
    "prompt": ("prompt", "messages"),
    "images": ("images", "image"),
    "target": ("target",),
    "choices": ("choices",),
    "reward": ("reward",),
    "expected_calls": ("expected_calls",),
}
ALIASES = {"messages": "prompt"}


class DataSettings(Protocol):
    """What a task's settings say about its data; `rl.config.task_settings.TaskSettings` is one."""

    @property
    def data(self) -> str | None: ...
    @property
    def columns(self) -> Mapping[str, str]: ...
    @property
    def target(self) -> str: ...
    @property
    def reward(self) -> RewardNotation | None: ...
    @property
    def weight(self) -> float: ...
    @property
    def pool(self) -> int | None: ...
    @property
    def heldout(self) -> int: ...
    @property
    def tools(self) -> tuple[str, ...]: ...
    @property
    def on_bad_row(self) -> Literal["error", "skip"]: ...


@dataclass(frozen=True, slots=True)
class DataProblems:
    """No content stands in both `train` and `heldout`. `num_repeated` rows asked what an earlier one asked, and were left out.

    `row_rewards` are the different rewards that rows name for themselves, each with the first row that does.
    """

    train: StoredProblems
    heldout: StoredProblems
    bad_rows: tuple[BadRow, ...]
    num_repeated: int
    row_rewards: tuple[tuple[str, RewardNotation], ...]


def load_problems(settings: DataSettings, name: str) -> DataProblems:
    """The problems of `settings.data` for the task `name`.

    The split depends on content alone: prompts are ordered by their digest; the first `heldout` are held out, the next `pool` are for
    training, or all the others. A task of weight 0 has the held-out ones alone, all rows if they are fewer than `heldout`. So the split
    is the same under every seed and order of rows, and a smaller held-out set is part of a larger one. Only these problems are kept in
    memory, their images encoded, while the whole file is read and every bad row counted.
    """
    assert settings.data is not None, name
    _check_settings(settings, name)
    try:
        table = open_table(settings.data)
    except TaskError as error:
        raise TaskError(f"tasks.{name}.data: {error}") from error
    reader = _Reader(settings, name, table)
    pool = settings.pool if settings.weight else 0
    kept = _first(reader.problems(), None if pool is None else settings.heldout + pool)
    if reader.bad_rows and (settings.on_bad_row == "error" or reader.num_good == 0):
        raise TaskError(_bad_rows_message(reader, table, name))
    if not kept:
        raise TaskError(f"tasks.{name}.data: {table.title} holds no rows")
    if settings.weight and len(kept) <= settings.heldout:
        leaves = f"tasks.{name}.heldout={settings.heldout} leaves none to train on: lower it"
        raise TaskError(f"{table.title} holds {len(kept)} different problems, and {leaves}")
    problems = tuple(problem for _, problem in kept)
    return DataProblems(
        train=StoredProblems(problems[settings.heldout :]),
        heldout=StoredProblems(problems[: settings.heldout]),
        bad_rows=tuple(reader.bad_rows),
        num_repeated=reader.num_repeated,
        row_rewards=tuple(reader.row_rewards.values()),
    )


def _first(problems: Iterable[tuple[str, StoredProblem]], wanted: int | None) -> list[tuple[str, StoredProblem]]:
    """Those with the smallest digests, in their order."""
    by_digest = itemgetter(0)
    return sorted(problems, key=by_digest) if wanted is None else heapq.nsmallest(wanted, problems, key=by_digest)


def _check_settings(settings: DataSettings, name: str) -> None:
    if settings.target not in TARGET_KINDS:
        raise TaskError(f"tasks.{name}.target: unknown kind {settings.target!r}; {nearest(settings.target, TARGET_KINDS)}")
    if settings.target == "none" and not settings.reward and "reward" not in settings.columns:
        raise TaskError(f"tasks.{name}.reward: without a gold answer (target: none) no reward follows from the target; name one")
    for field in settings.columns:
        if field not in {*COLUMNS, *ALIASES}:
            raise TaskError(f"tasks.{name}.columns: there is no field {field!r}; {nearest(field, {*COLUMNS, *ALIASES})}")
    if {"prompt", "messages"} <= set(settings.columns):
        raise TaskError(f"tasks.{name}.columns names both prompt and messages: one of them holds what is asked")


class _Reader:
    """One pass over a table; what it counts is complete once `problems` is exhausted."""

    def __init__(self, settings: DataSettings, name: str, table: Table) -> None:
        self._settings = settings
        self._name = name
        self._table = table
        mapped = {ALIASES.get(field, field): column for field, column in settings.columns.items()}
        self._columns = Columns(COLUMNS, mapped, f"tasks.{name}.columns")
        self._contents: set[str] = set()
        self._rows_by_id: dict[str, str] = {}
        self.bad_rows: list[BadRow] = []
        self.row_rewards: dict[str, tuple[str, RewardNotation]] = {}
        self.num_good = 0
        self.num_repeated = 0

    def problems(self) -> Iterator[tuple[str, StoredProblem]]:
        """The digest of its content with each problem, the first of each content only."""
        for row in self._table.rows():
            if isinstance(row, BadRow):
                self.bad_rows.append(row)
                continue
            try:
                content, problem = self._problem(row)
            except RowError as error:
                self.bad_rows.append(BadRow(row.where, str(error)))
                continue
            self.num_good += 1
            if content in self._contents:
                self.num_repeated += 1
                continue
            self._contents.add(content)
            yield content, problem

    def _problem(self, row: Row) -> tuple[str, StoredProblem]:
        images = self._images(row)
        messages = read_prompt(self._columns.required(row, "prompt"), images, self._table.folder)
        content = content_digest(messages)
        graded = (self._target(row), self._reward(row))
        problem_id = self._id(row, content)
        return content, StoredProblem(problem_id, messages, *graded, self._name, tuple(self._settings.tools), self._expected_calls(row))

    def _id(self, row: Row, content: str) -> str:
        value = self._columns.optional(row, "id")
        if value is None:
            return f"{self._name}/{self._table.stem}:{row.number}:{content[:8]}"
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise RowError(f"an id is a text or an integer, not {short(value)}")
        earlier = self._rows_by_id.setdefault(str(value), row.where)
        if earlier != row.where:
            raise RowError(f"id {short(value)} is also that of {earlier}")
        return f"{self._name}/{value}"

    def _images(self, row: Row) -> list[StoredImage]:
        return read_images(self._columns.optional(row, "images"), self._table.folder)

    def _target(self, row: Row) -> Target:
        kind = self._settings.target
        if kind == "none":
            return MissingTarget()
        return read_target(
            kind, self._columns.required(row, "target"), read_choices(self._columns.optional(row, "choices")) if kind == "choice" else ()
        )

    def _reward(self, row: Row) -> RewardNotation:
        """The row's, else the task's, else the one that is called like the kind of target."""
        value = self._columns.optional(row, "reward")
        if value is None:
            return read_reward(self._settings.reward or self._settings.target)
        notation = read_reward(value)
        self.row_rewards.setdefault(json.dumps(notation), (row.where, notation))
        return notation

    def _expected_calls(self, row: Row) -> int | None:
        return read_expected_calls(self._columns.optional(row, "expected_calls"))


def _bad_rows_message(reader: _Reader, table: Table, name: str) -> str:
    bad = reader.bad_rows
    listed = "\n".join(f"  {row.where}: {row.reason}" for row in bad[:5])
    more = f"\n  and {len(bad) - 5} more" if len(bad) > 5 else ""
    way_out = f"Correct them, or leave them out with tasks.{name}.on_bad_row=skip." if reader.num_good else "There is no other row."
    return f"{len(bad)} of {len(bad) + reader.num_good} rows of {table.title} cannot be read:\n{listed}{more}\n{way_out}"
