"""Equations and inequalities: one when their differences are proportional."""

import re

import sympy

from rewards.maths.expression import equal_expressions, equal_symbolic, symbolic
from rewards.maths.structure import Relation

_ORDERED = re.compile(r"[<>]|\\(?:leq|geq)")


def equal_relations(gold: Relation, answer: Relation) -> bool:
    """Two equations are one when their differences are proportional; inequalities keep their direction with the sign of the factor."""
    if len(gold.ops) != len(answer.ops):
        return False
    if len(gold.ops) > 1:
        return any(_same_chain(gold, other) for other in (answer, _reversed(answer)))
    mine, other = _difference(gold), _difference(answer)
    if mine is None or other is None or mine == 0 or other == 0:
        return False
    if not (mine.free_symbols and mine.free_symbols == other.free_symbols):
        return False
    point = dict(zip(sorted(mine.free_symbols, key=str), _PRIMES, strict=False))
    factor = (mine.xreplace(point) / other.xreplace(point)) if other.xreplace(point) != 0 else None
    if factor is None or not factor.is_real or factor == 0 or not equal_symbolic(mine, factor * other):
        return False
    if not _ORDERED.search(gold.ops[0]):
        return gold.ops == answer.ops
    return gold.ops[0] == (answer.ops[0] if factor > 0 else _FLIPPED.get(answer.ops[0]))


_FLIPPED = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq"}
_PRIMES = tuple(sympy.Rational(*pair) for pair in ((13, 7), (17, 11), (19, 5), (23, 13), (29, 17), (31, 19), (37, 23), (41, 29)))


def _same_chain(gold: Relation, answer: Relation) -> bool:
    return gold.ops == answer.ops and all(equal_expressions(a, b) for a, b in zip(gold.sides, answer.sides, strict=True))


def _reversed(node: Relation) -> Relation:
    return Relation(node.sides[::-1], tuple(_FLIPPED.get(op, op) for op in node.ops[::-1]))


def _difference(node: Relation) -> sympy.Expr | None:
    left, right = (symbolic(side) for side in node.sides)
    return None if left is None or right is None else left - right
