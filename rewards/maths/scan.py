"""Splitting an expression at its top level, outside every pair of brackets."""

import re

_OPEN, _SHUT = "([{⦃⟬", ")]}⦄⟭"
_RELATION = re.compile(r"\\(?:leq|geq|neq|in|equiv|notin)(?![a-zA-Z])|[<>=]")


def depths(text: str) -> list[int]:
    """The bracket depth of each character; brackets themselves count as inside. Any closing bracket closes any opening one."""
    found, depth = [], 0
    for position, character in enumerate(text):
        if character in _OPEN:
            depth += 1
        found.append(depth)
        if character in _SHUT and not (character in "()[]" and position and text[position - 1] == "\\"):
            depth = max(0, depth - 1)
    return found


def split_top(text: str, mark: str, *, pairs: bool = True) -> list[str]:
    """The parts between `mark` at depth 0; with `pairs`, a mark inside |...| does not count."""
    if mark not in text:
        return [text]
    level = depths(text)
    parts, start, bars = [], 0, 0
    position = 0
    while position < len(text):
        if pairs and mark != "|" and text[position] == "|" and level[position] == 0:
            bars += 1
        command = mark.startswith("\\") and text[position + len(mark) : position + len(mark) + 1].isalpha()
        if level[position] == 0 and bars % 2 == 0 and text.startswith(mark, position) and not command:
            parts.append(text[start:position])
            position += len(mark)
            start = position
        else:
            position += 1
    return [*parts, text[start:]]


def split_relation(text: str) -> tuple[list[str], list[str]]:
    """Sides and operators of a chain of relations at depth 0; no operators when it is no relation."""
    level = depths(text)
    sides, ops, start = [], [], 0
    for match in _RELATION.finditer(text):
        if level[match.start()] == 0:
            sides.append(text[start : match.start()].strip())
            ops.append(match.group())
            start = match.end()
    return [*sides, text[start:].strip()], ops


def is_enclosed(text: str, left: str, right: str) -> bool:
    """Whether one pair of brackets surrounds the whole text."""
    return len(text) >= 2 and text[0] == left and text[-1] == right and all(level > 0 for level in depths(text))


def unwrapped(text: str) -> str:
    """Without braces around the whole."""
    while is_enclosed(text, "{", "}"):
        text = text[1:-1].strip()
    return text


def nesting(text: str) -> int:
    return max(depths(text), default=0)
