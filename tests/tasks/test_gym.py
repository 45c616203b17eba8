"""Families of reasoning-gym: repeatable, scored by their own scorer, and refused where that scorer is unsafe."""

import json
import random

import pytest
from reasoning_gym import get_score_answer_fn

from tasks.errors import TaskError
from tasks.families import make_family
from tasks.gym import REFUSED
from tasks.problem import PuzzleTarget
from tasks.source import ProceduralSource

SOME = ("knights_knaves", "leg_counting", "mini_sudoku", "number_sequence", "shortest_path", "acre", "gsm_symbolic", "chain_sum")


@pytest.mark.parametrize("name", SOME)
def test_the_gold_answer_of_an_entry_earns_full_reward(name: str) -> None:
    example = make_family(f"gym:{name}", {}).make(random.Random(1))
    assert isinstance(example.target, PuzzleTarget)
    assert example.target.family == name
    entry = json.loads(example.target.entry)
    assert get_score_answer_fn(name)(entry["answer"], entry) == 1.0
    assert entry["question"] in example.messages[0].text


@pytest.mark.parametrize("name", SOME)
def test_problems_depend_on_seed_and_position_alone(name: str) -> None:
    def problems(order: range) -> dict[int, tuple[str, object]]:
        source = ProceduralSource("puzzle", make_family(f"gym:{name}", {}), 5, "train", "puzzle")
        made = {position: source.problem(position) for position in order}
        return {position: (problem.id, problem.target) for position, problem in made.items()}

    assert problems(range(6)) == problems(range(5, -1, -1))


def test_the_answer_is_asked_for_after_thinking() -> None:
    text = make_family("gym:leg_counting", {}).make(random.Random(0)).messages[0].text
    assert text.endswith("\n\nThink first. Then give the final answer alone, as it was asked for, inside \\boxed{}.")


def test_difficulty_is_passed_through() -> None:
    family = make_family("gym:chain_sum", {"min_terms": 9, "max_terms": 9})
    question = json.loads(_entry(family.make(random.Random(0)).target))["question"]
    assert question.count("+") + question.count("-") == 8


def _entry(target: object) -> str:
    assert isinstance(target, PuzzleTarget)
    return target.entry


@pytest.mark.parametrize("name", REFUSED)
def test_refused_families_say_why(name: str) -> None:
    with pytest.raises(TaskError) as caught:
        make_family(f"gym:{name}", {})
    assert str(caught.value) == f"family 'gym:{name}' is refused: {REFUSED[name]}"


@pytest.mark.parametrize(
    ("name", "options", "reason"),
    [
        ("knight_knaves", {}, "reasoning-gym has no family 'knight_knaves'; did you mean 'knights_knaves'?"),
        ("chain_sum", {"min_term": 2}, "family 'gym:chain_sum' has no option 'min_term'; did you mean 'min_terms'?"),
        ("chain_sum", {"seed": 2}, "family 'gym:chain_sum' has no option 'seed'"),
        ("chain_sum", {"min_terms": 9, "max_terms": 2}, "family 'gym:chain_sum' does not accept {'min_terms': 9, 'max_terms': 2}"),
    ],
)
def test_wrong_names_and_options_say_the_way_out(name: str, options: dict[str, int], reason: str) -> None:
    with pytest.raises(TaskError) as caught:
        make_family(f"gym:{name}", options)
    assert str(caught.value).startswith(reason)
