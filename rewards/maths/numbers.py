"""Plain numbers read exactly, without sympy: integers, decimals, fractions, mixed numbers, powers of ten, bases."""

import re
from dataclasses import dataclass
from fractions import Fraction

_SIGN = r"(?P<sign>[-+]*)\s*"
_THOUSANDS = re.compile(r"(?<![\d.])(\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+)(?=\.\d|$)")
_DECIMAL = re.compile(_SIGN + r"(?P<whole>\d*)(?:\.(?P<decimals>\d*))?")
_FRACTION = re.compile(
    _SIGN + r"(?:(?P<whole>\d+)?\s*\\frac\s*\{\s*(?P<n>-?\d+)\s*\}\s*\{\s*(?P<d>-?\d+)\s*\}|(?P<n2>\d+)\s*/\s*(?P<d2>\d+))"
)
_MIXED_PLAIN = re.compile(_SIGN + r"(?P<whole>\d+)\s+(?P<n>\d+)\s*/\s*(?P<d>\d+)")
_REPEATING = re.compile(
    _SIGN + r"(?P<whole>\d*)\.(?P<fixed>\d{0,40}?)"
    r"(?:\\(?:overline|bar|dot)\s*\{?(?P<block>\d+)\}?|\((?P<round>\d{1,40})\)|\\dot\s*\{?(?P<first>\d)\}?(?P<inner>\d*)\\dot\s*\{?(?P<last>\d)\}?"
    r"|(?:(?P<digit>\d)(?P=digit){2,}|(?P<group>\d{2,40}?)(?P=group)+)…)"
)
_SCIENTIFIC = re.compile(r"(?P<mantissa>[-+]?\d*\.?\d+)\s*(?:\\cdot|[xX])\s*10\s*\^\s*[{(]*\s*(?P<power>[-+]?\d{1,4})\s*[)}]*")
_E_NOTATION = re.compile(r"(?P<mantissa>[-+]?\d*\.?\d+)[eE](?P<power>[-+]?\d{1,4})")
_BASES = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "twelve": 12, "sixteen": 16}
_BASE = re.compile(
    r"(?P<open>\()?(?P<digits>[0-9A-Za-z]+)(?(open)\))_\s*\{?\s*\(?\s*(?:\\text\{\s*)?"
    rf"(?P<base>\d{{1,2}}|{'|'.join(_BASES)})\s*\}}?\s*\)?\s*\}}?"
)


@dataclass(frozen=True, slots=True)
class PlainNumber:
    """`decimals` counts the digits after the point of a decimal literal, None for anything exact. `base` is that of a subscript."""

    value: Fraction
    decimals: int | None = None
    base: int | None = None
    digits: str = ""


def plain_number(text: str) -> PlainNumber | None:
    """The number that the whole text is, else None."""
    text = text.strip()
    if not text or len(text) > 600:
        return None
    text = re.sub(r"^(-?)0,(\d+)$", r"\g<1>0.\2", text)
    text = ungrouped(text)
    return _decimal(text) or _repeating(text) or _fraction(text) or _scientific(text) or _based(text)


def ungrouped(text: str) -> str:
    """Without separators of thousands, if the text ends in such a number."""
    return _THOUSANDS.sub(lambda m: re.sub("[, ]", "", m.group()), text)


def _decimal(text: str) -> PlainNumber | None:
    match = _DECIMAL.fullmatch(text)
    if not match or not (match["whole"] or match["decimals"]):
        return None
    decimals = (match["decimals"] or "").rstrip("0")
    value = Fraction(f"{match['whole'] or '0'}.{match['decimals'] or '0'}")
    return PlainNumber(_signed(match["sign"], value), len(match["decimals"]) if decimals else None)


def _fraction(text: str) -> PlainNumber | None:
    match = _MIXED_PLAIN.fullmatch(text)
    if match:
        numerator, denominator = int(match["n"]), int(match["d"])
    else:
        match = _FRACTION.fullmatch(text)
        if not match:
            return None
        numerator, denominator = int(match["n"] or match["n2"]), int(match["d"] or match["d2"])
    if denominator == 0:
        return None
    whole = int(match["whole"] or 0)
    if match["whole"] and (numerator < 0 or denominator < 0 or numerator >= denominator):
        return None
    return PlainNumber(_signed(match["sign"], whole + Fraction(numerator, denominator)))


def _repeating(text: str) -> PlainNumber | None:
    """`0.1\\overline{6}`, `0.\\dot{1}4285\\dot{7}`, `0.333…`: whole + (fixed + block / 99..9) / 10^len(fixed)."""
    match = _REPEATING.fullmatch(text)
    if not match:
        return None
    fixed = match["fixed"]
    block = match["block"] or match["round"] or match["digit"] or match["group"] or f"{match['first']}{match['inner']}{match['last']}"
    tail = Fraction(int(fixed or 0)) + Fraction(int(block), 10 ** len(block) - 1)
    return PlainNumber(_signed(match["sign"], int(match["whole"] or 0) + tail / 10 ** len(fixed)))


def _scientific(text: str) -> PlainNumber | None:
    match = _SCIENTIFIC.fullmatch(text) or _E_NOTATION.fullmatch(text)
    if not match:
        return None
    return PlainNumber(Fraction(match["mantissa"]) * Fraction(10) ** int(match["power"]))


def _based(text: str) -> PlainNumber | None:
    match = _BASE.fullmatch(text)
    base = (_BASES.get(match["base"]) or int(match["base"])) if match else 0
    if not match or not 2 <= base <= 36 or not match["digits"][0].isalnum():
        return None
    digits = match["digits"].upper()
    if not any(c.isdigit() for c in digits) or any(int(c, 36) >= base for c in digits):
        return None
    return PlainNumber(Fraction(int(digits, base)), None, base, digits)


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign.count("-") % 2 else value
