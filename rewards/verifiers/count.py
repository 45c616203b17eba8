"""Counting: a number, a number word, or as many boxes or points as there are things."""

import re
from typing import Literal

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import boxes_in, stated_answer
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.boxes import Items, items_in
from tasks.problem import CountTarget

_UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {word: value for value, word in enumerate(_UNITS)} | {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_DIGITS = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_TOKEN = re.compile(
    r"(?P<digits>-?\d[\d,]*(?:\.\d+)?)|"
    rf"\b(?P<tens>{'|'.join(_TENS)})(?:[-\s](?P<unit>{'|'.join(_UNITS[1:10])}))?\b|\b(?P<word>{'|'.join(_UNITS)})\b"
    r"|(?P<zh>[零〇一二两三四五六七八九十百]+)(?=[个只条张朵辆人本块头匹棵座把台件颗名位种]|\s*$|[。，.])",
    re.IGNORECASE,
)  # fmt: skip
_UNSURE = re.compile(
    r"\b(?:or|to|at (?:least|most)|about|around|approximately|roughly|nearly|almost|more than|fewer than|less than)\b"
    r"|\b(?:over|under|between|not|maybe|either)\b"
    r"|[~≈≥≤<>±–]|\d\s*-\s*\d|或|至少|至多|最多|大约|大概|左右|约|超过|不到|不是|之间|以上|以下|到|不知道|无法",
    re.IGNORECASE,
)  # fmt: skip


@reward("count", target=CountTarget, version="2")
def grade_count(target: CountTarget, transcript: Transcript, *, by: Literal["any", "number", "boxes", "points"] = "any") -> Grade:
    """1 for the right count: a number, or as many distinct boxes or points as there are things; `by` says which is asked for.

    A list of both is no count, nor is a list with words beside it that state another number.
    """
    text = final_answer(transcript.final_text)
    items = None if by == "number" else items_in(text)
    count = _plain_count(text, by) if items is None else _items_count(items, by)
    right = count == target.count
    return Grade(float(right), right, None if count is None else str(count))


def _plain_count(text: str, by: str) -> int | None:
    return stated_count(text) if by in ("any", "number") else None


def _items_count(items: Items, by: str) -> int | None:
    if (items.boxes and items.points) or (items.boxes and by == "points") or (items.points and by == "boxes"):
        return None
    count = len({(box.x1, box.y1, box.x2, box.y2) for box in items.boxes} | {(point.x, point.y) for point in items.points})
    stated = _TOKEN.search(items.words) is not None
    return None if stated and stated_count(items.words) != count else count


def stated_count(text: str) -> int | None:
    """The one number that a text states; None when it states none, several, or a bound."""
    stated = stated_answer(text)
    if not stated or len(stated) > 2000:
        return None
    if boxes_in(text):
        whole = _TOKEN.match(stated)
        return _value(whole) if whole and re.fullmatch(r"[\s\w\\{}.]*", stated[whole.end() :]) and not _more(stated, whole.end()) else None
    if _UNSURE.search(stated):
        return None
    values = {_value(match) for match in _TOKEN.finditer(stated)}
    return values.pop() if len(values) == 1 else None


def _more(text: str, start: int) -> bool:
    return _TOKEN.search(text, start) is not None or _UNSURE.search(text) is not None


def _value(match: re.Match[str]) -> int | None:
    if match["digits"]:
        number = float(match["digits"].replace(",", ""))
        return int(number) if number.is_integer() else None
    if match["tens"]:
        return _WORDS[match["tens"].lower()] + (_WORDS[match["unit"].lower()] if match["unit"] else 0)
    if match["word"]:
        return _WORDS[match["word"].lower()]
    return _chinese(match["zh"])


def _chinese(text: str) -> int | None:
    total, digit = 0, 0
    for character in text:
        if character in "十百":
            total += (digit or 1) * (10 if character == "十" else 100)
            digit = 0
        else:
            digit = _DIGITS[character]
    return total + digit
