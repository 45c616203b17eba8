"""3D boxes in a final answer, and the exact overlap of two turned boxes.

`[{"bbox_3d": [x, y, z, x_size, y_size, z_size, angle, angle, angle], "label": "..."}]` in the camera's frame, metres.
"""

import math
from itertools import product
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rewards.visual.boxes import finite_numbers
from rewards.visual.embedded_json import embedded_json
from tasks.message import Json
from tasks.problem import Box3d

MAX_BOXES = 100
MAX_METRES = 1e5
Unit: TypeAlias = Literal["pi", "radians", "degrees"]
Order: TypeAlias = Literal["pitch,yaw,roll", "roll,pitch,yaw"]
Vector: TypeAlias = tuple[float, float, float]
Face: TypeAlias = list[Vector]
_RADIANS = {"pi": math.pi, "radians": 1.0, "degrees": math.pi / 180}
_EPSILON = 1e-12


def boxes_3d_in(text: str) -> list[Box3d] | None:
    """The answer's boxes; None if it is no list of valid ones: one wrong entry makes all of it wrong."""
    answer = embedded_json(text)
    if answer is None:
        return None
    entries = [answer.value] if isinstance(answer.value, dict) else answer.value
    if len(entries) > MAX_BOXES:
        return None
    boxes = [_box(entry) for entry in entries]
    return None if any(box is None for box in boxes) else [box for box in boxes if box is not None]


def axes_of(box: Box3d, unit: Unit, order: Order) -> NDArray[np.float64]:
    """Its three edge directions as columns: turned about x by the pitch, then y by the yaw, then z by the roll, axes of the camera."""
    from scipy.spatial.transform import Rotation

    radians = [angle * _RADIANS[unit] for angle in box.angles]
    pitch, yaw, roll = radians if order == "pitch,yaw,roll" else (radians[1], radians[2], radians[0])
    axes: NDArray[np.float64] = Rotation.from_euler("xyz", [pitch, yaw, roll]).as_matrix()
    return axes


def iou_3d(a: Box3d, b: Box3d, *, unit: Unit = "pi", order: Order = "pitch,yaw,roll") -> float:
    """Intersection over union of the volumes. `b` is moved into the frame of `a`, where it is clipped at six planes."""
    axes_a, axes_b = axes_of(a, unit, order), axes_of(b, unit, order)
    scale = max(*a.size, *b.size)
    between = (np.array(b.center) - np.array(a.center)) @ axes_a / scale
    turned = axes_a.T @ axes_b * (np.array(b.size) / scale / 2)
    corners = {signs: _vector(between + turned @ np.array(signs)) for signs in product((-1, 1), repeat=3)}
    faces = [[corners[signs] for signs in _around(axis, side)] for axis in range(3) for side in (-1, 1)]
    for axis in range(3):
        for side in (-1.0, 1.0):
            faces = _clipped(faces, axis, side, a.size[axis] / scale / 2)
    common = _volume(faces)
    union = (math.prod(a.size) + math.prod(b.size)) / scale**3 - common
    return min(1.0, common / union)


def _box(entry: Json) -> Box3d | None:
    if not isinstance(entry, dict):
        return None
    label = entry.get("label", "")
    numbers = finite_numbers(entry.get("bbox_3d"), 9)
    if numbers is None or not isinstance(label, str) or max(map(abs, numbers)) > MAX_METRES or min(numbers[3:6]) <= 1 / MAX_METRES:
        return None
    x, y, z, x_size, y_size, z_size, *angles = numbers
    return Box3d((x, y, z), (x_size, y_size, z_size), (angles[0], angles[1], angles[2]), label)


def _around(axis: int, side: int) -> list[tuple[int, ...]]:
    """The signs of the four corners of a face, in order around it."""
    loop = ((-1, -1), (-1, 1), (1, 1), (1, -1))
    return [(*pair[:axis], side, *pair[axis:]) for pair in loop]


def _clipped(faces: list[Face], axis: int, side: float, limit: float) -> list[Face]:
    """The faces of the convex body where side * x[axis] <= limit, with the new face where it was cut."""
    kept, cut = [], []
    for face in faces:
        inside: Face = []
        heights = [side * corner[axis] - limit for corner in face]
        for place, corner in enumerate(face):
            height, before = heights[place], heights[place - 1]
            if (height > _EPSILON) != (before > _EPSILON):
                share = before / (before - height)
                point = _between(face[place - 1], corner, share)
                inside.append(point)
                cut.append(point)
            if height <= _EPSILON:
                inside.append(corner)
        if len(inside) >= 3:
            kept.append(inside)
    return [*kept, _ordered(cut, axis)] if len(cut) >= 3 else kept


def _ordered(points: Face, axis: int) -> Face:
    """Corners of a convex face across the axis, in order around its centre."""
    u, v = (axis + 1) % 3, (axis + 2) % 3
    center_u = sum(point[u] for point in points) / len(points)
    center_v = sum(point[v] for point in points) / len(points)
    return sorted(points, key=lambda point: math.atan2(point[v] - center_v, point[u] - center_u))


def _volume(faces: list[Face]) -> float:
    """Of a convex body: the sum of the pyramids over its faces from a point inside."""
    corners = [corner for face in faces for corner in face]
    if not corners:
        return 0.0
    x, y, z = (sum(corner[axis] for corner in corners) / len(corners) for axis in range(3))
    total = 0.0
    for face in faces:
        moved = [(corner[0] - x, corner[1] - y, corner[2] - z) for corner in face]
        total += abs(sum(_determinant(moved[0], moved[place], moved[place + 1]) for place in range(1, len(moved) - 1)))
    return total / 6


def _determinant(a: Vector, b: Vector, c: Vector) -> float:
    return (
        a[0] * (b[1] * c[2] - b[2] * c[1]) - a[1] * (b[0] * c[2] - b[2] * c[0]) + a[2] * (b[0] * c[1] - b[1] * c[0])
    )  # fmt: skip


def _between(a: Vector, b: Vector, share: float) -> Vector:
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]))


def _vector(values: NDArray[np.float64]) -> Vector:
    x, y, z = values.tolist()
    return (x, y, z)
