"""Values read off a chart or out of a table: numbers within a relative tolerance, years exactly, words as words.

ChartQA's relaxed accuracy (Masry et al. 2022, 2203.10244) allows 5 % on every number. Years are numbers there, so that 1920 passes for
2010, and "45 %" is 0.45 alone. Here years have to be exact and a percentage counts as itself or as its hundredth.
"""

import re
from dataclasses import dataclass
from fractions import Fraction

from rewards.maths.units import Unit, conversion, split_unit
from rewards.plain import normal_text

MAX_CHARS = 5000
MAX_VALUES = 200
YEARS = range(1800, 2101)
_SCALES = {
    "k": 10**3, "thousand": 10**3, "million": 10**6, "mn": 10**6, "m": 10**6, "billion": 10**9, "bn": 10**9, "b": 10**9,
    "trillion": 10**12, "tn": 10**12, "百": 10**2, "千": 10**3, "万": 10**4, "百万": 10**6, "千万": 10**7, "亿": 10**8, "万亿": 10**12,
}  # fmt: skip
_NUMBER = re.compile(
    r"(?<![A-Za-z0-9_.,])(?P<hundredths>百分之)?(?P<sign>[-+−]?)\s?(?P<currency>US\$|[$€£¥])?\s?"
    r"(?P<whole>\d{1,3}(?:,\d{3})+(?!\d)|\d{1,30})(?P<decimals>\.\d{1,30})?(?:[eE](?P<power>[-+]?\d{1,2}))?(?![\d.,]*\d)"
    r"(?:\s?(?P<percent>[%％]|(?i:percent|per cent)(?![a-z])|个百分点)"
    r"|\s?(?P<scale>百万|千万|万亿|[百千万亿]|(?i:thousand|million|billion|trillion|mn|bn|tn)(?![A-Za-z])|(?<=\d)[kKMB](?![A-Za-z])))?"
)
_UNSURE = re.compile(
    r"\b(?:or|not|between|at (?:least|most)|(?:more|less|fewer|greater|higher|lower) than|over|under|above|below|up to)\b|n't\b"
    r"|\b(?:before|after|until|since|no)\s+⌗|\b(?:maybe|cannot|unknown)\b"
    r"|⌗\s*\+|⌗\s*(?:[a-z]+\s+)?and\s+(?:\w+[-\s])?(?:hal|third|quarter|fourth|fifth|tenth)|⌗\s*[一-鿿]{0,2}半|⌗\s*又|⌗\s*[一-鿿]{0,2}多"
    r"|[<>≥≤±]|或|不是|没有\s*⌗|之间|至少|至多|最多|超过|不到|不足|[大小多少高低]于|以[上下]|不知道|无法",
    re.IGNORECASE,
)
_SEPARATOR = re.compile(r"\s*(?:[;；、，\n]|,(?!\d{3}(?!\d))|,\s|\band\b|\s和\s|(?<=[\d%％])和(?=[\d]))\s*", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•]\s|\d{1,3}[.)]\s)\s*")


@dataclass(frozen=True, slots=True)
class Number:
    """`plain` is the number as written; `exact` says that it is a year."""

    plain: Fraction
    scale: int
    percent: bool
    exact: bool
    unit: Unit | None
    currency: str


def same_value(gold: str, answer: str, *, tolerance: float, exact_years: bool) -> bool:
    """Whether the answer gives the gold value: |answer - gold| <= tolerance * |gold| for numbers, else the same words."""
    if normal_text(gold) == normal_text(answer):
        return bool(normal_text(gold))
    mine, other = _whole_number(gold), _stated_number(answer)
    if mine is None or other is None or (mine.currency and other.currency and mine.currency != other.currency):
        return False
    if mine.unit and other.unit and mine.unit.dimension and other.unit.dimension:
        factor = conversion(other.unit, mine.unit)
        return factor is not None and _near(mine.plain * mine.scale, other.plain * other.scale * factor, tolerance)
    allowed = 0.0 if exact_years and mine.exact else tolerance
    golds = {mine.plain, mine.plain / 100} if mine.percent and not other.percent else {mine.plain * mine.scale}
    return any(_near(value, reading, allowed) for value in golds for reading in _readings(other, mine))


def values_in(text: str) -> list[str]:
    """The pieces of a list: between commas that are not inside a number, semicolons, lines, "and", 、 and 和."""
    text = normal_text(text, ignore_case=False) if "\n" not in text else text
    pieces = [_BULLET.sub("", piece).strip() for line in text.split("\n") for piece in _SEPARATOR.split(_BULLET.sub("", line))]
    return [piece for piece in pieces if piece]


def _near(gold: Fraction, answer: Fraction, tolerance: float) -> bool:
    return abs(answer - gold) <= Fraction(tolerance) * abs(gold)


def _readings(answer: Number, gold: Number) -> set[Fraction]:
    """What the answer may mean: a percent sign or a scale word that the gold value lacks may be that of the axis."""
    if answer.percent:
        return {answer.plain} if gold.percent else {answer.plain, answer.plain / 100}
    return {answer.plain * answer.scale} | ({answer.plain} if gold.scale == 1 and not gold.percent and gold.unit is None else set())


def _whole_number(text: str) -> Number | None:
    """The number that the whole text is, a unit aside."""
    text = normal_text(text, ignore_case=False)
    match = _NUMBER.match(text)
    if match is None:
        return None
    rest = text[match.end() :].strip()
    if not rest:
        return _number(match, None)
    value, unit = split_unit(f"{match['whole']} {rest}" if not match["percent"] else rest)
    return _number(match, unit) if unit and value == match["whole"] else None


def _stated_number(text: str) -> Number | None:
    """The number that the whole text is, or else the only one in it."""
    if len(text) > MAX_CHARS:
        return None
    whole = _whole_number(text)
    if whole:
        return whole
    text = normal_text(text, ignore_case=False)
    found = {number for match in _NUMBER.finditer(text) if (number := _number(match, None))}
    left = _NUMBER.sub(" ⌗ ", text)
    return found.pop() if len(found) == 1 and not _UNSURE.search(left) and not re.search(r"\d", left) else None


def _number(match: re.Match[str], unit: Unit | None) -> Number:
    plain = Fraction(match["whole"].replace(",", "") + (match["decimals"] or "")) * Fraction(10) ** int(match["power"] or 0)
    bare = not (match["decimals"] or match["power"] or match["percent"] or match["scale"] or match["currency"] or "," in match["whole"])
    year = bare and not match["sign"] and len(match["whole"]) == 4 and int(match["whole"]) in YEARS and unit is None
    percent = bool(match["percent"] or match["hundredths"])
    return Number(
        -plain if match["sign"] in "-−" and match["sign"] else plain,
        _SCALES.get((match["scale"] or "").lower(), 1),
        percent,
        year,
        unit,
        (match["currency"] or "")[-1:],
    )
