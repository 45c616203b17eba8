"""Boxes and points in a final answer: strict JSON in Qwen3-VL's form, and nothing repaired.

`[{"bbox_2d": [x1, y1, x2, y2], "label": "..."}]` or one such object, plain, in a ```json fence, or after a sentence; 0-1000 coordinates.
"""

import json
import math
import re
from dataclasses import dataclass

from tasks.message import Json
from tasks.problem import Box

MAX_CHARS = 100_000
MAX_ITEMS = 500
LIMIT = 1000.0
_FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL)


class NotStrictJsonError(ValueError):
    """NaN, Infinity or a key twice: Python reads them, JSON does not know them."""


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    label: str = ""


def boxes_in_json(text: str) -> list[Box] | None:
    """Every box of the answer; None if it is no list of valid boxes: one wrong entry makes all of it wrong."""
    items = items_in_json(text)
    if items is None or not all(isinstance(item, Box) for item in items):
        return None
    return [item for item in items if isinstance(item, Box)]


def items_in_json(text: str) -> list[Box | Point] | None:
    value = _one_json_value(text)
    if isinstance(value, dict):
        value = [value]
    if not isinstance(value, list) or len(value) > MAX_ITEMS:
        return None
    items = [_item(entry) for entry in value]
    return None if any(item is None for item in items) else [item for item in items if item is not None]


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes with positive area."""
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    if width <= 0 or height <= 0:
        return 0.0
    common = width * height
    return common / ((a.x2 - a.x1) * (a.y2 - a.y1) + (b.x2 - b.x1) * (b.y2 - b.y1) - common)


def _one_json_value(text: str) -> Json:
    """The only JSON list or object of the text; None if there is none, more than one, or a broken one."""
    if len(text) > MAX_CHARS:
        return None
    fences = _FENCE.findall(text)
    if len(fences) > 1:
        return None
    body = (fences[0] if fences else text).strip()
    start = next((place for place, character in enumerate(body) if character in "[{"), None)
    if start is None:
        return None
    try:
        value, end = _DECODER.raw_decode(body, start)
    except (json.JSONDecodeError, NotStrictJsonError, RecursionError):
        return None
    result: Json = value
    return None if any(character in "[]{}" for character in body[end:]) else result


def _item(entry: Json) -> Box | Point | None:
    if not isinstance(entry, dict):
        return None
    label = entry.get("label", "")
    if not isinstance(label, str) or ("bbox_2d" in entry) == ("point_2d" in entry):
        return None
    numbers = _numbers(entry.get("bbox_2d", entry.get("point_2d")))
    if numbers is None:
        return None
    if "point_2d" in entry:
        return Point(numbers[0], numbers[1], label) if len(numbers) == 2 else None
    if len(numbers) != 4 or numbers[0] >= numbers[2] or numbers[1] >= numbers[3]:
        return None
    return Box(numbers[0], numbers[1], numbers[2], numbers[3], label)


def _numbers(value: Json) -> list[float] | None:
    """Plain finite numbers from 0 to 1000; neither booleans nor texts."""
    if not isinstance(value, list):
        return None
    numbers = [
        float(number) for number in value if isinstance(number, int | float) and not isinstance(number, bool) and abs(number) <= LIMIT
    ]
    if len(numbers) != len(value) or not all(math.isfinite(number) and number >= 0 for number in numbers):
        return None
    return numbers


def _refuse(constant: str) -> float:
    raise NotStrictJsonError(constant)


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    entry = dict(pairs)
    if len(entry) != len(pairs):
        raise NotStrictJsonError("a key stands twice")
    return entry


_DECODER = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=_unique)
