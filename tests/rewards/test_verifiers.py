"""Curated answers, right and wrong: `worth` is what each response must earn."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from reward_calls import response

from rewards.grading import grade_here
from rewards.mixture import Component, RewardSpec
from rewards.outcome import Grade, Ungraded
from rewards.registry import BUILT_IN, find
from tasks.problem import (
    Box,
    BoxesTarget,
    ChoiceTarget,
    CountTarget,
    MathTarget,
    MissingTarget,
    NumberTarget,
    PuzzleTarget,
    Target,
    TextTarget,
)

DATA = Path(__file__).parents[1] / "data" / "rewards"


def target_of(row: dict) -> Target:  # type: ignore[type-arg]
    fields = {key: value for key, value in row.items() if key != "kind"}
    if row["kind"] == "boxes":
        return BoxesTarget(tuple(Box(**box) for box in fields["boxes"]))
    if row["kind"] == "text":
        return TextTarget(tuple(fields["answers"]))
    if row["kind"] == "choice":
        return ChoiceTarget(fields["answer"], tuple(fields["choices"]))
    kinds = {"math": MathTarget, "number": NumberTarget, "count": CountTarget, "puzzle": PuzzleTarget}
    return kinds[row["kind"]](**fields)  # type: ignore[return-value]


def rows(name: str) -> Iterator[dict]:  # type: ignore[type-arg]
    for line in (DATA / name).read_text().splitlines():
        yield json.loads(line)


@pytest.mark.parametrize("row", list(rows("responses.jsonl")), ids=lambda row: f"{row['reward']}: {row['response'][:40]}")
def test_a_response_earns_what_it_is_worth(row: dict) -> None:  # type: ignore[type-arg]
    outcome = grade_here(row["reward"], target_of(row["target"]), response(row["response"]))
    assert isinstance(outcome, Grade)
    assert outcome.reward == pytest.approx(row["worth"], abs=1e-4)


@pytest.mark.parametrize("form", [r"<think>thinking</think> \boxed{{{}}}", "{}"], ids=["boxed", "bare"])
@pytest.mark.parametrize("row", list(rows("math_answers.jsonl")), ids=lambda row: f"{row['gold'][:25]} = {row['answer'][:25]}")
def test_a_mathematical_answer_is_judged_as_labelled(row: dict, form: str) -> None:  # type: ignore[type-arg]
    outcome = grade_here("math", MathTarget(row["gold"]), response(form.format(row["answer"])))
    assert isinstance(outcome, Grade)
    assert outcome.verdict == row["right"]


@pytest.mark.parametrize(
    ("name", "target"),
    [
        ("math", MathTarget("7")),
        ("number", NumberTarget(7.0)),
        ("count", CountTarget(7)),
        ("choice", ChoiceTarget("B", ("x", "y"))),
        ("text", TextTarget(("seven",))),
        ("exact", TextTarget(("seven",))),
        ("boxes", BoxesTarget((Box(1, 1, 9, 9),))),
        ("puzzle", PuzzleTarget("gcd", json.dumps({"question": "", "answer": "7", "metadata": {}}))),
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "<think>7</think>",
        "nan",
        "\x00",
        "\ud800",
        "\\boxed{",
        "{" * 3000,
        "[" * 100_000,
        "x " * 500_000,
        "A" + " " * 15_000 + "!",
        "A" + "\n" * 15_000 + "!",
        "A. " + "or " * 6000,
        "A正确" + "而且" * 9000,
        "these are all words " + "下午" * 30_000,
        "these are all words 1 h" + " " * 150_000 + "!",
    ],
)
def test_hostile_text_is_wrong_and_nothing_worse(name: str, target: Target, text: str) -> None:
    assert grade_here(name, target, response(text)) in [
        Grade(0.0, False, grade.answer, grade.parts) for grade in graded(name, target, text)
    ]


def graded(name: str, target: Target, text: str) -> list[Grade]:
    outcome = grade_here(name, target, response(text))
    return [outcome] if isinstance(outcome, Grade) else []


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_a_missing_target_is_ungraded_by_every_reward_that_reads_the_target(name: str) -> None:
    settings = {"model": "any", "base_url": "http://localhost:1/v1"} if name == "judge" else {}
    outcome = grade_here(RewardSpec((Component(name, settings=settings),)), MissingTarget(), response(r"\boxed{1}"))
    assert (outcome == Ungraded("missing-target")) == bool(find(name).targets)


def test_a_tolerance_pays_for_approximations_only_when_asked() -> None:
    strict = grade_here("math", MathTarget(r"\pi"), response(r"\boxed{3.14}"))
    loose = grade_here(RewardSpec((Component("math", settings={"tolerance": 0.01}),)), MathTarget(r"\pi"), response(r"\boxed{3.14}"))
    assert [strict.verdict, loose.verdict] == [False, True]  # type: ignore[union-attr]
