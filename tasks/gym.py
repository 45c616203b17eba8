"""Families of reasoning-gym: `gym:<name>`, with its difficulty options passed through."""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields

from tasks.errors import TaskError, nearest
from tasks.family import Example
from tasks.message import text_message
from tasks.problem import PuzzleTarget

PREFIX = "gym:"
# Some families draw all their items up front, so that a set costs as much as its size; others balance kinds over it.
ITEMS_PER_SET = 100
INSTRUCTION = "Think first. Then give the final answer alone, as it was asked for, inside \\boxed{}."

_RUNS_CODE = "its scorer runs code that stands in an answer"
_NO_GOLD = "its items have no gold answer, so nothing shows that its scorer pays the right one"
_TUPLES = "its scorer compares tuples, which an item kept as JSON no longer holds"
_UNREPEATABLE = "its items change with the hash seed of the process: a resumed run would not see the same ones"
REFUSED: Mapping[str, str] = {
    "binary_matrix": _RUNS_CODE,
    "countdown": _RUNS_CODE,
    "intermediate_integration": _RUNS_CODE,
    "n_queens": _RUNS_CODE,
    "polynomial_multiplication": _RUNS_CODE,
    "puzzle24": f"{_RUNS_CODE}, and it ignores the given numbers",
    "simple_integration": _RUNS_CODE,
    "spiral_matrix": _RUNS_CODE,
    "string_insertion": _RUNS_CODE,
    "complex_arithmetic": "its scorer gives full reward to 'nan'",
    "game_of_life_halting": "its scorer gives full reward to any text",
    "prime_factorization": "its scorer raises on answers that are no product of integers",
    "boxnet": _NO_GOLD,
    "graph_color": _NO_GOLD,
    "propositional_logic": _NO_GOLD,
    "rubiks_cube": _NO_GOLD,
    "rush_hour": _NO_GOLD,
    "arc_agi": _TUPLES,
    "rearc": _TUPLES,
    "codeio": _UNREPEATABLE,
    "isomorphic_strings": _UNREPEATABLE,
    "knight_swap": _UNREPEATABLE,
    "list_functions": _UNREPEATABLE,
    "ransom_note": _UNREPEATABLE,
    "word_ladder": _UNREPEATABLE,
    "composite": "it only mixes other families: name each of them as a task, with its weight",
}


@dataclass(frozen=True, slots=True)
class GymFamily:
    """A family of reasoning-gym.

    The target's entry is the item as JSON: `question`, `answer` (the gold one, text) and `metadata`. There are no demonstrations. The
    final answer is asked for in a box, several lines long where the question wants that.
    """

    dataset: str
    options: Mapping[str, bool | int | float | str]
    reward: str = "puzzle"

    @property
    def name(self) -> str:
        return f"{PREFIX}{self.dataset}"

    def make(self, rng: random.Random) -> Example:
        from reasoning_gym.factory import create_dataset

        items = create_dataset(self.dataset, seed=rng.getrandbits(31), size=ITEMS_PER_SET, **self.options)
        item = items[rng.randrange(ITEMS_PER_SET)]
        question = str(item["question"])
        return Example(
            messages=(text_message("user", f"{question}\n\n{INSTRUCTION}"),),
            target=PuzzleTarget(self.dataset, json.dumps(item)),
            demonstration="",
            key=question,
        )


def gym_family(dataset: str, options: Mapping[str, bool | int | float | str]) -> GymFamily:
    """The family `dataset` of reasoning-gym; refused where its scorer is unsafe or pays for nothing. The import takes seconds."""
    if dataset in REFUSED:
        raise TaskError(f"family 'gym:{dataset}' is refused: {REFUSED[dataset]}")
    from reasoning_gym.factory import DATASETS, create_dataset

    if dataset not in DATASETS:
        raise TaskError(f"reasoning-gym has no family {dataset!r}; {nearest(dataset, set(DATASETS) - set(REFUSED))}")
    known = {field.name for field in fields(DATASETS[dataset][1])} - {"seed", "size"}
    for key in options:
        if key not in known:
            raise TaskError(f"family 'gym:{dataset}' has no option {key!r}; {nearest(key, known)}")
    try:
        create_dataset(dataset, seed=0, size=ITEMS_PER_SET, **options)
    except (AssertionError, TypeError, ValueError) as error:
        raise TaskError(f"family 'gym:{dataset}' does not accept {dict(options)}: {error}") from error
    return GymFamily(dataset, dict(options))
