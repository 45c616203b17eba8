import json

import pytest
from reward_calls import response

from rewards.grading import grade_here
from rewards.outcome import Grade, Ungraded
from rewards.puzzles import REFUSED, REPLACED
from tasks.message import Json
from tasks.problem import PuzzleTarget

SAMPLE = ("countdown", "puzzle24", "n_queens", "spiral_matrix", "polynomial_multiplication", "simple_integration", "knights_knaves", "gcd")


def item(family: str, seed: int = 3) -> dict[str, Json]:
    from reasoning_gym.factory import create_dataset

    return create_dataset(family, seed=seed, size=2)[1]  # type: ignore[no-any-return]


def graded(family: str, entry: dict[str, Json], text: str) -> Grade:
    outcome = grade_here("puzzle", PuzzleTarget(family, json.dumps(entry)), response(text))
    assert isinstance(outcome, Grade), outcome
    return outcome


@pytest.mark.parametrize("family", [*REPLACED, "knights_knaves", "sokoban", "survo", "gcd", "prime_factorization", "complex_arithmetic"])
def test_the_gold_answer_earns_full_reward_and_spam_around_it_nothing(family: str) -> None:
    entry = item(family)
    gold = str(entry["answer"])
    assert graded(family, entry, f"<think>a</think><answer>{gold}</answer>").verdict is True
    for spam in (f"{gold} or 5", f"5 or {gold}", f"{gold} or {gold[::-1]}", "nan", "qwerty", gold + " x" * 50):
        assert graded(family, entry, spam).verdict is False, spam


@pytest.mark.parametrize("family", sorted(REPLACED))
def test_an_answer_is_never_run(family: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    marker = tmp_path_factory.getbasetemp() / "ran"
    for code in (f"__import__('pathlib').Path('{marker}').touch()", f"[__import__('os').system('touch {marker}')]"):
        assert graded(family, item(family), code).verdict is False
    assert not marker.exists()


def test_another_solution_with_the_same_numbers_is_right() -> None:
    entry: dict[str, Json] = {"question": "", "answer": "10*(8-5)-6", "metadata": {"numbers": [8, 5, 10, 6]}}
    assert graded("puzzle24", entry, "(8-5)*10-6").verdict is True
    assert graded("puzzle24", entry, "4*6*1*1").verdict is False
    assert graded("puzzle24", entry, "10+8+6").verdict is False


def test_the_unexpanded_product_is_no_answer() -> None:
    entry: dict[str, Json] = {"question": "", "answer": "x**2 - 1", "metadata": {}}
    assert graded("polynomial_multiplication", entry, "(x-1)*(x+1)").verdict is False
    assert graded("polynomial_multiplication", entry, "-1 + x^2").verdict is True


def test_an_antiderivative_is_right_up_to_its_constant() -> None:
    entry: dict[str, Json] = {"question": "", "answer": "x**2/2 + C", "metadata": {"variable": "x"}}
    assert graded("simple_integration", entry, "x^2/2 + 7").verdict is True
    assert graded("simple_integration", entry, "x^2/2 + x").verdict is False


@pytest.mark.parametrize("family", sorted(REFUSED))
def test_a_family_that_pays_any_text_is_ungraded(family: str) -> None:
    outcome = grade_here("puzzle", PuzzleTarget(family, "{}"), response("x"))
    assert isinstance(outcome, Ungraded)
    assert outcome.reason == "bad-target"
