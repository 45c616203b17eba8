"""Advantages of a group: how much better each rollout did than the group it belongs to.

The rewards are those of the *graded* rollouts of one problem. An ungraded rollout has no reward to pass, hence no part in
mean or spread and no advantage: it stays out of the batch.
"""

import math
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

AdvantageKind: TypeAlias = Literal["standardised", "centred", "leave_one_out"]

MIN_STD = 1e-6
"""A group whose population standard deviation is not above this teaches nothing: all its advantages are exactly 0."""


def group_advantages(rewards: Sequence[float], kind: AdvantageKind) -> tuple[float, ...]:
    """One advantage for each reward, in order; they sum to 0. All are 0 where `rewards_differ` is False.

    - `standardised`: (R - mean) / std (GRPO, arXiv 2402.03300; SAPO, arXiv 2511.20347, Eq. 2). The papers leave the divisor of the variance
      open. Here it is N (population), so that advantages have mean square 1 in a group of any size, also where some rollouts are ungraded;
      N - 1, as in other implementations, makes them smaller by sqrt((N - 1) / N). Nothing is added to the std: `MIN_STD` is the guard.
    - `centred`: R - mean (Dr. GRPO, arXiv 2503.20783): hard and easy groups are not blown up.
    - `leave_one_out`: R - mean of the others (RLOO, arXiv 2402.14740), which is N / (N - 1) times `centred`.
    """
    assert all(map(math.isfinite, rewards)), f"rewards {tuple(rewards)}: a grade is finite, anything else is ungraded"
    if not rewards_differ(rewards):
        return (0.0,) * len(rewards)
    mean = _mean(rewards)
    scale = _SCALES[kind](rewards)
    return tuple((reward - mean) * scale for reward in rewards)


def rewards_differ(rewards: Sequence[float]) -> bool:
    """Whether the group has anything to teach: its population standard deviation is above `MIN_STD`."""
    return _std(rewards) > MIN_STD


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _std(values: Sequence[float]) -> float:
    if not values:
        return 0.0
    mean = _mean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))


_SCALES: dict[AdvantageKind, Callable[[Sequence[float]], float]] = {
    "standardised": lambda rewards: 1.0 / _std(rewards),
    "centred": lambda rewards: 1.0,
    "leave_one_out": lambda rewards: len(rewards) / (len(rewards) - 1),
}
