import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rl.objectives.advantages import AdvantageKind, group_advantages, rewards_differ

KINDS: tuple[AdvantageKind, ...] = ("standardised", "centred", "leave_one_out")
groups = st.lists(st.floats(-10, 10), min_size=1, max_size=16)
differing = groups.filter(lambda rewards: max(rewards) - min(rewards) > 1e-3)


def test_two_right_two_wrong_standardised_is_plus_and_minus_one() -> None:
    assert group_advantages((1, 1, 0, 0), "standardised") == (1.0, 1.0, -1.0, -1.0)


def test_one_right_of_four_by_hand() -> None:
    assert group_advantages((1, 0, 0, 0), "centred") == (0.75, -0.25, -0.25, -0.25)
    assert group_advantages((1, 0, 0, 0), "leave_one_out") == pytest.approx((1, -1 / 3, -1 / 3, -1 / 3), abs=1e-15)
    assert group_advantages((1, 0, 0, 0), "standardised") == pytest.approx((math.sqrt(3), *(-1 / math.sqrt(3),) * 3), abs=1e-15)


def test_the_divisor_of_the_variance_is_n() -> None:
    rewards = (0.2, 0.9, 0.4)
    mean = 0.5
    population = math.sqrt(((0.3) ** 2 + 0.4**2 + 0.1**2) / 3)
    assert group_advantages(rewards, "standardised") == pytest.approx([(r - mean) / population for r in rewards], abs=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rewards", [(), (1.0,), (0.0,) * 8, (1.0,) * 8, (0.1,) * 3, (0.7, 0.7 + 1e-9)])
def test_a_group_without_spread_gets_exact_zeros(kind: AdvantageKind, rewards: tuple[float, ...]) -> None:
    assert not rewards_differ(rewards)
    assert group_advantages(rewards, kind) == (0.0,) * len(rewards)


def test_a_reward_that_is_not_finite_is_refused() -> None:
    with pytest.raises(AssertionError, match="anything else is ungraded"):
        group_advantages((1.0, math.nan), "centred")


@pytest.mark.parametrize("kind", KINDS)
@given(rewards=groups)
def test_advantages_of_a_group_sum_to_zero(kind: AdvantageKind, rewards: list[float]) -> None:
    advantages = group_advantages(rewards, kind)
    assert math.fsum(advantages) == pytest.approx(0, abs=1e-7 * max(1, *map(abs, advantages)))


@pytest.mark.parametrize("kind", KINDS)
@given(rewards=differing, shift=st.floats(-5, 5))
def test_a_constant_added_to_all_rewards_changes_nothing(kind: AdvantageKind, rewards: list[float], shift: float) -> None:
    shifted = group_advantages([reward + shift for reward in rewards], kind)
    assert shifted == pytest.approx(group_advantages(rewards, kind), abs=1e-8)


@given(rewards=differing, scale=st.floats(0.1, 100))
def test_standardised_ignores_the_scale_of_the_rewards_and_the_others_follow_it(rewards: list[float], scale: float) -> None:
    scaled = [reward * scale for reward in rewards]
    assert group_advantages(scaled, "standardised") == pytest.approx(group_advantages(rewards, "standardised"), abs=1e-8)
    assert group_advantages(scaled, "centred") == pytest.approx([a * scale for a in group_advantages(rewards, "centred")], abs=1e-8)


@given(rewards=differing)
def test_standardised_advantages_have_mean_square_one(rewards: list[float]) -> None:
    assert math.fsum(a * a for a in group_advantages(rewards, "standardised")) / len(rewards) == pytest.approx(1)


@given(rewards=differing)
def test_leave_one_out_is_the_reward_minus_the_mean_of_the_others(rewards: list[float]) -> None:
    assume(len(rewards) > 1)
    others = [math.fsum(rewards[:i] + rewards[i + 1 :]) / (len(rewards) - 1) for i in range(len(rewards))]
    expected = [reward - mean for reward, mean in zip(rewards, others, strict=True)]
    assert group_advantages(rewards, "leave_one_out") == pytest.approx(expected, abs=1e-12)
    factor = len(rewards) / (len(rewards) - 1)
    assert group_advantages(rewards, "leave_one_out") == pytest.approx(
        [a * factor for a in group_advantages(rewards, "centred")], abs=1e-12
    )


@pytest.mark.parametrize("kind", KINDS)
@given(rewards=differing)
def test_a_higher_reward_never_has_a_lower_advantage(kind: AdvantageKind, rewards: list[float]) -> None:
    ordered = group_advantages(sorted(rewards), kind)
    assert list(ordered) == sorted(ordered)
