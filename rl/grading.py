"""Rollout groups to graded groups, by the reward workers."""

import random
from dataclasses import replace

from rewards.isolation import RewardPool
from rewards.outcome import Grade, Outcome
from rewards.transcript import Transcript
from rl.config.rollout_settings import OverLimit
from rl.graded import GradedGroup, GradedRollout
from rollouts.rollout import Rollout, RolloutGroup


class Grader:
    """With `coin_flip`, training rewards are fair coins: the control under which nothing can be learnt. Verdicts stay true.

    In training, a rollout that a limit ended is graded as it is, or by `over_limit` no part of the update, or loses `penalty`.
    """

    def __init__(self, pool: RewardPool, *, coin_flip: bool, over_limit: OverLimit = "graded", penalty: float = 0.0) -> None:
        self._pool = pool
        self._coin_flip = coin_flip
        self._over_limit = over_limit
        self._penalty = penalty

    async def grade_group(self, group: RolloutGroup, stream: str, *, training: bool) -> GradedGroup:
        problem = group.problem
        transcripts = [transcript(rollout) for rollout in group.rollouts]
        outcomes = await self._pool.grade_many([(problem.reward, problem.target, seen) for seen in transcripts])
        if training and self._coin_flip:
            coin = random.Random(f"{stream}/{problem.id}")
            outcomes = [_flipped(outcome, coin) for outcome in outcomes]
        pairs = tuple(zip(group.rollouts, outcomes, strict=True))
        if not training:
            return GradedGroup(problem, tuple(GradedRollout(*pair) for pair in pairs), group.failures)
        members = tuple(GradedRollout(rollout, self._penalised(rollout, outcome), self._is_left_out(rollout)) for rollout, outcome in pairs)
        return GradedGroup(problem, members, group.failures)

    def _is_left_out(self, rollout: Rollout) -> bool:
        return self._over_limit == "left_out" and rollout.is_over_limit

    def _penalised(self, rollout: Rollout, outcome: Outcome) -> Outcome:
        if not (self._over_limit == "penalised" and rollout.is_over_limit and isinstance(outcome, Grade)):
            return outcome
        parts = {**outcome.parts, "over_limit": -self._penalty}
        return replace(outcome, reward=outcome.reward - self._penalty, parts=parts)


def transcript(rollout: Rollout) -> Transcript:
    """What a reward sees of a rollout."""
    problem, complete = rollout.problem, not rollout.is_over_limit
    return Transcript(problem.messages, rollout.response, rollout.executed_calls, complete, problem.expected_calls)


def _flipped(outcome: Outcome, coin: random.Random) -> Outcome:
    return replace(outcome, reward=float(coin.randrange(2))) if isinstance(outcome, Grade) else outcome
