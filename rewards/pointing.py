"""Boxes and points as Qwen3-VL writes them: JSON, plain or fenced, in coordinates from 0 to 1000."""

import json
import math
import re

_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)```", re.DOTALL)
_START = re.compile(r"[\[{]")
LARGEST = 1000.0
SIZES = {"bbox_2d": 4, "point_2d": 2}

Place = tuple[str, tuple[float, ...]]
"""A label, and the coordinates."""


def pointed_at(text: str, key: str | None = None) -> list[Place] | None:
    """The items of the one JSON value in `text`, all of them valid; None when it holds none, or something else, or an invalid item.

    `key` is the kind that is wanted, `bbox_2d` or `point_2d`; None takes either, but not both. Nothing is repaired: swapped corners, text,
    NaN, a box
    without area and coordinates beyond 0-1000 are invalid.
    """
    value = _only_json(text)
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list) or not items:
        return None
    keys = {found for item in items if isinstance(item, dict) for found in SIZES if found in item}
    if len(keys) != 1 or (key is not None and keys != {key}):
        return None
    places = [_place(item, next(iter(keys))) for item in items]
    return None if any(place is None for place in places) else [place for place in places if place is not None]


def _only_json(text: str) -> object:
    fenced = _FENCE.findall(text)
    if len(fenced) > 1:
        return None
    source = fenced[0] if fenced else text
    start = _START.search(source)
    if start is None:
        return None
    try:
        value, end = json.JSONDecoder(parse_constant=lambda _: None).raw_decode(source, start.start())
    except (ValueError, RecursionError):
        return None
    return None if _START.search(source, end) else value


def _place(item: object, key: str) -> Place | None:
    if not isinstance(item, dict) or not isinstance(item.get(key), list):
        return None
    numbers = item[key]
    if len(numbers) != SIZES[key] or not all(type(number) in (int, float) for number in numbers):
        return None
    if not all(math.isfinite(number) and 0 <= number <= LARGEST for number in numbers):
        return None
    if key == "bbox_2d" and (numbers[0] >= numbers[2] or numbers[1] >= numbers[3]):
        return None
    label = item.get("label", "")
    return (label if isinstance(label, str) else "", tuple(map(float, numbers)))
