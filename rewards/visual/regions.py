"""Whether a point lies in a box, a mask or an outline."""

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate, pairwise

from rewards.visual.boxes import Point
from tasks.problem import Box, Mask, Outline, Region


@dataclass(frozen=True, slots=True)
class Area:
    """A region made ready for many questions."""

    label: str
    contains: Callable[[Point], bool]


def area_of(region: Region) -> Area:
    """Borders of a box belong to it; a point on the right or bottom edge of the image falls in a mask's last pixel."""
    if isinstance(region, Box):
        return Area(region.label, lambda point: region.x1 <= point.x <= region.x2 and region.y1 <= point.y <= region.y2)
    return Area(region.label, _mask_test(region) if isinstance(region, Mask) else _outline_test(region))


def _mask_test(mask: Mask) -> Callable[[Point], bool]:
    ends = list(accumulate(mask.runs))

    def contains(point: Point) -> bool:
        column = min(int(point.x * mask.width / 1000), mask.width - 1)
        row = min(int(point.y * mask.height / 1000), mask.height - 1)
        return bisect_right(ends, column * mask.height + row) % 2 == 1

    return contains


def _outline_test(outline: Outline) -> Callable[[Point], bool]:
    rings = []
    for polygon in outline.polygons:
        corners = list(zip(polygon[::2], polygon[1::2], strict=True))
        rings.append(list(pairwise([*corners, corners[0]])))
    return lambda point: any(_in_ring(ring, point) for ring in rings)


def _in_ring(ring: list[tuple[tuple[float, float], tuple[float, float]]], point: Point) -> bool:
    """Even-odd rule: a ray to the right crosses the border an odd number of times."""
    inside = False
    for (x1, y1), (x2, y2) in ring:
        if (y1 > point.y) != (y2 > point.y) and point.x < x1 + (point.y - y1) * (x2 - x1) / (y2 - y1):
            inside = not inside
    return inside
