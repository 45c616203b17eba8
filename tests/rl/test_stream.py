"""The stream of groups: bounded age, exact shares of the tasks, an end when there is nothing to learn, and resumption."""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rewards.outcome import Grade, Outcome, Ungraded
from rl.graded import GradedGroup, GradedRollout
from rl.loop import StepDone, train
from rl.signal import SapoSignal
from rl.stream import Batch, GroupStream, NothingToLearn
from rl.training.batch import SapoBatch
from rl.training.learner import UpdateReport
from rollouts.rollout import Given, Rollout, Sampled
from tasks.message import text_message
from tasks.problem import MissingTarget, Problem
from tasks.source import Source

TASKS = ("algebra", "boxes")
Attempt = Callable[[Problem, int], Awaitable[GradedGroup]]


@dataclass(frozen=True)
class Numbered:
    """Problem n of a task has the id `task/n`."""

    name: str
    size: int | None = None

    def problem(self, position: int) -> Problem:
        return Problem(f"{self.name}/{position}", (text_message("user", "?"),), MissingTarget(), "exact", self.name)


@dataclass
class Policy:
    """The learner and the generator of a run in one: all that it has is a version."""

    version: int = 0
    trained: list[Batch] = field(default_factory=list)

    async def update(self, batch: SapoBatch) -> UpdateReport:
        await asyncio.sleep(0)
        return UpdateReport(self.version + 1, 1.0, {})

    async def publish(self, version: int) -> None:
        await asyncio.sleep(0)
        self.version = version

    async def save(self, folder: Path) -> None:
        raise NotImplementedError

    async def load(self, folder: Path) -> None:
        raise NotImplementedError


def graded(problem: Problem, version: int, outcomes: tuple[Outcome, ...]) -> GradedGroup:
    def rollout(index: int) -> Rollout:
        turn = Sampled(text_message("assistant", "!"), (7,), (-1.0,), version)
        return Rollout(problem, index, (Given(problem.messages, (1, 2)), turn), "complete")

    return GradedGroup(problem, tuple(GradedRollout(rollout(i), outcome) for i, outcome in enumerate(outcomes)))


def attempts(policy: Policy, seed: int, drop_share: float, slowest: int) -> Attempt:
    """Groups that take a random number of turns of the event loop and are worth nothing with probability `drop_share`."""

    async def attempt(problem: Problem, position: int) -> GradedGroup:
        rng = random.Random(f"{seed}/{problem.id}")
        version = policy.version
        for _ in range(rng.randint(0, slowest)):
            await asyncio.sleep(0)
        rewards = (1.0, 1.0) if rng.random() < drop_share else (0.0, 1.0)
        return graded(problem, version, tuple(Grade(reward) for reward in rewards))

    return attempt


def sources() -> dict[str, Source]:
    return {task: Numbered(task) for task in TASKS}


def make_stream(attempt: Attempt, slots: Mapping[str, int], max_lag: int, **options: object) -> GroupStream:
    chosen: dict[str, object] = {"refill": True, "max_refills": 1000} | options
    return GroupStream(sources(), slots, attempt, max_lag=max_lag, **chosen)  # type: ignore[arg-type]


async def run(stream: GroupStream, policy: Policy, steps: int) -> None:
    async def after_step(done: StepDone) -> bool:
        policy.trained.append(done.batch)
        return True

    try:
        await train(stream, SapoSignal("standardised", 8), policy, range(steps), after_step)
    finally:
        await stream.close()


def largest_lag(trained: list[Batch]) -> int:
    """Batch number n updates the policy of version n."""
    return max(step - m.rollout.policy_version for step, batch in enumerate(trained) for g in batch.groups for m in g.members)


def trained_with(max_lag: int, slots: Mapping[str, int], seed: int, drop_share: float, slowest: int, steps: int = 6) -> list[Batch]:
    policy = Policy()
    asyncio.run(run(make_stream(attempts(policy, seed, drop_share, slowest), slots, max_lag), policy, steps))
    return policy.trained


SLOTS = st.fixed_dictionaries({task: st.integers(1, 4) for task in TASKS})
RUN = {"slots": SLOTS, "seed": st.integers(0, 10**6), "drop_share": st.sampled_from([0.0, 0.3, 0.7]), "slowest": st.integers(0, 20)}


@settings(deadline=None, max_examples=100)
@given(max_lag=st.integers(0, 3), **RUN)
def test_no_group_is_older_than_max_lag(max_lag: int, slots: dict[str, int], seed: int, drop_share: float, slowest: int) -> None:
    assert largest_lag(trained_with(max_lag, slots, seed, drop_share, slowest)) <= max_lag


