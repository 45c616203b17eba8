"""reasoning-gym's scorers, and our own for the families whose scorers run the answer as code (`eval`, `parse_expr`) or ignore the
question."""

import ast
import json
import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from functools import lru_cache
from typing import Protocol, TypeAlias, cast

from tasks.message import Json

Entry: TypeAlias = dict[str, Json]
Scorer: TypeAlias = Callable[[str, Entry], float | None]
SCORER_ERRORS = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, AssertionError, RuntimeError, SyntaxError)
MAX_EXPRESSION = 300

REFUSED: Mapping[str, str] = {
    "game_of_life_halting": "its scorer gives full credit to any text",
    "composite": "name the family inside it",
}


class _DataSet(Protocol):
    def score_answer(self, answer: str, entry: Entry) -> float: ...


def library_score(family: str, answer: str, entry: Entry) -> float | None:
    """What reasoning-gym says. An answer that its scorer chokes on is wrong, unless it chokes on the gold answer too: then None.

    An entry without `metadata` has its gold answer as the only criterion.
    """
    data = _data_set(family)
    if data is None:
        return None
    try:
        return float(data.score_answer(answer, entry))
    except SCORER_ERRORS:
        return 0.0 if not entry.get("metadata") or _gold_is_sound(data, entry) else None


def _gold_is_sound(data: _DataSet, entry: Entry) -> bool:
    gold = entry.get("answer")
    if gold is None:
        return True
    try:
        return data.score_answer(str(gold), entry) >= 1.0
    except SCORER_ERRORS:
        return False


@lru_cache(maxsize=256)
def _data_set(family: str) -> _DataSet | None:
    import reasoning_gym

    try:
        return cast(_DataSet, reasoning_gym.create_dataset(family, size=1, seed=0))
    except ValueError:
        return None


def same_rows(answer: str, entry: Entry) -> float:
    """The gold's characters, or a JSON list of them: matrices, sequences, strings."""
    gold = str(entry["answer"])
    try:
        value: Json = json.loads(answer.replace("'", '"'))
    except (json.JSONDecodeError, RecursionError):
        value = answer
    return float(_flat(value) == _flat(gold))


def queens(answer: str, entry: Entry) -> float | None:
    """Any of the entry's valid boards; the gold alone where it lists none."""
    metadata = entry.get("metadata")
    valid = metadata.get("valid_answers") if isinstance(metadata, dict) else None
    boards = valid if isinstance(valid, list) else [entry["answer"]]
    return float(any(_flat(answer) == _flat(str(board)) for board in boards))


def arithmetic_to(target_key: str | int) -> Scorer:
    """A sum of exactly the given numbers, each used once, that comes to the target."""

    def score(answer: str, entry: Entry) -> float | None:
        metadata = entry.get("metadata")
        if not isinstance(metadata, dict) or not isinstance(metadata.get("numbers"), list):
            return 0.0 if entry.get("answer") else None
        target = metadata.get(target_key) if isinstance(target_key, str) else target_key
        worked = _calculated(answer.split("=")[0])
        if worked is None:
            return 0.0
        value, used = worked
        return float(
            value == Fraction(str(target)) and sorted(used) == sorted(int(str(n)) for n in cast("list[Json]", metadata["numbers"]))
        )

    return score


def expanded_polynomial(answer: str, entry: Entry) -> float:
    """The product multiplied out: repeating the factors is no answer."""
    from rewards.maths.equality import equal_answers

    return float("(" not in answer.split("=")[-1] and equal_answers(str(entry["answer"]), answer))


def antiderivative(answer: str, entry: Entry) -> float:
    """Equal to the gold up to a constant."""
    import sympy

    from rewards.maths.expression import equal_symbolic, symbolic
    from rewards.maths.notation import normalised

    if "integral" in answer.casefold():
        return 0.0
    mine, other = (symbolic(normalised(text.split("=")[-1])) for text in (str(entry["answer"]), answer))
    metadata = entry.get("metadata")
    name = str(metadata.get("variable", "x")).lower() if isinstance(metadata, dict) else "x"
    if mine is None or other is None:
        return 0.0
    variables = [s for s in mine.free_symbols | other.free_symbols if s.name == name] or [sympy.Symbol(name)]
    derivatives = [expression.diff(variables[0]) for expression in (mine, other)]
    return float(equal_symbolic(*derivatives))


REPLACED: Mapping[str, Scorer] = {
    "binary_matrix": same_rows,
    "spiral_matrix": same_rows,
    "string_insertion": same_rows,
    "n_queens": queens,
    "countdown": arithmetic_to("target"),
    "puzzle24": arithmetic_to(24),
    "polynomial_multiplication": expanded_polynomial,
    "simple_integration": antiderivative,
    "intermediate_integration": antiderivative,
}

_OPERATIONS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def _calculated(text: str) -> tuple[Fraction, list[int]] | None:
    """Value and numbers of a sum in + - * / and brackets; the syntax tree is read, nothing is run."""
    text = text.replace("×", "*").replace("÷", "/").replace("−", "-").strip()
    if len(text) > MAX_EXPRESSION:
        return None
    used: list[int] = []
    try:
        return _walk(ast.parse(text, mode="eval").body, used), used
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _walk(node: ast.expr, used: list[int]) -> Fraction:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        used.append(node.value)
        return Fraction(node.value)
    if isinstance(node, ast.BinOp) and type(node.op) in _OPERATIONS:
        return _OPERATIONS[type(node.op)](_walk(node.left, used), _walk(node.right, used))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_walk(node.operand, used)
    raise ValueError("only + - * / and whole numbers")


def _flat(value: Json) -> list[str]:
    if isinstance(value, list):
        return [token for item in value for token in _flat(item)]
    text = str(value)
    return text.split() if len(text.split()) > 1 else list(text.strip())
