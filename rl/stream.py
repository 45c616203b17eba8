"""Graded groups as they are needed: many in flight, in order, of bounded age, and only those that teach something."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from rl.graded import GradedGroup
from tasks.problem import Problem
from tasks.source import Source


class NothingToLearn(RuntimeError):
    """Too many groups gave the same reward to all of its rollouts, or no rollout of a batch is left to train on."""


@dataclass(frozen=True, slots=True)
class Batch:
    """`groups` are as many of each task as its slots; `dropped` ones had equal rewards or no grades, and were replaced."""

    groups: tuple[GradedGroup, ...]
    dropped: tuple[GradedGroup, ...]


class GroupStream:
    """Takes problems from `sources`, runs them, and hands out batches with `slots[task]` groups of each task.

    At most (1 + max_lag) batches of groups are started and not yet taken, counted for each task by itself. `take` pops in the order of
    starting, so a group started under version v is in the batch that trains version v + max_lag at the latest. With max_lag 0 nothing is in
    flight between `take` and `release`: sampling and training alternate, and replacements start together when all else is done, so that
    a run depends on nothing but its seed.

    With `refill`, groups without a signal are replaced. Without it they are part of their batch, and where rewards alone train
    (`needs_signal`) too many of them in a row end the run too.

    `positions` says how far each source has been consumed: the whole state of the stream. `check` sees all groups that arrived for a batch
    before it is handed out, and raises where they are not fit to be trained on.
    """

    def __init__(
        self,
        sources: Mapping[str, Source],
        slots: Mapping[str, int],
        attempt: Callable[[Problem, int], Awaitable[GradedGroup]],
        *,
        max_lag: int,
        refill: bool,
        max_refills: int,
        needs_signal: bool = True,
        positions: Mapping[str, int] | None = None,
        check: Callable[[Sequence[GradedGroup]], None] = lambda groups: None,
    ) -> None:
        self._sources = sources
        self._slots = slots
        self._attempt = attempt
        self._max_lag = max_lag
        self._refill = refill
        self._max_dropped = max_refills * sum(slots.values())
        self._needs_signal = needs_signal
        self._silent: list[GradedGroup] = []
        self._check = check
        self.positions = {task: (positions or {}).get(task, 0) for task in slots}
        self._in_flight: dict[str, deque[asyncio.Task[GradedGroup]]] = {task: deque() for task in slots}

    @property
    def num_in_flight(self) -> int:
        return sum(map(len, self._in_flight.values()))

    def release(self) -> None:
        """Lets problems start until the window of every task is full: to be called when a new version is live."""
        for task, slots in self._slots.items():
            self._start(task, slots * (1 + self._max_lag) - len(self._in_flight[task]))

    async def take(self) -> Batch:
        """The next batch. Raises `NothingToLearn` when more than `max_refills` times its size had no signal: those dropped on the way to
        it, or without `refill` those taken in a row."""
        taken: dict[str, list[GradedGroup]] = {task: [] for task in self._slots}
        dropped: list[GradedGroup] = []
        while missing := {task: n - len(taken[task]) for task, n in self._slots.items() if n > len(taken[task])}:
            for task, number in missing.items():
                self._start(task, number - len(self._in_flight[task]))
            for task in missing:
                while self._in_flight[task] and len(taken[task]) < self._slots[task]:
                    group = await self._in_flight[task].popleft()
                    self.positions[task] += 1
                    if group.has_signal or not self._refill:
                        taken[task].append(group)
                        self._silent = [] if group.has_signal or not self._needs_signal else [*self._silent, group]
                        self._stop_if_many(self._silent, "in a row")
                        continue
                    dropped.append(group)
                    self._stop_if_many(dropped, "before one batch was full")
                    if self._max_lag > 0:
                        self._start(task, 1)
        batch = tuple(group for groups in taken.values() for group in groups)
        self._check((*batch, *dropped))
        return Batch(batch, tuple(dropped))

    async def close(self) -> None:
        """Cancels what is in flight."""
        tasks = [task for queue in self._in_flight.values() for task in queue]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for queue in self._in_flight.values():
            queue.clear()

    def _stop_if_many(self, silent: list[GradedGroup], when: str) -> None:
        if len(silent) > self._max_dropped:
            self._check(silent)
            raise NothingToLearn(_explanation(silent, when))

    def _start(self, task: str, number: int) -> None:
        for _ in range(number):
            position = self.positions[task] + len(self._in_flight[task])
            problem = self._sources[task].problem(position)
            self._in_flight[task].append(asyncio.ensure_future(self._attempt(problem, position)))


def _explanation(silent: list[GradedGroup], when: str) -> str:
    total = len(silent)
    solved = sum(bool(g.rewards) and min(g.rewards) == max(g.rewards) > 0 for g in silent)
    failed = sum(bool(g.rewards) and max(g.rewards) <= 0 for g in silent)
    ungraded = total - solved - failed
    tasks = ", ".join(sorted({group.problem.source for group in silent}))
    return (
        f"{total} groups {when} gave equal rewards to all of their rollouts (tasks: {tasks}): "
        f"{solved} earned the same reward throughout, {failed} earned nothing, {ungraded} could not be graded. "
        "If they are too easy, let the query filter drop them or choose harder problems; if too hard, train the cold start longer, "
        "raise rollout.group_size, or check the reward on a few answers."
    )
