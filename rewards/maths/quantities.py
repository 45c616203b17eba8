"""Numbers and expressions with their units: `500 cm` is `5 m`, `50%` is `0.5`, a unit may be left out."""

import re

from rewards.maths.expression import equal_expressions, equal_symbolic, quantity, symbolic
from rewards.maths.units import conversion, is_angle, is_marked

_UPRIGHT = re.compile(r"\\text\{\s*[A-Z]\s*\}")


def equal_quantities(gold: str, answer: str, tolerance: float) -> bool:
    """Whether two leaves have the same value; in one unit where both have one, and perhaps a percentage's hundredth."""
    mine, other = quantity(gold), quantity(answer)
    if mine.unit is None and is_marked(answer):
        return False
    if (mine.percent and other.unit) or (other.percent and mine.unit):
        return False
    scale = conversion(other.unit, mine.unit)
    if scale is None:
        return False
    candidates = [other.text if scale == 1 else f"({other.text})\\cdot\\frac{{{scale.numerator}}}{{{scale.denominator}}}"]
    if is_angle(other.unit) != is_angle(mine.unit) and "pi" in (gold + answer):
        degree = (other.unit or mine.unit).scale  # type: ignore[union-attr]
        radians = rf"({other.text})\cdot\frac{{\pi\cdot {degree.numerator}}}{{180\cdot {degree.denominator}}}"
        degrees = rf"({other.text})\cdot\frac{{180\cdot {degree.denominator}}}{{\pi\cdot {degree.numerator}}}"
        candidates = [radians if is_angle(other.unit) else degrees]
    if other.percent != mine.percent:
        candidates.append(rf"\frac{{{other.text}}}{{100}}" if other.percent else rf"({other.text})\cdot 100")
    if any(number is None for number in (mine.number, other.number)) or len(candidates) > 1 or scale != 1:
        return any(equal_expressions(mine.text, candidate, tolerance) for candidate in candidates)
    return equal_expressions(mine.text, other.text, tolerance)


def same_product(gold: str, answer: str) -> bool:
    """`12\\text{ N}` and `12.0 N`: a capital after a number is a unit where it is upright, and may be one where it is not."""
    if bool(_UPRIGHT.search(gold)) == bool(_UPRIGHT.search(answer)):
        return False
    left, right = symbolic(gold), symbolic(answer)
    return left is not None and right is not None and equal_symbolic(left, right)
