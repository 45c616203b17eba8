"""Judgements in a file: what a judge said about each item, one JSON object a line, and where two files differ."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rewards.errors import RewardError
from rewards.outcome import Grade, Outcome, Ungraded
from tasks.message import Json


@dataclass(frozen=True, slots=True)
class Judgement:
    """`label` is what the data says about the answer: right or wrong; None where it does not."""

    id: str
    outcome: Outcome
    label: bool | None = None
    answer_chars: int = 0

    @property
    def verdict(self) -> bool | None:
        return self.outcome.verdict if isinstance(self.outcome, Grade) else None

    @property
    def reward(self) -> float | None:
        return self.outcome.reward if isinstance(self.outcome, Grade) else None

    def to_json(self) -> str:
        fields: dict[str, Json] = {"id": self.id}
        match self.outcome:
            case Grade(reward, verdict, answer, parts):
                fields |= {"reward": reward, "verdict": verdict, "answer": answer, "parts": dict(parts)}
            case Ungraded(reason, detail):
                fields |= {"reward": None, "reason": reason, "detail": detail}
        return json.dumps(fields, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Line:
    """A judgement as it stands in a file; `reward` is None where it is ungraded, for `reason`."""

    id: str
    reward: float | None
    verdict: bool | None
    reason: str

    def __str__(self) -> str:
        word = {True: "right", False: "wrong", None: "no verdict"}[self.verdict]
        return f"ungraded ({self.reason})" if self.reward is None else f"{self.reward:.3f} {word}"


@dataclass(frozen=True, slots=True)
class Difference:
    """An item of two files that do not say the same; `None` where one does not have it."""

    id: str
    before: Line | None
    after: Line | None

    @property
    def kind(self) -> str:
        if self.before is None or self.after is None:
            return "only in one file"
        if (self.before.reward is None) != (self.after.reward is None):
            return "graded in one file"
        return "verdict" if self.before.verdict != self.after.verdict else "reward or reason"


def read_judgements(path: Path) -> Mapping[str, Line]:
    """By id, in the order of the file. Raises `RewardError` with file and line."""
    lines: dict[str, Line] = {}
    try:
        texts = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RewardError(f"{path}: {error.strerror}") from error
    for number, text in enumerate(texts, 1):
        try:
            fields = json.loads(text)
            line = Line(str(fields["id"]), fields["reward"], fields.get("verdict"), fields.get("reason", ""))
        except (ValueError, LookupError, TypeError) as error:
            raise RewardError(f"{path}:{number}: not a judgement ({type(error).__name__}: {error})") from error
        if line.id in lines:
            raise RewardError(f"{path}:{number}: id {line.id!r} stands twice")
        lines[line.id] = line
    return lines


def differences(before: Mapping[str, Line], after: Mapping[str, Line]) -> Iterator[Difference]:
    """The items that differ, in the order of the first file, then those of the second alone."""
    for item in dict.fromkeys((*before, *after)):
        if before.get(item) != after.get(item):
            yield Difference(item, before.get(item), after.get(item))
