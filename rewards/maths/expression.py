"""Leaves: exact values with units, and symbolic expressions compared by exact arithmetic or at random points with 100 digits.

LaTeX goes to sympy through math-verify's parser alone. Two expressions are equal when their values agree to 80 digits at every point tried
(Schwartz-Zippel); rational numbers are compared exactly, so that no tail term or tiny number is lost.
"""

import logging
import random
import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

import sympy
from latex2sympy2_extended import NormalizationConfig
from math_verify import LatexExtractionConfig, parse
from sympy.core.function import AppliedUndef

from rewards.maths.guards import is_tame
from rewards.maths.numbers import PlainNumber, plain_number
from rewards.maths.units import OF_AN_ANGLE, Unit, split_unit

DIGITS = 100
WORKING_DIGITS = 200
AGREEMENT = sympy.Float("1e-80", 50)
POINTS = 6
SIGNIFICANT = 6

_CONFIG = LatexExtractionConfig(
    boxed_match_priority=-1,
    normalization_config=NormalizationConfig(basic_latex=False, boxed="none"),
)
_NUMERAL = r"\d+(?:\.\d+)?|\\frac\{\d+\}\{\d+\}"
_DECIMAL_LITERAL = re.compile(r"(?<![\w.])(\d*)\.(\d+)")
logging.getLogger("math_verify").setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A leaf with its decoration: `percent` stands for a factor 1/100 that may have been left out on either side."""

    text: str
    number: PlainNumber | None
    unit: Unit | None
    percent: bool


@lru_cache(maxsize=4096)
def quantity(text: str) -> Quantity:
    body, percent = text.strip(), False
    if body.endswith("%"):
        body, percent = body[:-1].strip(), True
    number = plain_number(body)
    unit = None
    if number is None:
        body, unit = split_unit(body)
        if body.endswith("%"):
            body, percent = body[:-1].strip(), True
        number = plain_number(body.strip("{} "))
    return Quantity(body, number, unit, percent)


@lru_cache(maxsize=4096)
def symbolic(text: str) -> sympy.Expr | None:
    """The sympy expression of a normalised leaf, decimals exact; None if it cannot be parsed or is too large to touch."""
    if not text or not is_tame(text):
        return None
    degrees = r"\cdot\frac{\pi}{180}" if OF_AN_ANGLE.search(text) else ""
    text = _DECIMAL_LITERAL.sub(_as_fraction, re.sub(rf"({_NUMERAL})\s*°", lambda m: f"({m[1]}{degrees})", text).replace("°", degrees))
    text = re.sub(r"(\\?[a-zA-Z])'+", r"\1_{p}", text)
    text = re.sub(r"\\text\{\s*([a-zA-Z]+)\s*\}", r"\1", text)
    text = re.sub(r"(?<![a-zA-Z\\}])(\d+)\s*\\frac\s*\{(\d+)\}\s*\{(\d+)\}", r"(\1+\\frac{\2}{\3})", text)
    found = parse(f"${text}$", [_CONFIG], fallback_mode="no_fallback", parsing_timeout=None)
    if len(found) != 1 or not isinstance(found[0], sympy.Expr):
        return None
    expression: sympy.Expr = found[0]
    if not expression.free_symbols and not expression.has(sympy.Function):
        expression = expression.doit()
    imaginary = {symbol: sympy.I for symbol in expression.free_symbols if symbol.name == "i"}
    return expression.xreplace(imaginary) if imaginary else expression


def constant(text: str) -> sympy.Expr | None:
    """The value of a leaf without unit or symbols, a percentage as its hundredth; else None."""
    found = quantity(text)
    value = symbolic(found.text) if found.unit is None else None
    if value is None or value.free_symbols or value.atoms(AppliedUndef):
        return None
    return value / 100 if found.percent else value


def equal_expressions(gold: str, answer: str, tolerance: float = 0.0) -> bool:
    """Whether two leaves have the same value. `tolerance` is relative, for real numbers only."""
    if gold == answer:
        return True
    mine, other = quantity(gold), quantity(answer)
    if mine.number and other.number:
        return _equal_plain(mine.number, other.number, tolerance)
    left, right = _exact(mine), _exact(other)
    if left is None or right is None:
        return False
    for number, value in ((mine.number, right), (other.number, left)):
        if number is not None and number.decimals is not None and not value.free_symbols and not value.is_rational:
            return _rounds_to(value, number, tolerance)
    return equal_symbolic(left, right, tolerance)


def _exact(found: Quantity) -> sympy.Expr | None:
    return symbolic(found.text) if found.number is None else sympy.Rational(found.number.value.numerator, found.number.value.denominator)


def equal_symbolic(left: sympy.Expr, right: sympy.Expr, tolerance: float = 0.0) -> bool:
    if left == right:
        return True
    if left.is_Rational and right.is_Rational:
        return _within(Fraction(left.p, left.q), Fraction(right.p, right.q), tolerance)
    left, right = (_without_functions(_continued(side)) for side in (left, right))
    symbols = sorted(left.free_symbols | right.free_symbols, key=str)
    if not symbols:
        return _equal_values(left, right, tolerance)
    return _agree_at_points(left, right, symbols)


def _agree_at_points(left: sympy.Expr, right: sympy.Expr, symbols: list[sympy.Symbol]) -> bool:
    """Real values decide where there are any; elsewhere complex ones. At least three points must have said something."""
    draw = random.Random(len(symbols))
    real: list[bool] = []
    complex_: list[bool] = []
    for trial in range(POINTS):
        signs = [1 if trial % 2 == 0 else draw.choice((-1, 1)) for _ in symbols]
        point = {
            symbol: sympy.Float(sign * sympy.Rational(draw.randrange(101, 997), draw.choice((211, 307, 401))), WORKING_DIGITS)
            for symbol, sign in zip(symbols, signs, strict=True)
        }
        mine, other = (side.xreplace(point).evalf(DIGITS) for side in (left, right))
        if not (mine.is_number and other.is_number) or any(v.has(sympy.nan, sympy.zoo, sympy.oo) for v in (mine, other)):
            continue
        (real if mine.is_real and other.is_real else complex_).append(_close(mine, other))
    decisive = real if len(real) >= 3 else real + complex_
    return len(decisive) >= 3 and all(decisive)


def _equal_values(left: sympy.Expr, right: sympy.Expr, tolerance: float) -> bool:
    infinite = [side for side in (left, right) if side in (sympy.oo, -sympy.oo, sympy.zoo, sympy.nan)]
    if infinite:
        return bool(left == right) and sympy.nan not in infinite
    mine, other = left.evalf(DIGITS), right.evalf(DIGITS)
    if not (mine.is_number and other.is_number):
        return False
    if tolerance and mine.is_real and other.is_real:
        return bool(abs(mine - other) <= tolerance * abs(mine))
    if _close(mine, other):
        return True
    return bool(max(abs(mine), abs(other)) < AGREEMENT and sympy.simplify(left - right) == 0)


def _close(mine: sympy.Expr, other: sympy.Expr) -> bool:
    scale = max(abs(mine), abs(other))
    return bool(abs(mine - other) <= AGREEMENT * scale)


def _equal_plain(mine: PlainNumber, other: PlainNumber, tolerance: float) -> bool:
    if mine.base and other.base and mine.base != other.base:
        return False
    if bool(mine.base) != bool(other.base) and (mine.digits == str(other.value) or other.digits == str(mine.value)):
        return True  # the question names the base
    if _within(mine.value, other.value, tolerance):
        return True
    return _is_rounding(mine, other) or _is_rounding(other, mine)


def _is_rounding(short: PlainNumber, exact: PlainNumber) -> bool:
    """A decimal of at least six significant digits is the rounding of a fraction that no decimal writes."""
    if short.decimals is None or exact.decimals is not None or _is_finite_decimal(exact.value):
        return False
    return _significant(short) >= SIGNIFICANT and round(exact.value, short.decimals) == short.value


def _rounds_to(value: sympy.Expr, number: PlainNumber, tolerance: float) -> bool:
    """Whether the decimal is the rounding of an irrational number, with at least six significant digits."""
    exact = value.evalf(DIGITS)
    if not exact.is_real or number.decimals is None:
        return False
    decimal = sympy.Rational(number.value.numerator, number.value.denominator)
    if tolerance:
        return bool(abs(exact - decimal) <= tolerance * abs(decimal))
    return _significant(number) >= SIGNIFICANT and bool(abs(exact - decimal) * 2 * 10**number.decimals <= 1)


def _significant(number: PlainNumber) -> int:
    return len(str(abs(number.value.numerator * 10 ** (number.decimals or 0) // number.value.denominator)))


def _is_finite_decimal(value: Fraction) -> bool:
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _within(mine: Fraction, other: Fraction, tolerance: float) -> bool:
    return mine == other or (tolerance > 0 and abs(mine - other) <= Fraction(tolerance) * abs(mine))


def _continued(expression: sympy.Expr) -> sympy.Expr:
    """Factorials as gamma functions, which have values between the integers too."""
    return expression.rewrite(sympy.gamma) if expression.has(sympy.factorial, sympy.binomial) else expression


def _without_functions(expression: sympy.Expr) -> sympy.Expr:
    """Unknown functions as symbols: f(2) has no value, but it is what it is."""
    applied = expression.atoms(AppliedUndef)
    return expression.xreplace({call: sympy.Symbol(f"call_{sympy.srepr(call)}") for call in applied}) if applied else expression


def _as_fraction(match: re.Match[str]) -> str:
    value = Fraction(f"{match.group(1) or '0'}.{match.group(2)}")
    return rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
