"""Counting: a number, a number word, or as many boxes or points as there are things."""

import re
from typing import Literal

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import boxes_in, stated_answer, unstyled
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.boxes import Items, items_in
from rewards.visual.number_words import CHINESE_PATTERN, ENGLISH_PATTERN, small_number
from tasks.problem import CountTarget

_MEASURES = "个只条张朵辆人本块头匹棵座把台件颗名位种根片支枝面粒串盘碗杯瓶幅扇顶束堆架艘枚株栋盏尾间家户所层排列群道"
_TOKEN = re.compile(
    rf"(?P<digits>-?\d[\d,]*(?:\.\d+)?)|\b(?P<english>{ENGLISH_PATTERN})\b|(?P<zh>{CHINESE_PATTERN})(?=[{_MEASURES}]|\s*$|[。，.])",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"\b(?:or|to|at (?:least|most)|about|around|approximately|roughly|nearly|almost|more than|fewer than|less than)\b"
    r"|\b(?:over|under|between|not|maybe|either)\b|n't\b|\bno\s+\d"
    r"|[~≈≥≤<>±–]|\d\s*(?:\+|\\?%|(?:st|nd|rd|th)\b|[kKM]\b|[百千万亿²³])|\d\s*-\s*\d|或|没有\s*[\d一二两三四五六七八九十]|不足|不止|不下|超出|[十百千\d]\s?[多余几]|[大小多少高低]于|至少|至多|最多|大约|大概|左右|约|超过|不到|不是|之间|以上|以下|到|不知道|无法|[一二两三四五六七八九十][万亿千]"
    rf"|\band\s+(?:\w+[-\s])?(?:hal|third|quarter|fourth|fifth|tenth)|[{_MEASURES}\d]\s?半"
    rf"|(?:\d|\b{ENGLISH_PATTERN})\s+(?:hundred|thousand|million|billion|dozen|pairs|halves|thirds|quarters|percent|squared)\b",
    re.IGNORECASE,
)  # fmt: skip


@reward("count", target=CountTarget, version="6")
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
        stated = unstyled(stated).strip(" $")
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
    return small_number(match["english"] or match["zh"])