@pytest.mark.parametrize("max_lag", [0, 1, 2, 3])
def test_the_bound_is_reached_so_that_one_more_batch_in_flight_would_break_it(max_lag: int) -> None:
    """The control of the test above: its check tells a window from one that is a batch larger."""
    slots = {"algebra": 2, "boxes": 1}
    assert largest_lag(trained_with(max_lag, slots, 0, 0.0, 3)) == max_lag
    assert largest_lag(trained_with(max_lag + 1, slots, 0, 0.0, 3)) > max_lag


class ReleasesDuringTraining(GroupStream):
    """A broken stream, for control: it lets problems start as soon as a batch is taken, under the version before the update."""

    async def take(self) -> Batch:
        batch = await super().take()
        self.release()
        return batch


def test_problems_that_start_before_the_new_version_is_live_break_the_bound() -> None:
    policy = Policy()
    stream = ReleasesDuringTraining(
        sources(), {"algebra": 2, "boxes": 1}, attempts(policy, 0, 0.0, 3), max_lag=0, refill=True, max_refills=10
    )
    asyncio.run(run(stream, policy, 4))
    assert largest_lag(policy.trained) > 0


@settings(deadline=None, max_examples=60)
@given(max_lag=st.integers(0, 3), **RUN)
def test_every_batch_holds_each_tasks_slots_in_the_order_of_the_source(
    max_lag: int, slots: dict[str, int], seed: int, drop_share: float, slowest: int
) -> None:
    trained = trained_with(max_lag, slots, seed, drop_share, slowest)
    for batch in trained:
        assert Counter(group.problem.source for group in batch.groups) == slots
        assert all(group.has_signal for group in batch.groups)
        assert not any(group.has_signal for group in batch.dropped)
    for task in TASKS:
        taken = [_number(g) for batch in trained for g in batch.groups if g.problem.source == task]
        dropped = [_number(g) for batch in trained for g in batch.dropped if g.problem.source == task]
        assert taken == sorted(taken)
        assert sorted(taken + dropped) == list(range(len(taken) + len(dropped)))


def _number(group: GradedGroup) -> int:
    return int(group.problem.id.split("/")[1])


def test_without_refill_groups_that_teach_nothing_are_taken_as_they_are() -> None:
    policy = Policy()
    stream = make_stream(attempts(policy, 0, 1.0, 3), {"algebra": 3}, 1, refill=False)
    asyncio.run(run(stream, policy, 2))
    assert [len(batch.groups) for batch in policy.trained] == [3, 3]
    assert [len(batch.dropped) for batch in policy.trained] == [0, 0]


def test_dropped_groups_are_handed_over_with_the_batch_that_they_were_replaced_in() -> None:
    async def attempt(problem: Problem, position: int) -> GradedGroup:
        return graded(problem, 0, (Grade(0.0), Grade(float(position % 3 == 0))))

    async def first_two() -> list[Batch]:
        stream = make_stream(attempt, {"algebra": 2}, 0)
        return [await stream.take(), await stream.take()]

    one, two = asyncio.run(first_two())
    assert [_number(g) for g in one.groups] == [0, 3]
    assert [_number(g) for g in one.dropped] == [1, 2]
    assert [_number(g) for g in two.groups] == [6, 9]
    assert [_number(g) for g in two.dropped] == [4, 5, 7, 8]


def stream_of_equal_rewards(seen: list[int], signal_at: int, *, needs_signal: bool) -> GroupStream:
    async def attempt(problem: Problem, position: int) -> GradedGroup:
        seen.append(position)
        return graded(problem, 0, (Grade(float(position == signal_at)), Grade(0.0)))

    return make_stream(attempt, {"algebra": 3}, 0, refill=False, max_refills=2, needs_signal=needs_signal)


def test_without_refills_equal_rewards_in_a_row_stop_the_run_too() -> None:
    seen: list[int] = []
    policy = Policy()
    with pytest.raises(NothingToLearn, match=r"7 groups in a row .*tasks: algebra.*0 earned the same.*7 earned nothing.*0 could not be"):
        asyncio.run(run(stream_of_equal_rewards(seen, 4, needs_signal=True), policy, 100))
    assert (policy.version, len(seen)) == (3, 12)  # groups 5 to 11 are the seven


def test_with_a_teacher_equal_rewards_end_nothing() -> None:
    policy = Policy()
    asyncio.run(run(stream_of_equal_rewards([], 4, needs_signal=False), policy, 5))
    assert policy.version == 5


@pytest.mark.parametrize("max_lag", [0, 2])
def test_a_run_in_which_every_group_is_dropped_stops_with_the_reason(max_lag: int) -> None:
    kinds: tuple[tuple[Outcome, ...], ...] = ((Grade(1.0), Grade(1.0)), (Grade(0.0), Grade(0.0)), (Ungraded("timeout"), Ungraded("crash")))

    async def attempt(problem: Problem, position: int) -> GradedGroup:
        return graded(problem, 0, kinds[position % 3])

    async def take() -> None:
        stream = make_stream(attempt, {"algebra": 3}, max_lag, max_refills=4)
        try:
            await asyncio.wait_for(stream.take(), 10)
        finally:
            await stream.close()

    with pytest.raises(
        NothingToLearn, match=r"13 groups .*tasks: algebra.*5 earned the same reward.*4 earned nothing.*4 could not be graded"
    ):
        asyncio.run(take())


