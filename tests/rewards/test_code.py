"""The code reward: labelled programs, and programs that want to be paid for nothing."""

import json
from pathlib import Path

import pytest
from reward_calls import response

from rewards.code.extraction import program_in
from rewards.code.stdin import same_output
from rewards.errors import RewardError
from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade, Outcome, Ungraded
from tasks.gold import read_target

CASES = [json.loads(line) for line in (Path(__file__).parents[1] / "data/rewards/code.jsonl").read_text().splitlines()]
ADD = ["assert add(1, 2) == 3", "assert add(-4, 9) == 5"]
SUM = [{"input": "3\n1 2 3\n", "output": "6\n"}, {"input": "1\n-7\n", "output": "-7\n"}]


def outcome_of(tests: object, answer: str, **settings: object) -> Outcome:
    spec = RewardSpec((Component("code", settings={"timeout_s": 8.0, **settings}),))  # type: ignore[dict-item]
    return grade_here(spec, read_target("code", tests, ()), response(answer))


def graded(tests: object, program: str, **settings: object) -> Grade:
    outcome = outcome_of(tests, f"```python\n{program}\n```", **settings)
    assert isinstance(outcome, Grade), outcome
    return outcome


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["why"])
def test_a_program_earns_what_it_is_worth(case: dict) -> None:  # type: ignore[type-arg]
    assert graded(case["tests"], case["program"]).reward == case["worth"]


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        ("while True: pass", "timeout"),
        ("import time; time.sleep(60)", "timeout"),
        ("x = bytes(1 << 40)", "memory"),
        ("while True: print('x' * 1000)", "output"),
        ("for i in range(10**6): open(str(i), 'w')", "scratch"),
        ("1/0", "error"),
        ("import os\nos.fork()", "error"),
    ],
)
def test_the_fault_of_a_program_is_a_wrong_answer_and_named(program: str, fault: str) -> None:
    grade = graded(SUM, program, timeout_s=1.5)
    assert (grade.reward, grade.verdict, grade.answer) == (0.0, False, f"{program}\n")
    assert grade.parts[f"code/{fault}"] == 1.0


@pytest.mark.parametrize(
    ("program", "fault"),
    [("while True: pass", "timeout"), ("def add(a, b):\n    while True: pass", "timeout"), ("import os\nos._exit(0)", "error")],
)
def test_the_fault_of_a_function_is_a_wrong_answer_and_named(program: str, fault: str) -> None:
    grade = graded(ADD, program, timeout_s=1.5)
    assert (grade.reward, grade.parts[f"code/{fault}"]) == (0.0, 1.0)


def test_partial_credit_is_paid_only_when_asked() -> None:
    program = "print(6)"
    assert [graded(SUM, program).reward, graded(SUM, program, partial=True).reward] == [0.0, 0.5]
    program = "def add(a, b): return 3"
    assert [graded(ADD, program).reward, graded(ADD, program, partial=True).reward] == [0.0, 0.5]
    assert graded(SUM, program, partial=True).verdict is False


def test_a_machine_that_cannot_confine_code_gives_no_grade() -> None:
    from sandbox.isolation import failure

    if failure("bubblewrap"):
        assert getattr(outcome_of(SUM, "```python\nprint(6)\n```", isolation="bubblewrap"), "reason", None) == "sandbox"
    with pytest.raises(RewardError, match="isolation"):
        outcome_of(SUM, "```python\nprint(6)\n```", isolation="none")


def test_tests_that_cannot_run_give_no_grade() -> None:
    from tasks.problem import CodeTarget

    outcome = grade_here("code", CodeTarget(asserts=("assert add(",)), response("```python\npass\n```"))
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "tests"


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("```python\nx\n```", "x\n"),
        ("思考后，代码如下：\n```python\nprint('你好')\n```\n以上就是答案。", "print('你好')\n"),
        ("1. First:\n   ```py\n   x\n   ```", "x\n"),
        ("~~~python\nx\n~~~", "x\n"),
        ("```\nx\n```", "x\n"),
        ("```text\noutput\n```\n```python\nx\n```\n```\n6\n```", "x\n"),
        ("```python\na\n```\n```python\nb\n```", "b\n"),
        ("```python\ndef f(): pass\n```\n```python\nprint(f())\n```", "def f(): pass\n"),
        ("```python\nx = '''\n```text\n'''\n```", "x = '''\n```text\n'''\n"),
        ("````python\nx = '```'\n````", "x = '```'\n"),
        ("```python\nx", "x"),
        ("def f(): pass", None),
        ("```json\n{}\n```", None),
        ("", None),
    ],
)
def test_the_program_is_the_fenced_block_of_python(answer: str, program: str | None) -> None:
    assert program_in(answer, "f") == program


def test_code_inside_the_thinking_is_no_answer() -> None:
    program = "```python\ninput()\nprint(sum(map(int, input().split())))\n```"
    outcomes = [
        outcome_of(SUM, text) for text in (f"<think>a</think>{chr(10)}{program}", f"<think>{program}</think>done", f"<think>{program}")
    ]
    assert [outcome.reward for outcome in outcomes if isinstance(outcome, Grade)] == [1.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("printed", "expected", "same"),
    [
        ("6", "6\n", True),
        ("1  2 \n3\n\n", "1 2\n3", True),
        ("1 2 3", "1 2\n3", False),
        ("0.3333333333", "0.333333333", True),
        ("0.34", "0.333", False),
        ("7.0", "7", False),
        ("7", "7.0", True),
        ("1e400", "1.5", False),
        ("nan", "0.5", False),
        ("inf", "1.5", False),
        ("YES", "Yes", False),
        ("", "", True),
        ("", "6", False),
        ("6\n6", "6", False),
    ],
)
def test_outputs_are_compared_word_by_word(printed: str, expected: str, same: bool) -> None:
    assert same_output(printed, expected, 1e-6) == same


@pytest.mark.parametrize("text", ["", "nan", "\x00", "\ud800", "```" * 30_000, "```python\n" * 3000, "```python\n\x00\n```", "[" * 100_000])
def test_hostile_text_is_wrong_and_nothing_worse(text: str) -> None:
    outcome = outcome_of(SUM, text)
    assert isinstance(outcome, Grade)
    assert outcome.reward == 0.0
