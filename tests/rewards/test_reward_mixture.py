import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.errors import RewardError
from rewards.mixture import Component, RewardSpec, combine, describe, spec_of
from rewards.outcome import Grade, Ungraded

VALUES = st.floats(-100, 100)


def mixture(*components: Component) -> RewardSpec:
    return RewardSpec(components)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=5))
def test_a_mixture_is_the_weighted_sum_and_keeps_every_component_raw(pairs: list[tuple[float, float]]) -> None:
    spec = mixture(*(Component("math", weight, name=str(place)) for place, (weight, _) in enumerate(pairs)))
    outcome = combine(spec, tuple(Grade(value) for _, value in pairs))
    assert isinstance(outcome, Grade)
    assert math.isclose(outcome.reward, math.fsum(weight * value for weight, value in pairs), rel_tol=1e-9, abs_tol=1e-9)
    assert outcome.parts == {str(place): value for place, (_, value) in enumerate(pairs)}


@given(VALUES)
def test_one_reward_of_weight_one_is_itself(value: float) -> None:
    outcome = combine(spec_of("math"), (Grade(value, True, "7", {"inner": 0.5}),))
    assert outcome == Grade(value, True, "7", {"math": value, "math/inner": 0.5})


@pytest.mark.parametrize(("verdict", "paid"), [(True, 1.3), (False, 0.0), (None, 1.3)])
def test_a_gated_component_counts_only_where_the_gate_is_right(verdict: bool | None, paid: float) -> None:
    spec = mixture(Component("math"), Component("format", 0.3, gate="math"))
    worth = 0.0 if verdict is False else 1.0
    outcome = combine(spec, (Grade(worth, verdict), Grade(1.0)))
    assert isinstance(outcome, Grade)
    assert outcome.reward == pytest.approx(paid)
    assert outcome.parts["format"] == 1.0


def test_a_gate_without_verdict_opens_above_zero() -> None:
    spec = mixture(Component("length"), Component("format", gate="length"))
    assert combine(spec, (Grade(0.0), Grade(1.0))) == Grade(0.0, None, None, {"length": 0.0, "format": 1.0})


@given(VALUES)
def test_clipping_bounds_the_value_and_normalising_maps_it_to_one(value: float) -> None:
    clipped = Component("length", clip=(-1.0, 3.0))
    assert clipped.value(value) == min(max(value, -1.0), 3.0)
    assert 0.0 <= Component("length", clip=(-1.0, 3.0), normalise=True).value(value) <= 1.0


def test_one_ungraded_component_makes_the_whole_ungraded() -> None:
    spec = mixture(Component("math"), Component("format", 0.1))
    assert combine(spec, (Grade(1.0, True), Ungraded("timeout", "over 1 s"))) == Ungraded("timeout", "format: over 1 s")


def test_verdict_and_answer_are_those_of_the_first_component_that_has_them() -> None:
    spec = mixture(Component("length"), Component("math"), Component("format"))
    outcome = combine(spec, (Grade(0.0), Grade(1.0, True, "4"), Grade(0.0, False, "x")))
    assert (outcome.verdict, outcome.answer) == (True, "4")  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("components", "message"),
    [
        ((), "at least one"),
        ((Component("math"), Component("math")), "two components of a mixture are called 'math'"),
        ((Component("math"), Component("format", gate="mth")), "its gate 'mth' is not another component"),
        ((Component("math", gate="math"),), "not another component"),
        ((Component("math", math.nan),), "weight nan is not a finite number"),
        ((Component("math", clip=(1.0, 0.0)),), "low < high"),
        ((Component("math", normalise=True),), "needs clip"),
    ],
)
def test_an_impossible_mixture_is_refused(components: tuple[Component, ...], message: str) -> None:
    with pytest.raises(RewardError, match=message):
        RewardSpec(components)


def test_weights_by_name_keep_their_order() -> None:
    assert spec_of({"math": 1, "format": 0.1}) == mixture(Component("math", 1.0), Component("format", 0.1))


def test_the_record_says_which_reward_version_and_settings_made_a_grade() -> None:
    record = describe(mixture(Component("boxes", 0.5, {"threshold": 0.7}, name="tight")))
    assert record["tight"] == {
        "reward": "boxes",
        "version": "2",
        "origin": "rewards.verifiers.boxes",
        "weight": 0.5,
        "settings": {"threshold": 0.7, "labels": True, "value": "overlap", "overlap": "iou", "coordinates": "relative"},
        "gate": None,
        "clip": None,
        "normalise": False,
    }


def test_a_mixture_is_written_by_component_as_a_weight_or_in_full() -> None:
    written = {
        "math": 1.0,
        "format": {"weight": 0.2, "gate": "math"},
        "overlong": {"reward": "length", "clip": [-1, 0], "settings": {"limit": 9}},
    }
    assert spec_of(written) == mixture(
        Component("math", 1.0),
        Component("format", 0.2, name="format", gate="math"),
        Component("length", 1.0, {"limit": 9}, name="overlong", clip=(-1.0, 0.0)),
    )


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ({"math": {"wieght": 1}}, r"unknown key of component 'math': 'wieght'; did you mean 'weight'\?"),
        ({"math": {"weight": "1"}}, "component 'math': weight is '1', not a number"),
        ({"math": True}, "its weight is True, not a number"),
        ({"math": {"clip": [1]}}, r"clip a list \[low, high\]"),
        ({"math": {"gate": 3}}, "gate is the name of another component"),
        ({}, "at least one reward"),
    ],
)
def test_a_mixture_that_is_written_wrongly_says_where(written: dict, message: str) -> None:
    with pytest.raises(RewardError, match=message):
        spec_of(written)
