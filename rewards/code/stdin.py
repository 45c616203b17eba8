"""Stdin tests: the program runs once for each, and what it printed is compared here."""

import math
import re

from sandbox.limits import Finished
from tasks.problem import StdinTest

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")


def passes(test: StdinTest, finished: Finished, tolerance: float) -> bool:
    """Whether it ended by itself, with status 0, after printing the expected lines."""
    return finished.end == "exited" and finished.status == 0 and same_output(finished.stdout, test.stdout, tolerance)


def same_output(printed: str, expected: str, tolerance: float) -> bool:
    """Line by line and word by word: blanks between words, at the ends of lines and empty lines at the end do not count.

    An expected number with a fraction may differ by `tolerance`, absolute or relative; integers and all else may not.
    """
    mine, gold = _lines(printed), _lines(expected)
    return len(mine) == len(gold) and all(_same_line(a, b, tolerance) for a, b in zip(mine, gold, strict=True))


def _lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.rstrip().splitlines()]


def _same_line(mine: list[str], gold: list[str], tolerance: float) -> bool:
    return len(mine) == len(gold) and all(_same_word(a, b, tolerance) for a, b in zip(mine, gold, strict=True))


def _same_word(mine: str, gold: str, tolerance: float) -> bool:
    if mine == gold:
        return True
    if not ("." in gold or "e" in gold.lower()) or not _NUMBER.fullmatch(gold) or not _NUMBER.fullmatch(mine):
        return False
    return math.isclose(float(mine), float(gold), rel_tol=tolerance, abs_tol=tolerance)
