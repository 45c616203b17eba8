"""Overlaps of turned boxes against volumes worked by hand and qhull's, their laws, and the angle conventions."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reward_calls import response
from scipy.optimize import linprog
from scipy.spatial import ConvexHull, HalfspaceIntersection

from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade
from rewards.visual.boxes3d import axes_of, iou_3d
from tasks.problem import Box3d, Boxes3dTarget

CUBE = Box3d((0, 0, 5), (2, 2, 2), (0, 0, 0))
place = st.floats(-1.5, 1.5)
length = st.floats(0.2, 3)
angle = st.floats(-1, 1)
boxes = st.builds(Box3d, st.tuples(place, place, place), st.tuples(length, length, length), st.tuples(angle, angle, angle))


def volume_by_qhull(a: Box3d, b: Box3d) -> float:
    rows = []
    for box in (a, b):
        for axis, size in zip(axes_of(box, "pi", "pitch,yaw,roll").T, box.size, strict=True):
            middle = axis @ np.array(box.center)
            rows += [[*axis, -middle - size / 2], [*-axis, middle - size / 2]]
    planes = np.array(rows)
    # The centre of the largest ball inside all planes.
    ball = linprog([0, 0, 0, -1], A_ub=np.c_[planes[:, :3], np.ones(12)], b_ub=-planes[:, 3], bounds=[(None, None)] * 3 + [(0, None)])
    if ball.status == 2 or ball.x[3] < 1e-7:
        return 0.0
    return float(ConvexHull(HalfspaceIntersection(planes, ball.x[:3]).intersections).volume)


@settings(max_examples=60, deadline=None)
@given(boxes, boxes)
def test_the_overlap_is_qhulls(a: Box3d, b: Box3d) -> None:
    common = volume_by_qhull(a, b)
    assert iou_3d(a, b) == pytest.approx(common / (math.prod(a.size) + math.prod(b.size) - common), abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(boxes, boxes, st.tuples(place, place, place))
def test_the_overlap_is_symmetric_bounded_and_the_same_when_both_move(a: Box3d, b: Box3d, shift: tuple[float, float, float]) -> None:
    def moved(box: Box3d) -> Box3d:
        x, y, z = (value + by for value, by in zip(box.center, shift, strict=True))
        return Box3d((x, y, z), box.size, box.angles)

    assert 0 <= iou_3d(a, b) <= 1
    assert iou_3d(a, b) == pytest.approx(iou_3d(b, a), abs=1e-9)
    assert iou_3d(moved(a), moved(b)) == pytest.approx(iou_3d(a, b), abs=1e-9)
    assert iou_3d(a, a) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    ("other", "overlap"),
    [
        (CUBE, 1),
        (Box3d((1, 0, 5), (2, 2, 2), (0, 0, 0)), 1 / 3),
        (Box3d((1, 1, 6), (2, 2, 2), (0, 0, 0)), 1 / 15),
        (Box3d((2, 0, 5), (2, 2, 2), (0, 0, 0)), 0),
        (Box3d((9, 9, 9), (2, 2, 2), (0, 0, 0)), 0),
        (Box3d((0, 0, 5), (1, 1, 1), (0, 0, 0)), 1 / 8),
        (Box3d((0, 0, 5), (2, 2, 2), (0.5, 0, 0)), 1),
        # A square turned by 45 degrees on itself is a regular octagon: 8 (sqrt 2 - 1) of 4, of half side 1.
        (Box3d((0, 0, 5), (2, 2, 2), (0, 0.25, 0)), 8 * (math.sqrt(2) - 1) / (8 - 8 * (math.sqrt(2) - 1))),
        (Box3d((0, 0, 5), (1000, 1000, 1000), (0, 0, 0)), 8e-9),
    ],
)
def test_overlaps_with_a_cube_worked_by_hand(other: Box3d, overlap: float) -> None:
    assert iou_3d(CUBE, other) == pytest.approx(overlap, abs=1e-9)


def test_angles_turn_about_x_then_y_then_z_as_published() -> None:
    pitch, yaw, roll = 0.3, -0.7, 1.1
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), -math.sin(pitch)], [0, math.sin(pitch), math.cos(pitch)]])
    about_y = np.array([[math.cos(yaw), 0, math.sin(yaw)], [0, 1, 0], [-math.sin(yaw), 0, math.cos(yaw)]])
    about_z = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    expected = about_z @ about_y @ about_x
    box = Box3d((0, 0, 0), (1, 1, 1), (pitch, yaw, roll))
    assert axes_of(box, "radians", "pitch,yaw,roll") == pytest.approx(expected)
    assert axes_of(Box3d(box.center, box.size, (roll, pitch, yaw)), "radians", "roll,pitch,yaw") == pytest.approx(expected)
    in_pi = Box3d(box.center, box.size, (pitch / math.pi, yaw / math.pi, roll / math.pi))
    assert axes_of(in_pi, "pi", "pitch,yaw,roll") == pytest.approx(expected)


LONG = Boxes3dTarget((Box3d((0, 0, 5), (4, 1, 1), (0, 0.5, 0), "car"),))


def worth(text: str, **chosen: str) -> float:
    outcome = grade_here(RewardSpec((Component("boxes_3d", settings=chosen),)), LONG, response(text))  # type: ignore[arg-type]
    assert isinstance(outcome, Grade)
    return outcome.reward


def answer(*numbers: float, label: str = "car") -> str:
    return json.dumps([{"bbox_3d": list(numbers), "label": label}])


def test_the_unit_and_the_order_of_the_angles_are_settings() -> None:
    exact = answer(0, 0, 5, 4, 1, 1, 0, 0.5, 0)
    assert worth(exact) == pytest.approx(1)
    turned = answer(0, 0, 5, 4, 1, 1, 0, 0, 0)
    assert worth(turned) == pytest.approx(1 / 7)
    # Half a degree, half a radian: gold and answer are read alike, so only the difference to no turn shows.
    assert worth(turned, angle_unit="degrees") > 0.95
    assert worth(turned, angle_unit="degrees") > worth(turned, angle_unit="radians") > worth(turned)
    assert worth(turned, angle_order="roll,pitch,yaw") == pytest.approx(1)


@pytest.mark.parametrize(
    "text",
    [
        answer(0, 0, 5, 4, 1, -1, 0, 0.5, 0),
        answer(0, 0, 5, 4, 1, 1),
        answer(0, 0, 5, 1e300, 1e300, 1e300, 0, 0, 0),
        answer(0, 0, 5, 900, 900, 900, 0, 0, 0),
        answer(0, 0, 5, 4, 1, 1, 0, 0.5, 0, label="dog"),
        answer(0, 0, 5, 4, 1, 1, 0, 0.5, 0).replace("0.5", "NaN"),
        "<think>" + answer(0, 0, 5, 4, 1, 1, 0, 0.5, 0) + "</think>",
        answer(0, 0, 5, 4, 1, 1, 0, 0.5, 0) * 2,
        json.dumps(json.loads(answer(0, 0, 5, 4, 1, 1, 0, 0.5, 0)) * 101),
    ],
)
def test_what_was_not_found_is_not_paid(text: str) -> None:
    assert worth(text) < 1e-6
