"""Rollout groups to graded groups, by the reward workers."""

import random
from dataclasses import replace

from rewards.isolation import RewardPool
from rewards.outcome import Grade, Outcome
from rewards.transcript import Transcript
from rl.graded import GradedGroup, GradedRollout
from rollouts.rollout import Rollout, RolloutGroup


class Grader:
    """With `coin_flip`, training rewards are fair coins: the control under which nothing can be learnt. Verdicts stay true."""

    def __init__(self, pool: RewardPool, *, coin_flip: bool) -> None:
        self._pool = pool
        self._coin_flip = coin_flip

    async def grade_group(self, group: RolloutGroup, stream: str, *, training: bool) -> GradedGroup:
        problem = group.problem
        transcripts = [transcript(rollout) for rollout in group.rollouts]
        outcomes = await self._pool.grade_many([(problem.reward, problem.target, seen) for seen in transcripts])
        if training and self._coin_flip:
            coin = random.Random(f"{stream}/{problem.id}")
            outcomes = [_flipped(outcome, coin) for outcome in outcomes]
        members = tuple(GradedRollout(rollout, outcome) for rollout, outcome in zip(group.rollouts, outcomes, strict=True))
        return GradedGroup(problem, members, group.failures)


def transcript(rollout: Rollout) -> Transcript:
    """What a reward sees of a rollout."""
    return Transcript(rollout.problem.messages, rollout.response, rollout.executed_calls, complete=rollout.status == "complete")


def _flipped(outcome: Outcome, coin: random.Random) -> Outcome:
    return replace(outcome, reward=float(coin.randrange(2))) if isinstance(outcome, Grade) else outcome
