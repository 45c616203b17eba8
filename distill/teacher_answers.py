"""What teachers wrote: one row an answer, with where it comes from and what became of it."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from rl.config.teaching_settings import ThinkingMode
from rl.records.json_lines import append_line, read_lines, replace_lines


@dataclass(frozen=True, slots=True)
class TeacherAnswer:
    """`sample` counts the answers of a problem, in all modes. `dropped_by` names the filter that dropped it, or else why it is not imitated
    (`special_token`, `over_limit`, `duplicate` or `per_problem`); None where it is. `ungraded` says why no reward could grade it.

    `calling_turns` are the assistant's turns before the `answer`, each of which called tools.

    `teacher` is the name in the settings, `model` the checkpoint or the `server`'s model, `stream` the seed of the request: with `problem`
    and `sample` it is what the answer can be made again from.
    """

    task: str
    problem: str
    sample: int
    answer: str
    complete: bool
    teacher: str
    model: str
    temperature: float
    stream: str
    reward: float | None
    verdict: bool | None
    dropped_by: str | None
    calling_turns: tuple[str, ...] = ()
    mode: ThinkingMode = "thinking"
    ungraded: str | None = None
    max_tokens: int | None = None
    server: str | None = None

    @property
    def turns(self) -> tuple[str, ...]:
        """What the assistant said."""
        return (*self.calling_turns, self.answer)


_ROW = TypeAdapter(TeacherAnswer)


class AnswerTable:
    """The rows of a run, appended problem by problem: of what a kill leaves whole problems are kept, and the rest is asked again.

    `failures` says of problems without an answer why there is none.
    """

    def __init__(self, path: Path, samples: int) -> None:
        self.failures: list[str] = []
        self._path = path
        by_problem: dict[tuple[str, str], dict[int, TeacherAnswer]] = {}
        lines = list(read_lines(path))
        for line in lines:
            row = _ROW.validate_json(line)
            by_problem.setdefault((row.task, row.problem), {})[row.sample] = row
        self._rows = {key: tuple(rows[i] for i in sorted(rows)) for key, rows in by_problem.items() if len(rows) == samples}
        whole = [row for rows in self._rows.values() for row in rows]
        if len(whole) < len(lines):
            replace_lines(path, map(_ROW.dump_json, whole))

    def of(self, task: str, problem: str) -> tuple[TeacherAnswer, ...] | None:
        """The answers to a problem; None where it has not been asked."""
        return self._rows.get((task, problem))

    def add(self, rows: Sequence[TeacherAnswer]) -> None:
        """All answers to one problem."""
        for row in rows:
            append_line(self._path, _ROW.dump_json(row))
        self._rows[rows[0].task, rows[0].problem] = tuple(rows)


def dropped_counts(rows: Sequence[TeacherAnswer]) -> dict[str, int]:
    """How many answers are not imitated, by what dropped them."""
    return dict(Counter(row.dropped_by for row in rows if row.dropped_by is not None))
