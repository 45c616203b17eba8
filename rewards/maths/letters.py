"""Letters of both cases, told apart: to the parser of LaTeX all are small, and `R - r` would be 0."""

import re
from string import ascii_lowercase

_GREEK = "Gamma|Delta|Theta|Lambda|Xi|Pi|Sigma|Phi|Psi|Omega"
_NAMES = re.compile(
    rf"\\text\{{[^{{}}]*\}}|\\(?P<greek>{_GREEK}|{_GREEK.lower()})(?![a-zA-Z])|\\[a-zA-Z]+"
    r"|(?P<letters>[a-zA-Z]+)"
)
_FREE = [letter for letter in ascii_lowercase if letter not in "defgi"]
MAX_PRODUCT = 3
"""More letters in a row are a word."""


def told_apart(gold: str, answer: str) -> tuple[str, str]:
    """Both with an unused small letter in the place of each capital that one of them has beside its small letter.

    A capital alone stays what it is to the parser, its small letter: `2C x` and `2c x` may be the same constant.
    """
    sides = [_names(text) for text in (gold, answer)]
    doubled = sorted({name for side in sides for name in side if name.lower() != name and name.lower() in side})
    used = {name.lower() for side in sides for name in side}
    others = dict(zip(doubled, (letter for letter in _FREE if letter not in used), strict=False))
    if not others:
        return gold, answer
    first, second = (_NAMES.sub(lambda match: _renamed(match, others), text) for text in (gold, answer))
    return first, second


def renamed(text: str, old: str, new: str) -> str | None:
    """`text` with the symbol `old` written `new`; None where `new` stands in it already, for something else."""
    symbols = [f"\\{match['greek']}" if match["greek"] else match["letters"] or match.group() for match in _NAMES.finditer(text)]
    if any(new == symbol or (len(symbol) <= MAX_PRODUCT and symbol.isalpha() and new in symbol) for symbol in symbols):
        return None
    return _NAMES.sub(lambda match: _replaced(match, old, new), text)


def _replaced(match: re.Match[str], old: str, new: str) -> str:
    if match.group() == old:
        return f"{{{new}}}"
    return "".join(f"{{{new}}}" if letter == old else letter for letter in letters) if (letters := _product(match)) else match.group()


def _names(text: str) -> set[str]:
    found: set[str] = set()
    for match in _NAMES.finditer(text):
        found |= {match["greek"]} if match["greek"] else set(_product(match))
    return found


def _product(match: re.Match[str]) -> str:
    """The letters that are multiplied; none in a word or a command."""
    letters = match["letters"] or ""
    return letters if len(letters) <= MAX_PRODUCT else ""


def _renamed(match: re.Match[str], others: dict[str, str]) -> str:
    if match["greek"] in others:
        return f" {others[match['greek']]} "
    return "".join(others.get(letter, letter) for letter in letters) if (letters := _product(match)) else match.group()
