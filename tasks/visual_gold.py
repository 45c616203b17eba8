"""Gold answers about places in an image or in space: boxes, regions to point at, 3D boxes."""

import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from tasks.errors import RowError, short
from tasks.gold_scalars import finite, is_empty
from tasks.problem import Box, Box3d, Boxes3dTarget, BoxesTarget, Mask, MissingTarget, Outline, PointsTarget, Region, Target

RELATIVE = (1000.0, 1000.0)
Size: TypeAlias = tuple[float, float]


def read_boxes(value: object, choices: tuple[str, ...]) -> Target:
    value = _parsed(value, "boxes")
    items, size, extent = _with_size(value, "boxes")
    if is_empty(items):
        return MissingTarget()
    wanted = "boxes are a list of [x1, y1, x2, y2] or of {bbox_2d, label}"
    return BoxesTarget(tuple(_box(item, extent) for item in _listed(items, wanted)), size)


def read_points(value: object, choices: tuple[str, ...]) -> Target:
    value = _parsed(value, "points")
    items, size, extent = _with_size(value, "regions")
    if is_empty(items):
        return MissingTarget()
    wanted = "points have a list of regions, each a box or {mask, label}"
    return PointsTarget(tuple(_region(item, extent) for item in _listed(items, wanted)), size)


def read_boxes_3d(value: object, choices: tuple[str, ...]) -> Target:
    items = _parsed(value, "boxes")
    if is_empty(items):
        return MissingTarget()
    return Boxes3dTarget(tuple(_box_3d(item) for item in _listed(items, "3D boxes are a list of {bbox_3d, label}")))


def _parsed(value: object, what: str) -> object:
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError) as error:
        raise RowError(f"{what} {short(value)} are no JSON") from error


def _with_size(value: object, key: str) -> tuple[object, Size | None, Size]:
    """The items, the image's size in pixels if it is given, and how far the items' own coordinates reach."""
    if not isinstance(value, Mapping) or key not in value:
        return value, None, RELATIVE
    size = _size(value["size"]) if value.get("size") is not None else None
    coordinates = value.get("coordinates") or "relative"
    if coordinates not in ("relative", "pixels"):
        raise RowError(f"coordinates are 'relative' (0-1000) or 'pixels', not {short(coordinates)}")
    if coordinates == "pixels" and size is None:
        raise RowError("coordinates in pixels need size: [width, height] of the image")
    return value[key], size, size if size and coordinates == "pixels" else RELATIVE


def _size(value: object) -> Size:
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) == 2:
        width, height = finite(value[0]), finite(value[1])
        if width > 0 and height > 0:
            return width, height
    raise RowError(f"size is [width, height] of the image in pixels, not {short(value)}")


def _listed(value: object, wanted: str) -> Sequence[object]:
    """A list of items; one item alone is a list of one."""
    single = isinstance(value, Mapping) or (isinstance(value, list) and all(isinstance(number, int | float) for number in value))
    items = [value] if single else value
    if not isinstance(items, list):
        raise RowError(f"{wanted}, not {short(value)}")
    return items


def _box(value: object, extent: Size) -> Box:
    label: object = ""
    corners = value
    if isinstance(value, Mapping):
        corners, label = value.get("bbox_2d"), value.get("label") or ""
    if not isinstance(corners, list | tuple) or len(corners) != 4 or not isinstance(label, str):
        raise RowError(f"a box is [x1, y1, x2, y2] or {{bbox_2d, label}}, not {short(value)}")
    x1, y1, x2, y2 = (finite(corner) for corner in corners)
    if not (0 <= x1 < x2 <= extent[0] and 0 <= y1 < y2 <= extent[1]):
        reach = (
            "relative, from 0 to 1000 (pixel * 1000 / side of the image)"
            if extent == RELATIVE
            else f"pixels of an image of {extent[0]:g} x {extent[1]:g}"
        )
        raise RowError(f"box {short(corners)}: corners are {reach}, with x1 < x2 and y1 < y2")
    width, height = extent
    return Box(x1 * 1000 / width, y1 * 1000 / height, x2 * 1000 / width, y2 * 1000 / height, label)


def _region(value: object, extent: Size) -> Region:
    if not isinstance(value, Mapping) or "mask" not in value:
        return _box(value, extent)
    label, mask = value.get("label") or "", value["mask"]
    if not isinstance(label, str):
        raise RowError(f"a label is a text, not {short(label)}")
    if isinstance(mask, Mapping):
        return _mask(mask, label)
    polygons = [mask] if isinstance(mask, list) and mask and not isinstance(mask[0], list) else mask
    if not isinstance(polygons, list) or not polygons:
        raise RowError(f"a mask is a COCO run-length mask {{size, counts}} or a list of polygons [x1, y1, x2, y2, ...], not {short(mask)}")
    return Outline(tuple(_polygon(polygon, extent) for polygon in polygons), label)


def _polygon(value: object, extent: Size) -> tuple[float, ...]:
    if not isinstance(value, list) or len(value) < 6 or len(value) % 2:
        raise RowError(f"a polygon is [x1, y1, x2, y2, x3, y3, ...] with at least three corners, not {short(value)}")
    numbers = [finite(number) for number in value]
    if not all(0 <= number <= extent[place % 2] for place, number in enumerate(numbers)):
        raise RowError(f"polygon {short(value)}: coordinates go from 0 to {extent[0]:g} across and to {extent[1]:g} down")
    return tuple(number * 1000 / extent[place % 2] for place, number in enumerate(numbers))


def _mask(value: Mapping[object, object], label: str) -> Mask:
    """From COCO's form: `size` is height, width; `counts` a list of run lengths or its compressed text."""
    size = value.get("size")
    if not isinstance(size, list | tuple) or len(size) != 2 or not all(isinstance(side, int) and side > 0 for side in size):
        raise RowError(f"a run-length mask has size: [height, width], not {short(size)}")
    counts = value.get("counts")
    if isinstance(counts, bytes):
        counts = counts.decode("ascii", errors="replace")
    runs = _decompressed(counts) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(isinstance(run, int) and run >= 0 for run in runs) or sum(runs) != size[0] * size[1]:
        raise RowError(f"the counts of a run-length mask of size {list(size)} add up to {size[0] * size[1]}; these do not: {short(counts)}")
    return Mask(size[1], size[0], tuple(runs), label)


def _decompressed(text: str) -> list[int]:
    """COCO's compressed counts: five bits a character from "0" on, lowest first, a sixth if more follow; from the third on, differences
    to the run before the last."""
    runs: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        number |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            number -= 1 << shift
        runs.append(number + (runs[-2] if len(runs) > 2 else 0))
        number = shift = 0
    return runs


def _box_3d(value: object) -> Box3d:
    label: object = ""
    numbers = value
    if isinstance(value, Mapping):
        numbers, label = value.get("bbox_3d"), value.get("label") or ""
    if not isinstance(numbers, list | tuple) or len(numbers) != 9 or not isinstance(label, str):
        raise RowError(f"a 3D box is {{bbox_3d: [x, y, z, x_size, y_size, z_size, three angles], label}}, not {short(value)}")
    x, y, z, x_size, y_size, z_size, *angles = (finite(number) for number in numbers)
    if min(x_size, y_size, z_size) <= 0:
        raise RowError(f"3D box {short(numbers)}: the sizes, its fourth to sixth number, are above 0")
    return Box3d((x, y, z), (x_size, y_size, z_size), (angles[0], angles[1], angles[2]), label)
