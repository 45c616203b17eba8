"""One line of a scored file: what every component said of one row, and which reward made it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rewards.errors import RewardError
from rewards.grading import Timed
from rewards.isolation import Breakdown
from rewards.mixture import graded_by
from rewards.offline.answers import Sample
from rewards.outcome import Grade, Ungraded
from tasks.message import Json
from tasks.table import BadRow

BAD_ROW = "bad-row"


@dataclass(frozen=True, slots=True)
class ComponentScore:
    """One component, raw, before its weight: exactly one of `reward` and `ungraded` is None. `seconds` is None where nobody measured."""

    reward: float | None
    verdict: bool | None = None
    parts: Mapping[str, float] = field(default_factory=dict)
    ungraded: str | None = None
    detail: str = ""
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ScoredRow:
    """`row` counts the rows of all data from 1, `where` is file and line. Exactly one of `reward` and `ungraded` is None.

    `graded_by` names each component's reward and version, and what of its settings, weight, gate and clipping is not the default.
    """

    row: int
    where: str
    id: str | None
    source: str | None
    step: int | None
    reward: float | None
    verdict: bool | None
    answer: str | None
    ungraded: str | None
    detail: str
    chars: int
    components: Mapping[str, ComponentScore]
    graded_by: Mapping[str, Json]

    def line(self) -> bytes:
        return (
            json.dumps(asdict(self), ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode("utf-8", "backslashreplace") + b"\n"
        )

    @classmethod
    def read(cls, line: bytes) -> "ScoredRow":
        """Raises `ValueError` or `TypeError` for a line that is none."""
        values = json.loads(line)
        values["components"] = {name: ComponentScore(**score) for name, score in values["components"].items()}
        return cls(**values)


def scored_row(row: int, sample: Sample, breakdown: Breakdown) -> ScoredRow:
    outcome = breakdown.outcome
    grade = outcome if isinstance(outcome, Grade) else None
    chars = sum(len(message.text) for message in sample.transcript.response if message.role == "assistant")
    return ScoredRow(
        row=row,
        where=sample.where,
        id=sample.id,
        source=sample.source,
        step=sample.step,
        reward=grade.reward if grade else None,
        verdict=grade.verdict if grade else None,
        answer=grade.answer if grade else None,
        ungraded=outcome.reason if isinstance(outcome, Ungraded) else None,
        detail=outcome.detail if isinstance(outcome, Ungraded) else "",
        chars=chars,
        components={name: _component(timed) for name, timed in breakdown.components.items()},
        graded_by=graded_by(sample.reward),
    )


def bad_row(row: int, bad: BadRow) -> ScoredRow:
    return ScoredRow(row, bad.where, None, None, None, None, None, None, BAD_ROW, bad.reason, 0, {}, {})


def read_scored(path: Path) -> Iterator[ScoredRow]:
    """The rows of a scored file; a half last line is left out. Raises `RewardError` for a file that is none."""
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n"):
                    try:
                        yield ScoredRow.read(line)
                    except (ValueError, TypeError, KeyError, AttributeError) as error:
                        raise RewardError(f"{path}:{number}: not written by python -m rewards.score ({error})") from None
    except OSError as error:
        raise RewardError(f"{path}: {error.strerror}") from None


def _component(timed: Timed) -> ComponentScore:
    seconds = None if timed.seconds is None else round(timed.seconds, 6)
    if isinstance(timed.outcome, Grade):
        return ComponentScore(timed.outcome.reward, timed.outcome.verdict, dict(timed.outcome.parts), seconds=seconds)
    return ComponentScore(None, ungraded=timed.outcome.reason, detail=timed.outcome.detail, seconds=seconds)
