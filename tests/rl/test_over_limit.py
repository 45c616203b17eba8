"""What becomes of rollouts that a limit ended."""

from collections.abc import AsyncIterator

import pytest
from made_run import algebra, rollout_of

from rewards.isolation import RewardPool
from rewards.outcome import Grade
from rl.config.rollout_settings import OverLimit
from rl.graded import GradedGroup
from rl.grading import Grader
from rollouts.rollout import RolloutGroup

RIGHT = "\\boxed{4}"
PROBLEM = algebra(1)
GROUP = RolloutGroup(PROBLEM, (rollout_of(PROBLEM, 0, RIGHT), rollout_of(PROBLEM, 1, RIGHT, "over_turns")))


@pytest.fixture
async def pool() -> AsyncIterator[RewardPool]:
    async with RewardPool(timeout_s=60.0) as pool:
        yield pool


async def graded(pool: RewardPool, over_limit: OverLimit, *, training: bool) -> GradedGroup:
    return await Grader(pool, coin_flip=False, over_limit=over_limit, penalty=0.25).grade_group(GROUP, "s", training=training)


async def test_penalised_ones_lose_the_penalty_in_training_and_say_so(pool: RewardPool) -> None:
    as_they_are = await graded(pool, "graded", training=True)
    penalised = await graded(pool, "penalised", training=True)
    assert penalised.rewards == (as_they_are.rewards[0], as_they_are.rewards[1] - 0.25)
    first, second = (member.outcome for member in penalised.members)
    assert isinstance(first, Grade)
    assert isinstance(second, Grade)
    assert "over_limit" not in first.parts
    assert second.parts["over_limit"] == -0.25


async def test_left_out_ones_are_graded_and_not_trained_on(pool: RewardPool) -> None:
    as_they_are = await graded(pool, "graded", training=True)
    left_out = await graded(pool, "left_out", training=True)
    assert left_out.rewards == as_they_are.rewards[:1]
    assert [member.outcome for member in left_out.members] == [member.outcome for member in as_they_are.members]


@pytest.mark.parametrize("over_limit", ["left_out", "penalised"])
async def test_evaluation_grades_them_as_they_are(pool: RewardPool, over_limit: OverLimit) -> None:
    assert await graded(pool, over_limit, training=False) == await graded(pool, "graded", training=True)
