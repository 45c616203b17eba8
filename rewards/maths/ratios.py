"""Ratios and times, which are written alike: `3:4`, `14:30`, `2:4:6`."""

import re
from math import gcd

from rewards.maths.expression import equal_symbolic, symbolic

MAX_TERMS = 64
_TIME = re.compile(r"\d{1,2}(?::\d{2}){1,2}")
_HOUR_AND_MINUTE = re.compile(r"(?P<hour>1?\d|2[0-3]):(?P<minute>[0-5]\d)")
_LED_BY_ZERO = re.compile(r":\s*0\d")


def same_ratio(gold: str, answer: str) -> bool | None:
    """Whether two texts are the same time, or the same ratio of three terms and more; None where their values by `as_fraction` decide.

    What could be a time and is not in lowest terms, such as 14:30, is no fraction. As an answer it is a ratio where the gold is one.
    """
    if _TIME.fullmatch(gold) and _TIME.fullmatch(answer):
        return _clock(gold) == _clock(answer)
    terms = gold.split(":"), answer.split(":")
    if max(map(len, terms)) > 2:
        return not _TIME.fullmatch(gold) and _proportional(*terms)
    if any(_LED_BY_ZERO.search(text) for text in (gold, answer)) or _is_time(gold) or (":" not in gold and _is_time(answer)):
        return False
    return None


def as_fraction(text: str) -> str:
    parts = text.split(":")
    return rf"\frac{{{parts[0]}}}{{{parts[1]}}}" if len(parts) == 2 and all(part.strip() for part in parts) else text


def _is_time(text: str) -> bool:
    match = _HOUR_AND_MINUTE.fullmatch(text.strip())
    return match is not None and gcd(int(match["hour"]), int(match["minute"])) > 1


def _proportional(gold: list[str], answer: list[str]) -> bool:
    """Ratios of three terms and more: `2:4:6` is `1:2:3`. Each is as many times its counterpart as the first, and none is 0."""
    if len(gold) != len(answer) or len(gold) > MAX_TERMS:
        return False
    mine, other = [symbolic(term.strip()) for term in gold], [symbolic(term.strip()) for term in answer]
    pairs = [(a, b) for a, b in zip(mine, other, strict=True) if a is not None and b is not None and a != 0 and b != 0]
    if len(pairs) != len(gold):
        return False
    (first, second), *rest = pairs
    return bool((first / second).evalf().is_positive) and all(equal_symbolic(a * second, b * first) for a, b in rest)


def _clock(text: str) -> list[int]:
    fields = [int(field) for field in text.split(":")]
    return fields + [0] * (3 - len(fields))
