"""Held-out problems through the same rollouts and grading as training."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeAlias

from rl.graded import GradedGroup
from tasks.problem import Problem

Attempt: TypeAlias = Callable[[Problem, int], Awaitable[GradedGroup]]
"""Makes that many rollouts of a problem and grades them; the same seed every time, so that two policies meet the same chances."""


async def attempt_all(problems: Iterable[Problem], samples: int, attempt: Attempt) -> tuple[GradedGroup, ...]:
    """`samples` rollouts of every problem, all in flight at once; in the order of the problems."""
    return tuple(await asyncio.gather(*(attempt(problem, samples) for problem in problems)))
