"""Boxes and points in a final answer, in Qwen's JSON form, and how much two boxes overlap.

`[{"bbox_2d": [x1, y1, x2, y2], "label": "..."}]`, `[{"point_2d": [x, y], "label": "..."}]`, or one such object.
"""

import math
from dataclasses import dataclass

from rewards.visual.embedded_json import embedded_json
from tasks.message import Json
from tasks.problem import Box

MAX_ITEMS = 500
RELATIVE = (1000.0, 1000.0)


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    y: float
    label: str = ""


@dataclass(frozen=True, slots=True)
class Items:
    """All boxes and points of an answer, in 0-1000 coordinates; `words` is the text around the JSON."""

    boxes: tuple[Box, ...]
    points: tuple[Point, ...]
    words: str

    def __len__(self) -> int:
        return len(self.boxes) + len(self.points)


def items_in(text: str, size: tuple[float, float] = RELATIVE) -> Items | None:
    """The answer's boxes and points; None if it is no list of valid ones: one wrong entry makes all of it wrong.

    `size` is how far the answer's coordinates reach: 1000 x 1000 in Qwen3-VL's convention, the image's width and height in Qwen2.5-VL's.
    """
    answer = embedded_json(text)
    if answer is None:
        return None
    entries = [answer.value] if isinstance(answer.value, dict) else answer.value
    if len(entries) > MAX_ITEMS:
        return None
    items = [_item(entry, size) for entry in entries]
    if any(item is None for item in items):
        return None
    boxes = tuple(item for item in items if isinstance(item, Box))
    points = tuple(item for item in items if isinstance(item, Point))
    return Items(boxes, points, answer.words)


def iou(a: Box, b: Box) -> float:
    """Intersection over union of two boxes with positive area."""
    common = _common(a, b)
    return common / (_area(a) + _area(b) - common)


def giou(a: Box, b: Box) -> float:
    """IoU less the share of the smallest box around both that neither fills, in (-1, 1] (Rezatofighi et al. 2019, 1902.09630)."""
    common = _common(a, b)
    union = _area(a) + _area(b) - common
    around = (max(a.x2, b.x2) - min(a.x1, b.x1)) * (max(a.y2, b.y2) - min(a.y1, b.y1))
    return common / union - (around - union) / around


def _common(a: Box, b: Box) -> float:
    width = min(a.x2, b.x2) - max(a.x1, b.x1)
    height = min(a.y2, b.y2) - max(a.y1, b.y1)
    return width * height if width > 0 and height > 0 else 0.0


def _area(box: Box) -> float:
    return (box.x2 - box.x1) * (box.y2 - box.y1)


def _item(entry: Json, size: tuple[float, float]) -> Box | Point | None:
    if not isinstance(entry, dict):
        return None
    label = entry.get("label", "")
    if not isinstance(label, str) or ("bbox_2d" in entry) == ("point_2d" in entry):
        return None
    is_point = "point_2d" in entry
    numbers = finite_numbers(entry["point_2d" if is_point else "bbox_2d"], 2 if is_point else 4)
    if numbers is None or not all(0 <= number <= size[place % 2] for place, number in enumerate(numbers)):
        return None
    x, y, *corner = (number * 1000 / size[place % 2] for place, number in enumerate(numbers))
    if is_point:
        return Point(x, y, label)
    return Box(x, y, corner[0], corner[1], label) if x < corner[0] and y < corner[1] else None


def finite_numbers(value: Json, length: int) -> tuple[float, ...] | None:
    """The list of so many finite numbers; neither booleans nor texts are numbers."""
    if not isinstance(value, list) or len(value) != length:
        return None
    if not all(isinstance(number, int | float) and not isinstance(number, bool) and abs(number) < 1e9 for number in value):
        return None
    numbers = tuple(float(number) for number in value if isinstance(number, int | float))
    return numbers if all(math.isfinite(number) for number in numbers) else None
