"""Points in boxes, masks and outlines, against pycocotools and shapely."""

import json

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from pycocotools import mask as coco
from reward_calls import response

from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade
from rewards.visual.boxes import Point
from rewards.visual.regions import area_of
from tasks.gold import read_target
from tasks.problem import Box, BoxesTarget, Mask, Outline, PointsTarget, Target


def worth(points: list[tuple[float, float]], target: Target, **settings: str) -> float:
    text = json.dumps([{"point_2d": list(point)} for point in points])
    outcome = grade_here(RewardSpec((Component("points", settings=settings),)), target, response(text))  # type: ignore[arg-type]
    assert isinstance(outcome, Grade)
    return outcome.reward


@given(st.integers(1, 7), st.integers(1, 7), st.data())
def test_a_mask_of_cocos_tools_is_read_back_pixel_by_pixel(height: int, width: int, data: st.DataObject) -> None:
    bits = np.array(data.draw(st.lists(st.lists(st.booleans(), min_size=width, max_size=width), min_size=height, max_size=height)))
    compressed = coco.encode(np.asfortranarray(bits.astype(np.uint8)))
    target = read_target("points", [{"mask": {"size": [height, width], "counts": compressed["counts"].decode()}}], ())
    assert isinstance(target, PointsTarget)
    area = area_of(target.regions[0])
    for row in range(height):
        for column in range(width):
            assert area.contains(Point((column + 0.5) * 1000 / width, (row + 0.5) * 1000 / height)) == bits[row, column]


def test_a_large_mask_survives_compression() -> None:
    bits = np.zeros((480, 640), np.uint8)
    bits[100:300, 200:500] = 1
    encoded = coco.encode(np.asfortranarray(bits))
    target = read_target("points", [{"mask": {"size": [480, 640], "counts": encoded["counts"]}}], ())
    assert isinstance(target, PointsTarget)
    mask = target.regions[0]
    assert isinstance(mask, Mask)
    assert sum(mask.runs[1::2]) == 200 * 300
    inside = [area_of(mask).contains(Point(x * 1000 / 640, y * 1000 / 480)) for x, y in ((200, 100), (499, 299), (199, 200), (300, 300))]
    assert inside == [True, True, False, False]


def test_the_far_edge_of_the_image_is_its_last_pixel() -> None:
    assert area_of(Mask(2, 2, (3, 1))).contains(Point(1000, 1000))
    assert not area_of(Mask(2, 2, (3, 1))).contains(Point(499, 1000))


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 1000)), min_size=3, max_size=8, unique=True),
    st.floats(0, 1000),
    st.floats(0, 1000),
)
def test_an_outline_contains_what_shapelys_polygon_contains(corners: list[tuple[int, int]], x: float, y: float) -> None:
    polygon = shapely.Polygon(corners)
    assume(polygon.is_valid and polygon.boundary.distance(shapely.Point(x, y)) > 1e-6)
    outline = Outline((tuple(float(value) for corner in corners for value in corner),))
    assert area_of(outline).contains(Point(x, y)) == polygon.contains(shapely.Point(x, y))


TWO = PointsTarget((Box(0, 0, 100, 100), Outline(((500.0, 500.0, 700.0, 500.0, 600.0, 700.0),))))


def test_the_worth_is_the_f1_of_one_point_for_each_region() -> None:
    assert worth([(50, 50), (600, 600)], TWO) == 1
    assert worth([(50, 50)], TWO) == pytest.approx(2 / 3)
    assert worth([(50, 50), (60, 60)], TWO) == pytest.approx(1 / 2)
    assert worth([(510, 690)], TWO) == 0
    assert worth([(x, y) for x in range(0, 1000, 50) for y in range(0, 1000, 50)], TWO) == pytest.approx(4 / 402)


def test_overlapping_regions_share_no_point_but_two_points_serve_both() -> None:
    target = BoxesTarget((Box(0, 0, 100, 100), Box(0, 0, 200, 200)))
    assert worth([(50, 50)], target) == pytest.approx(2 / 3)
    assert worth([(50, 50), (51, 51)], target) == 1
    assert worth([(50, 50), (150, 150)], target) == worth([(150, 150), (50, 50)], target) == 1


def test_pixels_are_scaled_by_the_targets_size() -> None:
    target = PointsTarget((Box(0, 0, 100, 100),), size=(2000, 500))
    assert worth([(190, 40)], target, coordinates="pixels") == 1
    assert worth([(190, 40)], target) == 0


@pytest.mark.parametrize(
    "text", ['[{"point_2d": [50]}]', '[{"point_2d": [NaN, 50]}]', '[{"bbox_2d": [0, 0, 100, 100]}]', "(50, 50)", "[[50, 50]]"]
)
def test_no_list_of_points_is_worth_nothing(text: str) -> None:
    assert grade_here("points", TWO, response(text)).reward == 0  # type: ignore[union-attr]
