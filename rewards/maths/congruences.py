"""Remainders: `x \\equiv 3 \\pmod 7`, `3 (mod 7)`, `x = 7k + 3`."""

import re
from dataclasses import dataclass

_WITH_MODULUS = re.compile(
    r"(?P<rest>.*?)\s*[,(]?\s*(?:\\text\{\s*)?\\?[pb]?mod(?![a-zA-Z])\s*\}?\s*\{?\s*(?P<modulus>\d{1,9})\s*\}?\s*\)?"
)
_STATED = re.compile(r"(?:(?P<name>[a-zA-Z])\s*(?:\\equiv|=)\s*)?(?P<values>[-\d\s,or]+)")
_PROGRESSION = re.compile(
    r"(?:(?P<name>[a-zA-Z])\s*=\s*)?"
    r"(?:(?P<step>\d{1,9})(?:\\cdot)?\s*[kmntq]\s*(?P<start>[-+]\s*\d{1,9})?|(?P<first>\d{1,9})\s*\+\s*(?P<by>\d{1,9})(?:\\cdot)?\s*[kmntq])"
)
MAX_DIGITS = 30


@dataclass(frozen=True, slots=True)
class Residues:
    """Whole numbers as they are written; `modulus` None where none is said."""

    name: str | None
    values: frozenset[int]
    modulus: int | None

    def reduced(self, modulus: int) -> frozenset[int]:
        return frozenset(value % modulus for value in self.values)


def same_residues(gold: str, answer: str) -> bool | None:
    """Whether two texts leave the same remainders; None where neither names a modulus, or one is no list of whole numbers.

    Beside a number without a modulus, the remainder has to be that number: `5 \\pmod 4` is not 1.
    """
    if "mod" not in gold + answer:
        return None
    mine, other = _residues(gold), _residues(answer)
    if mine is None or other is None or 0 in (mine.modulus, other.modulus):
        return None
    if mine.name and other.name and mine.name != other.name:
        return False
    if mine.modulus and other.modulus:
        return mine.modulus == other.modulus and mine.reduced(mine.modulus) == other.reduced(mine.modulus)
    return mine.values == other.values


def _residues(text: str) -> Residues | None:
    match = _WITH_MODULUS.fullmatch(text.strip())
    rest, modulus = (match["rest"], int(match["modulus"])) if match else (text, None)
    if progression := _PROGRESSION.fullmatch(rest.strip()) if modulus is None else None:
        start = int((progression["start"] or progression["first"] or "0").replace(" ", ""))
        return Residues(progression["name"], frozenset({start}), int(progression["step"] or progression["by"]))
    stated = _STATED.fullmatch(rest.strip())
    numbers = re.split(r",|\bor\b", stated["values"]) if stated else []
    if not stated or not all(re.fullmatch(rf"\s*-?\d{{1,{MAX_DIGITS}}}\s*", number) for number in numbers):
        return None
    return Residues(stated["name"], frozenset(int(number) for number in numbers), modulus)
