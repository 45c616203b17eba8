"""Overlaps of boxes against shapely and worked values, their laws, and what the grounding reward pays for."""

import json

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from reward_calls import response

from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade, Ungraded
from rewards.visual.boxes import giou, iou, items_in
from tasks.problem import Box, BoxesTarget, Target

side = st.floats(0, 1000)


@st.composite
def boxes(draw: st.DrawFn) -> Box:
    x, y = draw(st.floats(0, 900)), draw(st.floats(0, 900))
    return Box(x, y, x + draw(st.floats(0.5, 100)), y + draw(st.floats(0.5, 100)))


def grade(answer: object, target: Target, reward: str = "boxes", **settings: object) -> Grade | Ungraded:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return grade_here(RewardSpec((Component(reward, settings=settings),)), target, response(text))  # type: ignore[arg-type]


def worth(answer: object, target: Target, reward: str = "boxes", **settings: object) -> float:
    outcome = grade(answer, target, reward, **settings)
    assert isinstance(outcome, Grade)
    return outcome.reward


def entry(*corners: float, label: str = "cup") -> dict[str, object]:
    return {"bbox_2d": list(corners), "label": label}


@given(boxes(), boxes())
def test_iou_is_shapelys(a: Box, b: Box) -> None:
    first, second = (shapely.box(box.x1, box.y1, box.x2, box.y2) for box in (a, b))
    assert iou(a, b) == pytest.approx(first.intersection(second).area / first.union(second).area, abs=1e-9)


@given(boxes(), boxes())
def test_giou_is_shapelys_hull_formula(a: Box, b: Box) -> None:
    first, second = (shapely.box(box.x1, box.y1, box.x2, box.y2) for box in (a, b))
    union, around = first.union(second).area, shapely.box(*first.union(second).bounds).area
    assert giou(a, b) == pytest.approx(first.intersection(second).area / union - (around - union) / around, abs=1e-9)


@given(boxes(), boxes(), st.floats(-500, 500), st.floats(0.01, 100))
def test_overlaps_are_symmetric_bounded_and_the_same_moved_or_scaled(a: Box, b: Box, shift: float, scale: float) -> None:
    def moved(box: Box) -> Box:
        return Box(*((corner + shift) * scale for corner in (box.x1, box.y1, box.x2, box.y2)))

    assert iou(a, b) == pytest.approx(iou(b, a), abs=1e-12)
    assert giou(a, b) == pytest.approx(giou(b, a), abs=1e-12)
    assert 0 <= iou(a, b) <= 1
    assert -1 < giou(a, b) <= iou(a, b) + 1e-12
    assert iou(moved(a), moved(b)) == pytest.approx(iou(a, b), abs=1e-8)
    assert iou(a, a) == giou(a, a) == 1


def test_overlaps_worked_by_hand() -> None:
    a, b = Box(0, 0, 2, 2), Box(1, 1, 3, 3)
    assert iou(a, b) == pytest.approx(1 / 7)
    assert giou(a, b) == pytest.approx(1 / 7 - 2 / 9)
    assert giou(Box(0, 0, 1, 1), Box(2, 0, 3, 1)) == pytest.approx(-1 / 3)


CUP = BoxesTarget((Box(200, 200, 400, 400, "cup"),))
PAIR = BoxesTarget((Box(0, 0, 100, 100, "cup"), Box(50, 0, 150, 100, "cup")))


def test_the_assignment_is_the_best_one_and_not_the_greedy_one() -> None:
    answer = [entry(40, 0, 140, 100), entry(60, 0, 160, 100)]
    # Greedy gives the first gold box to 40 (60/140), then 60 to the second (90/110); so does the best, whatever the order.
    assert worth(answer, PAIR) == worth(answer[::-1], PAIR) == pytest.approx((60 / 140 + 90 / 110) / 2)


def test_each_value_is_as_asked_for() -> None:
    answer = [entry(200, 200, 400, 320)]
    assert worth(answer, CUP) == pytest.approx(0.6)
    assert worth(answer, CUP, value="f1") == 1
    assert worth(answer, CUP, value="f1", threshold=0.7) == 0
    assert worth([entry(100, 100, 300, 300)], CUP, overlap="giou") == 0
    assert worth([entry(200, 200, 300, 400)], CUP, overlap="giou") == pytest.approx(0.5)
    assert worth([entry(200, 200, 400, 400), entry(600, 600, 900, 900)], CUP, value="f1") == pytest.approx(2 / 3)


