"""Targets from the gold answers that data files hold."""

import json
import math
import string
from collections.abc import Callable, Mapping

from tasks.errors import RowError, short
from tasks.problem import Box, BoxesTarget, ChoiceTarget, CountTarget, MathTarget, MissingTarget, NumberTarget, Target, TextTarget


def read_target(kind: str, value: object, choices: tuple[str, ...]) -> Target:
    """The target of a kind in `READERS`; `MissingTarget` when the gold is null or empty. Raises `RowError`."""
    return MissingTarget() if _is_empty(value) else READERS[kind](value, choices)


def _is_empty(value: object) -> bool:
    if isinstance(value, str):
        return not value.strip()
    return value is None or (isinstance(value, list | tuple) and all(_is_empty(item) for item in value))


def _math(value: object, choices: tuple[str, ...]) -> Target:
    return MathTarget(_text(value, "a math answer"))


def _number(value: object, choices: tuple[str, ...]) -> Target:
    if isinstance(value, Mapping):
        tolerances = {key: _finite(value[key]) for key in ("absolute", "relative") if value.get(key) is not None}
        return NumberTarget(_finite(value.get("value")), **tolerances)
    return NumberTarget(_finite(value))


def _texts(value: object, choices: tuple[str, ...]) -> Target:
    values = value if isinstance(value, list | tuple) else [value]
    return TextTarget(tuple(_text(item, "a text answer") for item in values if not _is_empty(item)))


def _choice(value: object, choices: tuple[str, ...]) -> Target:
    if not isinstance(value, str):
        raise RowError(f"a choice is a letter, not {short(value)}: a number does not say whether it counts from 0 or 1")
    letters = string.ascii_uppercase[: len(choices) or None]
    meant = {letter for letter, choice in zip(letters, choices, strict=False) if choice.strip() == value.strip()}
    letter = value.strip().strip("().:").upper()
    if len(letter) == 1 and letter in letters:
        meant.add(letter)
    if len(meant) != 1:
        of = f"a letter from A to {letters[-1]}" + (" or the text of one of the choices" if choices else "")
        raise RowError(f"choice {short(value)} is not " + (of if not meant else f"one choice: it fits {' and '.join(sorted(meant))}"))
    return ChoiceTarget(meant.pop(), choices)


def _count(value: object, choices: tuple[str, ...]) -> Target:
    number = _finite(value)
    if number < 0 or number != int(number):
        raise RowError(f"a count is a whole number from 0, not {short(value)}")
    return CountTarget(int(number))


def _boxes(value: object, choices: tuple[str, ...]) -> Target:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError) as error:
            raise RowError(f"boxes {short(value)} are no JSON") from error
        if _is_empty(value):
            return MissingTarget()
    single = isinstance(value, Mapping) or (isinstance(value, list) and all(isinstance(number, int | float) for number in value))
    items = [value] if single else value
    if not isinstance(items, list):
        raise RowError(f"boxes are a list of [x1, y1, x2, y2] or of {{bbox_2d, label}}, not {short(value)}")
    return BoxesTarget(tuple(_box(item) for item in items))


def _box(value: object) -> Box:
    label: object = ""
    corners = value
    if isinstance(value, Mapping):
        corners, label = value.get("bbox_2d"), value.get("label") or ""
    if not isinstance(corners, list | tuple) or len(corners) != 4 or not isinstance(label, str):
        raise RowError(f"a box is [x1, y1, x2, y2] or {{bbox_2d, label}}, not {short(value)}")
    x1, y1, x2, y2 = (_finite(corner) for corner in corners)
    if not (0 <= x1 < x2 <= 1000 and 0 <= y1 < y2 <= 1000):
        raise RowError(
            f"box {short(corners)}: corners are relative, from 0 to 1000 (pixel * 1000 / side of the image), with x1 < x2 and y1 < y2"
        )
    return Box(x1, y1, x2, y2, label)


def _text(value: object, what: str) -> str:
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, int | float) and not isinstance(value, bool) and (isinstance(value, int) or math.isfinite(value)):
        return str(value)
    raise RowError(f"{what} is a text or a number, not {short(value)}")


def _finite(value: object) -> float:
    if isinstance(value, str | int | float) and not isinstance(value, bool):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            number = math.nan
        if math.isfinite(number):
            return number
    raise RowError(f"{short(value)} is not a number")


READERS: Mapping[str, Callable[[object, tuple[str, ...]], Target]] = {
    "math": _math,
    "number": _number,
    "text": _texts,
    "choice": _choice,
    "boxes": _boxes,
    "count": _count,
}
# `none` says that there is no gold: the column is not read.
TARGET_KINDS = (*READERS, "none")
