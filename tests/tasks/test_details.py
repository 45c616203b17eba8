"""Scenes with details: what an overview hides, a crop shows."""

import random

import numpy as np
import PIL.Image
import pytest

from rollouts.tools.zoom import zoom_in
from tasks.errors import TaskError
from tasks.families import make_family
from tasks.families.details import Details, Plate, close_up, draw_plates
from tasks.problem import CountTarget


def seen(image: PIL.Image.Image, size: int) -> np.ndarray:
    return np.asarray(image.resize((size, size), PIL.Image.Resampling.BICUBIC), dtype=np.float64)


def plate(digit: int) -> Plate:
    return Plate("white", digit, 1, 1, 0, 0)


def differences(size: int, box: tuple[int, int, int, int]) -> list[float]:
    """Of each pair of digits, the pixels that differ by more than a quarter of the range, seen at `size`."""
    views = [seen(draw_plates((plate(digit),)).crop(box), size) for digit in range(10)]
    return [float((np.abs(a - b).max(-1) > 64).sum()) for n, a in enumerate(views) for b in views[:n]]


def test_digits_differ_by_a_pixel_or_two_in_the_overview_and_by_many_in_the_crop() -> None:
    overview, crop = differences(96, (0, 0, 500, 500)), differences(32, (234, 234, 266, 266))
    assert max(overview) <= 2
    assert min(crop) >= 24
    assert np.median(crop) > 50 * np.median(overview)


@pytest.mark.parametrize(("none", "two", "crops"), [(1.0, 0.0, 0), (0.0, 0.0, 1), (0.0, 1.0, 2)])
def test_as_many_crops_are_shown_as_the_question_takes(none: float, two: float, crops: int) -> None:
    family = Details(none=none, two=two)
    for seed in range(20):
        example = family.make(random.Random(seed))
        assert example.expected_calls == crops == sum(turn.count("<tool_call>") for turn in example.calling_turns)
        assert isinstance(example.target, CountTarget)
        assert f"\\boxed{{{example.target.count}}}" in example.demonstration


def test_a_plate_from_near_is_read_without_a_crop_and_looks_as_its_crop_does() -> None:
    for seed in range(20):
        example = Details(none=1.0, near=1.0, two=0.0).make(random.Random(seed))
        (image,) = example.messages[0].images
        assert (example.expected_calls, example.calling_turns, image.size) == (0, (), (32, 32))
        assert example.messages[0].text.startswith("Digit on ")
        assert isinstance(example.target, CountTarget)
        assert f"{example.target.count}\n</think>" in example.demonstration
    there = Plate("red", 8, 0, 2, 1, -2)
    crop = zoom_in(draw_plates((there,)), bbox_2d=list(there.box), label="red", min_tokens=1)
    np.testing.assert_array_equal(np.asarray(close_up(there)), np.asarray(crop))


@pytest.mark.parametrize(("glance", "digits", "certain"), [(0.0, 10, 7 / 9), (0.5, 10, 7 / 9), (1.0, 10, 7 / 9), (0.5, 2, 1.0)])
def test_which_of_two_is_larger_and_the_share_of_right_guesses_that_is_shown(glance: float, digits: int, certain: float) -> None:
    family = Details(none=0.0, two=1.0, which=True, glance=glance, digits=digits)
    right, shown = 0, 0
    for seed in range(400):
        example = family.make(random.Random(seed))
        assert isinstance(example.target, CountTarget)
        assert example.expected_calls == 2
        first = int(_seen(example.calling_turns[1]) if len(example.calling_turns) == 2 else _seen(example.demonstration))
        guess = 1 if first >= digits / 2 else 2
        right += guess == example.target.count
        if len(example.calling_turns) == 1:
            shown += 1
            assert guess == example.target.count, "a wrong guess must not be taught"
        assert f"\\boxed{{{example.target.count}}}" in example.demonstration
    assert right / 400 == pytest.approx(certain, abs=0.08)  # of ten digits (9 + 8 + 7 + 6 + 5) / 45
    assert shown / right == pytest.approx(glance, abs=0.1)


def _seen(turn: str) -> str:
    """The digit that a turn says it read."""
    return turn.removeprefix("<think>\n").split()[1]


def test_plates_lie_no_further_from_their_places_than_asked_for() -> None:
    moved = [max(abs(plate.right), abs(plate.down)) for seed in range(40) for plate in Details(shift=2)._plates(random.Random(seed), 3)]
    assert max(moved) == 2


def test_a_crop_holds_the_whole_label() -> None:
    for right in (-7, 7):
        for down in (-7, 7):
            crop = np.asarray(close_up(Plate("red", 8, 0, 2, right, down)))
            white_or_black = (crop == 255).all(-1) | (crop == 0).all(-1)
            assert int(white_or_black.sum()) == 14 * 18


@pytest.mark.parametrize(
    "options",
    [
        {"none": 0.7, "two": 0.7},
        {"digits": 1},
        {"digits": 11},
        {"shift": 8},
        {"near": 2.0},
        {"glance": 0.5},
        {"which": True, "glance": 2.0},
    ],
)
def test_impossible_options_are_errors(options: dict[str, float]) -> None:
    with pytest.raises(TaskError):
        make_family("details", options)