def test_pixels_are_those_of_the_image_of_the_target() -> None:
    target = BoxesTarget(CUP.boxes, size=(640, 480))
    pixels = [entry(128, 96, 256, 192)]
    assert worth(pixels, target, coordinates="pixels") == pytest.approx(1)
    assert worth(pixels, target) < 0.2
    assert worth([entry(128, 96, 256, 481)], target, coordinates="pixels") == 0
    assert grade(pixels, CUP, coordinates="pixels") == grade("", CUP, coordinates="pixels")
    assert grade(pixels, CUP, coordinates="pixels").reason == "no-image-size"  # type: ignore[union-attr]


@given(st.lists(boxes(), min_size=1, max_size=4), st.lists(boxes(), min_size=1, max_size=6))
def test_the_worth_is_bounded_and_a_spare_copy_never_pays(gold: list[Box], found: list[Box]) -> None:
    target = BoxesTarget(tuple(gold))
    answer = [entry(box.x1, box.y1, box.x2, box.y2, label="") for box in found]
    exact = [entry(box.x1, box.y1, box.x2, box.y2, label="") for box in gold]
    assert 0 <= worth(answer, target) <= 1 + 1e-9
    assert worth(exact, target) == pytest.approx(1)
    assert worth(exact * 2, target) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    "answer",
    [
        [entry(0, 0, 1000, 1000)],
        [entry(x, y, x + 100, y + 100) for x in range(0, 1000, 100) for y in range(0, 1000, 100)],
        [entry(400, 400, 200, 200)],
        [entry(-200, 200, 400, 400)],
        [entry(200, 200, 400, 1e300)],
        '[{"bbox_2d": [200, 200, 400, NaN]}]',
        '[{"bbox_2d": [200, 200, 400, -Infinity]}]',
        '[{"bbox_2d": [200, 200, 400, 4' + "0" * 6000 + "]}]",
        [entry(200, 200, 200, 400)],
        [entry(200, 200, 400)],
        [[[[entry(200, 200, 400, 400)]]]],
        [entry(200, 200, 400, 400, label="dog")],
        [entry(200, 200, 400, 400), {"point_2d": [300, 300]}],
        "<think>" + json.dumps([entry(200, 200, 400, 400)]) + "</think>",
        "<think>" + json.dumps([entry(200, 200, 400, 400)]),
        json.dumps([entry(200, 200, 400, 400)]) * 2,
        json.dumps([entry(200, 200, 400, 400)]) + " or " + json.dumps([entry(0, 0, 9, 9)]),
        "```json\n[]\n```\n" + json.dumps([entry(200, 200, 400, 400)]),
        "[" * 50_000 + json.dumps(entry(200, 200, 400, 400)) + "]" * 50_000,
        '{"a": ' * 20_000 + "1" + "}" * 20_000,
        '[{"bbox_2d": [200, 200, 400, int("400")]}]',
        '[{"bbox_2d": ["200", 200, 400, 400]}]',
        '[{"bbox_2d": [200, 200, 400, 400], "label": 3}]',
        [entry(200, 200, 400, 400)] * 501,
    ],
    ids=lambda answer: str(answer)[:40],
)
def test_what_was_not_found_is_not_paid(answer: object) -> None:
    assert worth(answer, CUP) <= 0.05


def test_chinese_words_around_the_json_and_chinese_labels_are_read() -> None:
    target = BoxesTarget((Box(200, 200, 400, 400, "红色杯子"),))
    assert worth('<think>看图</think>红色杯子在这里：\n```json\n[{"bbox_2d": [200,200,400,400], "label": "红色杯子"}]\n```', target) == 1
    assert worth('[{"bbox_2d": [200,200,400,400], "label": "蓝色杯子"}]', target) == 0


def test_items_keep_the_words_around_them() -> None:
    found = items_in('Two of them:\n```json\n[{"point_2d": [1, 2]}, {"point_2d": [3, 4]}]\n```\nDone.')
    assert found is not None
    assert len(found) == 2
    assert found.words.split() == ["Two", "of", "them:", "Done."]
