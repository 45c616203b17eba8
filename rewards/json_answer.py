"""JSON that a model wrote: strict, and nothing repaired."""

import json
import re

from tasks.message import Json

_FENCE = re.compile(r"^[ \t]*```(?:json)?[ \t]*\n(.*?)^[ \t]*```", re.DOTALL | re.MULTILINE | re.IGNORECASE)


class NotJsonError(ValueError):
    """No JSON: broken, NaN or Infinity, a key that stands twice, or too deep."""


def strict_json(text: str) -> Json:
    """The value of the whole text. Raises `NotJsonError`."""
    try:
        value: Json = STRICT_DECODER.decode(text)
    except (ValueError, RecursionError) as error:
        raise NotJsonError(str(error)) from error
    return value


def one_json_value(answer: str) -> Json:
    """The JSON value of an answer: its one fenced block, or the whole answer. Raises `NotJsonError`, also for several blocks."""
    fences = _FENCE.findall(answer)
    if len(fences) > 1:
        raise NotJsonError(f"{len(fences)} fenced blocks of JSON")
    return strict_json((fences[0] if fences else answer).strip())


def same_json(mine: Json, other: Json) -> bool:
    """Equality of JSON values: numbers by value (5 is 5.0), but true is not 1, and texts are not numbers."""
    if isinstance(mine, bool) or isinstance(other, bool):
        return mine is other
    if isinstance(mine, list) and isinstance(other, list):
        return len(mine) == len(other) and all(same_json(a, b) for a, b in zip(mine, other, strict=True))
    if isinstance(mine, dict) and isinstance(other, dict):
        return mine.keys() == other.keys() and all(same_json(value, other[key]) for key, value in mine.items())
    return mine == other


def _refuse(constant: str) -> float:
    raise NotJsonError(f"{constant} is no JSON number")


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    entry = dict(pairs)
    if len(entry) != len(pairs):
        raise NotJsonError("a key stands twice")
    return entry


STRICT_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique)
