"""Function calls: labelled cases, and the laws behind them."""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reward_calls import response

from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade
from rewards.transcript import Transcript
from tasks.gold import read_target
from tasks.message import ExecutedCall, Message, TextPart, ToolCall, text_message
from tasks.problem import FunctionCallTarget

CASES = [json.loads(line) for line in (Path(__file__).parents[1] / "data/rewards/function_calls.jsonl").read_text().splitlines()]
ADD = {"name": "add", "arguments": {"a": 1, "b": 2}}


def target(gold: object) -> FunctionCallTarget:
    read = read_target("function_call", gold, ())
    assert isinstance(read, FunctionCallTarget)
    return read


def graded(gold: object, transcript: Transcript, **settings: bool) -> Grade:
    outcome = grade_here(RewardSpec((Component("function_call", settings=settings),)), target(gold), transcript)
    assert isinstance(outcome, Grade)
    return outcome


def calls_text(calls: Sequence[object]) -> str:
    return "".join(f"<tool_call>\n{json.dumps(call)}\n</tool_call>" for call in calls)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{json.dumps(case['gold'])[:30]}: {case['response'][:50]}")
def test_calls_earn_what_they_are_worth(case: dict) -> None:  # type: ignore[type-arg]
    assert graded(case["gold"], response(case["response"])).reward == case["worth"]


names = st.sampled_from(["f", "g"])
values = st.one_of(st.integers(0, 3), st.text("ab", max_size=2), st.lists(st.integers(0, 2), max_size=2), st.booleans())
some_calls = st.lists(
    st.fixed_dictionaries({"name": names, "arguments": st.dictionaries(st.sampled_from("xy"), values, max_size=2)}), max_size=4
)


@given(some_calls, st.randoms())
def test_the_gold_calls_are_right_in_any_order(calls: list[object], random) -> None:  # type: ignore[no-untyped-def]
    shuffled = random.sample(calls, len(calls))
    assert graded({"calls": calls}, response(calls_text(shuffled))).verdict


@given(some_calls.filter(bool), st.data())
def test_a_call_left_out_or_made_twice_is_wrong(calls: list[object], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(calls) - 1))
    assert not graded({"calls": calls}, response(calls_text(calls[:place] + calls[place + 1 :]))).verdict
    assert not graded({"calls": calls}, response(calls_text([*calls, calls[place]]))).verdict


def test_partial_credit_is_paid_only_when_asked() -> None:
    gold, answer = [ADD, {"name": "sub", "arguments": {}}], response(calls_text([ADD]))
    assert graded(gold, answer).reward == 0.0
    assert graded(gold, answer, partial=True).reward == pytest.approx(2 / 3)
    parts = graded(gold, answer).parts
    assert [parts["function_call/precision"], parts["function_call/recall"]] == [1.0, 0.5]


def test_case_counts_when_told_so() -> None:
    gold, answer = [{"name": "open", "arguments": {"path": "A.txt"}}], response('[{"name": "open", "arguments": {"path": "a.txt"}}]')
    assert [graded(gold, answer).verdict, graded(gold, answer, ignore_case=False).verdict] == [True, False]


def test_calls_of_messages_come_before_their_text_and_span_the_turns() -> None:
    first = Message("assistant", (TextPart("<think>add</think>"),), (ToolCall("add", {"a": 1, "b": 2}),))
    second = text_message("assistant", calls_text([{"name": "sub", "arguments": {}}]))
    turns = Transcript((), (first, text_message("tool", calls_text([ADD])), second, text_message("assistant", "3")))
    assert graded([ADD, {"name": "sub", "arguments": {}}], turns).verdict


def test_only_calls_that_ran_count_when_told_so() -> None:
    call = ToolCall("add", {"a": 1, "b": 2})
    asked = Message("assistant", (), (call,))
    ran, failed = ExecutedCall(call, True, 0.1), ExecutedCall(call, False, 0.1)
    assert graded([ADD], Transcript((), (asked,), (ran,)), executed=True).verdict
    assert not graded([ADD], Transcript((), (asked,), (failed,)), executed=True).verdict
    assert not graded([ADD], Transcript((), (asked,)), executed=True).verdict


def test_a_malformed_call_is_named() -> None:
    grade = graded([ADD], response("<tool_call>{'name': 'add'}</tool_call>" + calls_text([ADD])))
    assert (grade.reward, grade.parts["function_call/malformed"]) == (0.0, 1.0)
    assert grade.answer is not None
    assert grade.answer.startswith("a call is no JSON")


@pytest.mark.parametrize(
    "text",
    ["", "nan", "\x00", "\ud800", "[" * 100_000, "<tool_call>" * 50_000, "[NaN]", calls_text([ADD]) * 3000, "{" * 3000, "1", "null"],
)
def test_hostile_text_is_wrong_and_nothing_worse(text: str) -> None:
    assert graded([ADD], response(text)).reward == 0.0


def test_no_argument_is_evaluated() -> None:
    text = calls_text([{"name": "add", "arguments": {"a": "__import__('os').getpid() * 0 + 1", "b": 2}}])
    assert not graded([ADD], response(text)).verdict


def test_an_argument_that_the_function_requires_may_not_be_left_out() -> None:
    gold = {"calls": [{"f": {"x": [0, ""]}}], "functions": [{"name": "f", "parameters": {"type": "dict", "required": ["x"]}}]}
    answer = response(calls_text([{"name": "f", "arguments": {}}]))
    assert [graded(gold, answer).verdict, graded(gold["calls"], answer).verdict] == [False, True]
