"""The score in a judge's reply: tolerant of what surrounds it, strict about the value.

The reply is one JSON object with `score`, or ends in one (fenced or not), or its last line reads `Score: n`. Nothing before the last word
counts: a judge quotes the answer that it judges, and that answer may hold a score of its own.
"""

import json
import math
import re
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rewards.answer import final_answer
from rewards.judge.reply import Reply
from rewards.outcome import Ungraded
from tasks.message import Json

ScaleName: TypeAlias = Literal["points", "yes_no"]
MAX_POINTS = 10.0
DETAIL_CHARS = 200

_FENCED = re.compile(r"```(?:json)?\s*(\{.*?\})\s*```$", re.DOTALL | re.IGNORECASE)
_LINE = re.compile(r"score\s*[:\uff1a]\s*(.+)", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_OUT_OF_TEN = re.compile(r"\s*/\s*10$")
_REFUSES = re.compile(
    r"\b(?:can(?:no|')t|cannot|can\u2019t|won't|will not|unable|not able|sorry|decline|refuse)\b|无法|不能|抱歉|拒绝", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Score:
    """`points` as the judge gave them; `reward` in [0, 1]."""

    points: float
    reward: float


def read_score(reply: Reply, scale: ScaleName) -> Score | Ungraded:
    if reply.refusal or reply.finish_reason == "content_filter":
        return Ungraded("judge-refusal", reply.refusal[:DETAIL_CHARS] or reply.finish_reason)
    if not reply.content.strip():
        return Ungraded("judge-empty", f"finish reason {reply.finish_reason}")
    if reply.finish_reason == "length":
        return Ungraded("judge-cut", "the reply ran into max_tokens; raise it")
    text = final_answer(reply.content)
    value = _stated(text)
    if value is None:
        return Ungraded("judge-refusal" if _REFUSES.search(text) else "judge-unparsable", reply.content[:DETAIL_CHARS])
    return _score(value.json, scale)


@dataclass(frozen=True, slots=True)
class _Stated:
    json: Json


def _stated(text: str) -> _Stated | None:
    """What the reply gives as its score, whatever that is; None when it gives none."""
    if not text:
        return None
    last = text.splitlines()[-1].strip()
    fenced = _FENCED.search(text)
    for candidate in (text, fenced.group(1) if fenced else "", last):
        found = _object_score(candidate)
        if found is not None:
            return found
    line = _LINE.fullmatch(last.replace("*", "").strip())
    if line is None:
        return None
    word = _OUT_OF_TEN.sub("", line.group(1).strip())
    return _Stated(float(word)) if _NUMBER.fullmatch(word) else _Stated(word)


def _object_score(text: str) -> _Stated | None:
    if not text.startswith("{"):
        return None
    try:
        fields = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return None
    return _Stated(fields["score"]) if isinstance(fields, dict) and "score" in fields else None


def _once(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name stands twice")
    return dict(pairs)


def _score(value: Json, scale: ScaleName) -> Score | Ungraded:
    shown = repr(value)[:DETAIL_CHARS]
    if isinstance(value, bool) or (isinstance(value, str) and value.lower().rstrip(".") in ("true", "false")):
        return Ungraded("judge-bool", f"score is {shown}")
    if scale == "yes_no":
        word = value.strip().lower().rstrip(".") if isinstance(value, str) else ""
        return Score(float(word == "yes"), float(word == "yes")) if word in ("yes", "no") else Ungraded("judge-out-of-range", shown)
    if isinstance(value, str):
        return Ungraded("judge-text-number", f"score is {shown}, not a number")
    if not isinstance(value, (int, float)):
        return Ungraded("judge-unparsable", f"score is {shown}")
    if not 0 <= value <= MAX_POINTS or not math.isfinite(value):
        return Ungraded("judge-out-of-range", f"score is {shown}, outside 0 to {MAX_POINTS:g}")
    return Score(float(value), float(value) / MAX_POINTS)
