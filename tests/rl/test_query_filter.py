"""Which queries stay: those that the policy answers in at most nine of ten samples."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rewards.outcome import Grade, Outcome, Ungraded
from rewards.plugins import load_plugin
from rl.config.rollout_settings import QueryFilterSettings
from rl.evaluate import TooManyUngraded
from rl.graded import GradedGroup, GradedRollout
from rl.query_filter import PassRate, graders, is_kept, kept_problems, pass_rates, recorded_rates, table_key, waves
from rollouts.rollout import Given, Rollout, Sampled
from tasks.errors import TaskError
from tasks.message import ImagePart, Message, text_message
from tasks.problem import CountTarget, Problem


def problem(name: str, task: str = "algebra") -> Problem:
    return Problem(name, (text_message("user", f"What is {name}?"),), CountTarget(3), "count", task)


def rate(right: int, judged: int = 16) -> PassRate:
    return PassRate("algebra", "p", right, judged)


@pytest.mark.parametrize(
    ("right", "drop_unsolved", "kept"),
    [(16, False, False), (15, False, False), (14, False, True), (1, False, True), (0, False, True), (0, True, False), (1, True, True)],
)
def test_queries_above_nine_in_ten_go_and_unsolved_ones_where_asked(right: int, drop_unsolved: bool, kept: bool) -> None:
    assert is_kept(rate(right), QueryFilterSettings(drop_unsolved=drop_unsolved)) is kept


def test_a_pass_rate_of_exactly_the_limit_stays() -> None:
    assert is_kept(rate(9, 10), QueryFilterSettings(max_pass_rate=0.9))
    # 0.29 * 100 is a little less than 29.
    assert is_kept(rate(29, 100), QueryFilterSettings(max_pass_rate=0.29))


def test_a_query_without_a_grade_goes() -> None:
    assert not is_kept(rate(0, 0), QueryFilterSettings())


@pytest.mark.parametrize("drop_unsolved", [False, True])
def test_a_query_whose_reward_gives_no_verdict_stays(drop_unsolved: bool, tmp_path: Path) -> None:
    async def attempt(asked: Problem, samples: int, wave: int) -> GradedGroup:
        return graded(asked, [Grade(0.5)] * samples)

    settings = QueryFilterSettings(drop_unsolved=drop_unsolved)
    rates = asyncio.run(pass_rates([problem("a")], settings, attempt, tmp_path / "t.jsonl", 0.2, 8))
    assert rates == [PassRate("algebra", "a", 0, 0, 16)]
    assert is_kept(rates[0], settings)


def graded(asked: Problem, outcomes: list[Outcome]) -> GradedGroup:
    def rollout(index: int) -> Rollout:
        turn = Sampled(text_message("assistant", "3"), (7,), (-1.0,), 0)
        return Rollout(asked, index, (Given(asked.messages, (1,)), turn), "complete")

    return GradedGroup(asked, tuple(GradedRollout(rollout(i), outcome) for i, outcome in enumerate(outcomes)))


class Answers:
    """A policy that answers the first `right[problem]` of its samples rightly; it counts how often it is asked."""

    def __init__(self, right: dict[str, int], ungraded: int = 0) -> None:
        self.right = right
        self.ungraded = ungraded
        self.asked = 0

    async def __call__(self, asked: Problem, samples: int, wave: int) -> GradedGroup:
        self.asked += 1
        judged = samples - self.ungraded
        grades = [Grade(float(i < self.right[asked.id]), verdict=i < self.right[asked.id]) for i in range(judged)]
        return graded(asked, [*grades, *[Ungraded("timeout")] * self.ungraded])


def test_rates_are_counted_written_and_reused(tmp_path: Path) -> None:
    table = tmp_path / "below" / "rates.jsonl"
    problems = [problem("a"), problem("b", "boxes")]
    policy = Answers({"a": 15, "b": 3})
    first = asyncio.run(pass_rates(problems, QueryFilterSettings(), policy, table, 0.2, 8))
    assert first == [PassRate("algebra", "a", 15, 16), PassRate("boxes", "b", 3, 16)]
    assert asyncio.run(pass_rates(problems, QueryFilterSettings(), policy, table, 0.2, 8)) == first
    assert policy.asked == 2
    assert [file.name for file in table.parent.iterdir()] == ["rates.jsonl"]


def test_a_run_that_goes_on_takes_what_it_recorded_of_the_same_queries_and_nothing_else(tmp_path: Path) -> None:
    problems = [problem("a"), problem("b", "boxes")]
    recorded = tmp_path / "pass_rates.jsonl"
    rates = asyncio.run(pass_rates(problems, QueryFilterSettings(), Answers({"a": 15, "b": 3}), recorded, 0.2, 8))
    assert recorded_rates(problems, recorded) == rates
    for others, place in ((problems[:1], recorded), (problems, tmp_path / "none.jsonl")):
        with pytest.raises(TaskError, match=rf"{place} does not hold the pass rates of this run's queries.*name=<another>"):
            recorded_rates(others, place)


def test_samples_that_could_not_be_judged_are_not_wrong(tmp_path: Path) -> None:
    rates = asyncio.run(pass_rates([problem("a")], QueryFilterSettings(), Answers({"a": 13}, ungraded=2), tmp_path / "t.jsonl", 0.2, 8))
    assert rates == [PassRate("algebra", "a", 13, 14)]
    assert not is_kept(rates[0], QueryFilterSettings())


def test_a_filter_that_can_hardly_judge_stops_and_leaves_no_table(tmp_path: Path) -> None:
    with pytest.raises(TooManyUngraded, match="timeout"):
        asyncio.run(pass_rates([problem("a")], QueryFilterSettings(), Answers({"a": 3}, ungraded=8), tmp_path / "t.jsonl", 0.2, 8))
    assert list(tmp_path.iterdir()) == []


def test_kept_problems_keep_their_order_and_their_task() -> None:
    pools = {"algebra": [problem("a"), problem("b"), problem("c")], "boxes": [problem("b", "boxes")]}
    rates = [
        PassRate("algebra", "a", 0, 16),
        PassRate("algebra", "b", 16, 16),
        PassRate("algebra", "c", 14, 16),
        PassRate("boxes", "b", 1, 16),
    ]
    kept = kept_problems(pools, rates, QueryFilterSettings())
    assert {task: [p.id for p in left] for task, left in kept.items()} == {"algebra": ["a", "c"], "boxes": ["b"]}


def test_a_task_without_a_query_left_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TaskError, match=r"tasks\.algebra: .* all 1 queries.*max_pass_rate=0\.9"):
        kept_problems({"algebra": [problem("a")]}, [PassRate("algebra", "a", 16, 16)], QueryFilterSettings())


def test_the_tables_name_changes_with_policy_queries_pixels_rewards_and_sampling() -> None:
    asked = problem("a")
    changed = (
        ("other", [asked], [16], "s"),
        ("policy", [asked, problem("b")], [16], "s"),
        ("policy", [replace(asked, reward={"count": 0.9, "format": 0.1})], [16], "s"),
        ("policy", [replace(asked, target=CountTarget(4))], [16], "s"),
        ("policy", [replace(asked, messages=(text_message("user", "another question"),))], [16], "s"),
        ("policy", [asked], [4, 12], "s"),
        ("policy", [asked], [16], "t"),
    )
    pixels = [replace(asked, messages=(Message("user", (ImagePart(PIL.Image.new("RGB", (8, 8), color)),)),)) for color in ("red", "blue")]
    assert table_key("policy", pixels[:1], [16], "s") != table_key("policy", pixels[1:], [16], "s")
    key = table_key("policy", [asked], [16], "s")
    assert key == table_key("policy", [problem("a")], [16], "s")
    assert len({key, *(table_key(*arguments) for arguments in changed)}) == 8


def test_a_reward_of_ones_own_that_is_edited_is_another_grader(tmp_path: Path) -> None:
    file = tmp_path / "own.py"
    code = "from rewards import Grade, reward\n\n@reward('query_filter_own', target='any')\ndef own(target, transcript):\n"
    code += "    return Grade(1.0)\n"
    file.write_text(code)
    load_plugin(str(file))
    asked = [replace(problem("a"), reward="query_filter_own"), problem("b")]
    first = graders(asked)
    assert graders(asked) == first
    file.write_text(code.replace("1.0", "0.5"))
    assert graders(asked) != first


class FixedAnswers:
    """A policy whose 16 samples of each problem are known beforehand; it counts those that were taken."""

    def __init__(self, verdicts: dict[str, list[bool]]) -> None:
        self.verdicts = verdicts
        self.taken = dict.fromkeys(verdicts, 0)

    async def __call__(self, asked: Problem, samples: int, wave: int) -> GradedGroup:
        start = self.taken[asked.id]
        self.taken[asked.id] += samples
        return graded(asked, [Grade(float(right), verdict=right) for right in self.verdicts[asked.id][start : start + samples]])


@given(st.lists(st.booleans(), min_size=16, max_size=16), st.booleans())
def test_stopping_when_certain_keeps_exactly_what_all_samples_keep(verdicts: list[bool], drop_unsolved: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        kept = []
        for early in (False, True):
            settings = QueryFilterSettings(drop_unsolved=drop_unsolved, stop_when_certain=early)
            policy = FixedAnswers({"a": verdicts})
            (found,) = asyncio.run(pass_rates([problem("a")], settings, policy, Path(folder) / f"{early}.jsonl", 0.2, 8))
            kept.append(is_kept(found, settings))
            assert found.judged == policy.taken["a"]
    assert kept[0] == kept[1]


def test_a_query_is_sampled_no_further_once_two_answers_are_wrong(tmp_path: Path) -> None:
    policy = FixedAnswers({"seldom": [False] * 16, "often": [False, True, True, False] + [True] * 12, "always": [True] * 16})
    settings = QueryFilterSettings(stop_when_certain=True)
    problems = [problem("seldom"), problem("often"), problem("always")]
    asyncio.run(pass_rates(problems, settings, policy, tmp_path / "t.jsonl", 0.2, 8))
    assert policy.taken == {"seldom": 2, "often": 4, "always": 16}


@pytest.mark.parametrize(
    ("samples", "max_pass_rate", "expected"),
    [(16, 0.9, (2, 2, 4, 8)), (16, 0.5, (8, 8)), (10, 0.9, (1, 1, 2, 4, 2)), (1, 0.9, (1,)), (4, 0.0, (4,))],
)
def test_samples_are_taken_in_waves_that_double(samples: int, max_pass_rate: float, expected: tuple[int, ...]) -> None:
    assert waves(QueryFilterSettings(samples=samples, max_pass_rate=max_pass_rate, stop_when_certain=True)) == expected


def test_no_more_problems_are_in_flight_than_asked_for(tmp_path: Path) -> None:
    now, most = 0, 0

    async def attempt(asked: Problem, samples: int, wave: int) -> GradedGroup:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0)
        now -= 1
        return graded(asked, [Grade(1.0, verdict=True)] * samples)

    problems = [problem(str(number)) for number in range(20)]
    found = asyncio.run(pass_rates(problems, QueryFilterSettings(), attempt, tmp_path / "t.jsonl", 0.2, 3))
    assert [rate.problem_id for rate in found] == [p.id for p in problems]
    assert most == 3
