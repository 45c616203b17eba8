"""Held-out problems through the same rollouts and grading as training."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeAlias

from rewards.outcome import Ungraded
from rl.graded import GradedGroup
from tasks.problem import Problem

Attempt: TypeAlias = Callable[[Problem, int], Awaitable[GradedGroup]]
"""Makes that many rollouts of a problem and grades them; the same seed every time, so that two policies meet the same chances."""


async def attempt_all(problems: Iterable[Problem], samples: int, attempt: Attempt) -> tuple[GradedGroup, ...]:
    """`samples` rollouts of every problem, all in flight at once; in the order of the problems."""
    return tuple(await asyncio.gather(*(attempt(problem, samples) for problem in problems)))


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
