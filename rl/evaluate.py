"""Held-out problems through the same rollouts and grading as training."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import TypeAlias, TypeVar

from rewards.outcome import Ungraded
from rl.graded import GradedGroup
from tasks.problem import Problem

ResultT = TypeVar("ResultT")
Attempt: TypeAlias = Callable[[Problem, int], Awaitable[GradedGroup]]
"""Makes that many rollouts of a problem and grades them; the same seed every time, so that two policies meet the same chances."""


async def attempt_all(problems: Iterable[Problem], samples: int, attempt: Attempt, in_flight: int) -> tuple[GradedGroup, ...]:
    """`samples` rollouts of every problem, in the order of the problems; `in_flight` at one time: each holds its images."""
    return tuple(await some_at_a_time([partial(attempt, problem, samples) for problem in problems], in_flight))


async def some_at_a_time(starts: Sequence[Callable[[], Awaitable[ResultT]]], in_flight: int) -> list[ResultT]:
    """The results, in order, of which at most `in_flight` are being waited for at one time."""
    gate = asyncio.Semaphore(in_flight)

    async def one(start: Callable[[], Awaitable[ResultT]]) -> ResultT:
        async with gate:
            return await start()

    return await asyncio.gather(*map(one, starts))


class TooManyUngraded(RuntimeError):
    """The share of rollouts that could not be made or graded passed `rewards.max_ungraded_share`."""


def check_ungraded(groups: Sequence[GradedGroup], limit: float, where: str) -> None:
    """Raises `TooManyUngraded`, with examples, when more than `limit` of the rollouts of `groups` have no grade."""
    reasons = [f"{m.outcome.reason}: {m.outcome.detail}" for g in groups for m in g.members if isinstance(m.outcome, Ungraded)]
    failures = [failure for group in groups for failure in group.failures]
    share = (len(reasons) + len(failures)) / max(1, sum(len(group.members) + len(group.failures) for group in groups))
    if share > limit:
        examples = "\n  ".join(list(dict.fromkeys([*failures, *reasons]))[:5])
        raise TooManyUngraded(
            f"{share:.0%} of the rollouts of {where} have no grade (rewards.max_ungraded_share={limit}), e.g.\n  {examples}"
        )