def test_between_take_and_release_a_synchronous_stream_has_nothing_in_flight() -> None:
    async def watch() -> list[int]:
        policy = Policy()
        stream = make_stream(attempts(policy, 1, 0.5, 5), {"algebra": 2, "boxes": 3}, 0)
        stream.release()
        counts = [stream.num_in_flight]
        for _ in range(3):
            await stream.take()
            counts.append(stream.num_in_flight)
            stream.release()
        await stream.close()
        return counts

    assert asyncio.run(watch()) == [5, 0, 0, 0]


@settings(deadline=None, max_examples=40)
@given(stopped=st.integers(1, 4), **RUN)
def test_a_synchronous_stream_resumed_from_its_positions_gives_the_same_batches(
    stopped: int, slots: dict[str, int], seed: int, drop_share: float, slowest: int
) -> None:
    def contents(batches: list[Batch]) -> list[tuple[list[str], list[str]]]:
        return [([g.problem.id for g in batch.groups], [g.problem.id for g in batch.dropped]) for batch in batches]

    policy = Policy()
    first = make_stream(attempts(policy, seed, drop_share, slowest), slots, 0)
    asyncio.run(run(first, policy, stopped))
    # Times of completion differ after the stop: they must not matter.
    again = make_stream(attempts(policy, seed, drop_share, slowest), slots, 0, positions=dict(first.positions))
    asyncio.run(run(again, policy, 6 - stopped))
    assert contents(policy.trained) == contents(trained_with(0, slots, seed, drop_share, slowest))


def test_an_asynchronous_stream_resumes_with_the_first_group_that_was_not_taken() -> None:
    policy = Policy()
    stream = make_stream(attempts(policy, 0, 0.0, 3), {"algebra": 2}, 3)
    asyncio.run(run(stream, policy, 2))
    assert stream.positions == {"algebra": 4}


def test_closing_cancels_what_is_in_flight() -> None:
    ended: list[str] = []

    async def attempt(problem: Problem, position: int) -> GradedGroup:
        try:
            await asyncio.sleep(60)
        finally:
            ended.append(problem.id)
        raise AssertionError

    async def start_and_close() -> int:
        stream = make_stream(attempt, {"algebra": 2}, 1)
        stream.release()
        await asyncio.sleep(0)
        await stream.close()
        return stream.num_in_flight

    assert asyncio.run(start_and_close()) == 0
    assert sorted(ended) == ["algebra/0", "algebra/1", "algebra/2", "algebra/3"]


def test_an_attempt_that_raises_ends_the_run_with_its_error() -> None:
    async def attempt(problem: Problem, position: int) -> GradedGroup:
        raise ValueError(f"broken at {position}")

    with pytest.raises(ValueError, match="broken at 0"):
        asyncio.run(run(make_stream(attempt, {"algebra": 2}, 1), Policy(), 2))


def test_a_batch_that_is_not_fit_to_be_trained_on_stops_the_run_before_its_update() -> None:
    policy, seen = Policy(), list[int]()

    def check(groups: Sequence[GradedGroup]) -> None:
        seen.append(len(groups))
        if len(seen) == 2:
            raise RuntimeError("a generator process died")

    stream = make_stream(attempts(policy, 0, 0.0, 0), {"algebra": 2}, 0, check=check)
    with pytest.raises(RuntimeError, match="a generator process died"):
        asyncio.run(run(stream, policy, 3))
    assert (seen, policy.version) == ([2, 2], 1)


def test_where_all_groups_are_dropped_the_check_may_say_why() -> None:
    async def attempt(problem: Problem, position: int) -> GradedGroup:
        return GradedGroup(problem, (), ("RuntimeError: a generator process died",) * 2)

    def check(groups: Sequence[GradedGroup]) -> None:
        raise RuntimeError(groups[0].failures[0])

    with pytest.raises(RuntimeError, match="a generator process died"):
        asyncio.run(make_stream(attempt, {"algebra": 2}, 0, max_refills=1, check=check).take())


def test_a_batch_whose_rollouts_were_all_left_out_stops_the_run_with_the_keys_to_change() -> None:
    async def attempt(problem: Problem, position: int) -> GradedGroup:
        group = graded(problem, 0, (Grade(0.0), Grade(1.0)))
        return replace(group, members=tuple(replace(member, left_out=True) for member in group.members))

    policy = Policy()
    with pytest.raises(NothingToLearn, match=r"4 of 4 were ended by a limit and left out, 0 could not .* rollout.over_limit=penalised"):
        asyncio.run(run(make_stream(attempt, {"algebra": 2}, 0, refill=False), policy, 1))
    assert policy.version == 0
