"""The left side of `f(x) = ...`: a name for the value on the right, or one side of an equation."""

import re

_NAME = r"(?:\\?[a-zA-Z]+|\\text\{[^{}]*\})(?:_\{[^{}]*\}|_\w)?'*"
_LABEL = re.compile(rf"{_NAME}(?:\s*(?:\^\{{-1\}})?\s*\([^()]*\))?|{_NAME}\s*\([^()]*\)'*")
_RATIO = re.compile(rf"{_NAME}(?:\s*:\s*{_NAME})+")
_POINTS = re.compile(r"[A-Z\s\\/:{}_'△∠]*(?:\\(?:frac|angle|triangle|overline|text)[A-Z\s\\/:{}_'a-z]*)*")
_MEASURE = re.compile(
    rf"\\(?:sin|cos|tan|cot|sec|csc)\s*(?:\(\s*{_NAME}\s*\)|\{{\s*{_NAME}\s*\}}|{_NAME}|\\angle\s*[A-Z]+)"
    rf"|\|\s*{_NAME}\s*\||\\(?:bar|overline)\s*\{{\s*{_NAME}\s*\}}"
)
_WORDS = re.compile(r"(?:\\text\{[^{}]*\}|[a-zA-Z]{2,}|\s)+")


def is_label(side: str) -> bool:
    """A symbol, a function of something, a tuple of these, a ratio or segment between named points, or words."""
    side = side.strip()
    if not side:
        return True
    if side[0] == "(" and side[-1] == ")":
        return all(_LABEL.fullmatch(part.strip()) for part in side[1:-1].split(",")) or bool(_LABEL.fullmatch(side[1:-1].strip()))
    if re.search(r"\\(?:sin|cos|tan|ln|log|sqrt|cdot|pi)", side):
        return False
    return bool(_LABEL.fullmatch(side) or _RATIO.fullmatch(side) or _POINTS.fullmatch(side) or _WORDS.fullmatch(side))


def parts(label: str) -> tuple[str, ...]:
    """The names in `(x, y)`; the label alone otherwise."""
    label = label.strip()
    if label[:1] == "(" and label[-1:] == ")":
        inner, depth, start, found = label[1:-1], 0, 0, []
        for position, character in enumerate(inner + ","):
            depth += (character == "(") - (character == ")")
            if character == "," and depth == 0:
                found.append(inner[start:position].strip())
                start = position + 1
        return tuple(found)
    return (label,)


def base(label: str) -> str:
    """The letter, without subscript, prime or argument."""
    return re.sub(r"_\{[^{}]*\}|_\w|'|\([^()]*\)|[\s\\{}]|text|\^\{-1\}", "", label)


def is_measure(side: str) -> bool:
    """`\\sin A`, `|AB|`, `\\bar{x}`: something of what has a name, which a value alone may answer."""
    return bool(_MEASURE.fullmatch(side.strip()))


def is_graph(label: str, other: str) -> bool:
    """`y` and `f(x)`, in either order: two names of one curve."""
    first, second = label.strip(), other.strip()
    return (first == "y" and argument(second) == "x") or (second == "y" and argument(first) == "x")


def index(label: str) -> str | None:
    """`n` in `a_{n}`: what counts the terms of a sequence."""
    match = re.fullmatch(r"[a-zA-Z]_\{?([i-n])\}?", label.replace(" ", ""))
    return match.group(1) if match else None


def argument(label: str) -> str | None:
    """`x` in `f(x)`; None when it is not a function of one symbol."""
    match = re.fullmatch(r"[^()]*\(\s*(\\?[a-zA-Z]+)\s*\)", label.strip())
    return match.group(1) if match else None
