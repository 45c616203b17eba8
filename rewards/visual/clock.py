"""The time that a text states: digits, English or Chinese words.

`3:45`, `15:45:30`, `3:45 pm`, `half past three`, `a quarter to four`, `ten past 3`, `three forty-five`, `4 o'clock`, `noon`;
`三点半`, `三点四十五分`, `下午3点45分20秒`, `三点一刻`, `差五分四点`, `四点差五分`, `三点整`.
"""

import re
from dataclasses import dataclass, replace

from rewards.visual.number_words import CHINESE_PATTERN, ENGLISH_PATTERN, small_number

_N = rf"(?:\d{{1,2}}|{ENGLISH_PATTERN})"
_ZH = rf"(?:\d{{1,2}}|{CHINESE_PATTERN})"
_HALF_OF_DAY = r"(?:\s*(?:(?P<half>[ap])\.?\s?m\b\.?|in\sthe\s(?P<english_part>morning|afternoon|evening)\b))"
_PART = r"(?P<part>凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里)"
_DIGITAL = re.compile(
    rf"(?:{_PART}\s?)?(?<![\d:.-])(?P<hour>\d{{1,2}})\s?:\s?(?P<minute>\d{{2}})(?:\s?:\s?(?P<second>\d{{2}}))?(?![\d:]|\.\d){_HALF_OF_DAY}?",
    re.IGNORECASE,
)
_PAST = re.compile(
    rf"\b(?:(?P<half_hour>half)|(?:an?\s)?(?P<quarter>quarter)|(?P<minute>{_N})(?:\s?minutes?)?)\s"
    rf"(?P<side>past|after|to|before|till|of)\s(?P<hour>{_N})(?:\so'clock)?\b{_HALF_OF_DAY}?",
    re.IGNORECASE,
)
_SPOKEN = re.compile(
    rf"\b(?P<hour>{ENGLISH_PATTERN})\s(?:(?:oh|o)[\s-](?P<small>{ENGLISH_PATTERN})|(?P<minute>{ENGLISH_PATTERN}))\b{_HALF_OF_DAY}?",
    re.IGNORECASE,
)
_FULL = re.compile(rf"\b(?P<hour>{_N})(?:\so'clock\b{_HALF_OF_DAY}?|\s?(?P<half2>[ap])\.?\s?m\b\.?)", re.IGNORECASE)
_NAMED = re.compile(r"\b(?P<name>noon|midday|midnight)\b|(?P<chinese_name>正午|午夜)", re.IGNORECASE)
_CHINESE = re.compile(
    rf"{_PART}?\s?(?:差\s?(?P<lacking>{_ZH})\s?(?P<unit>分钟?|刻)\s?(?:到)?\s?)?"
    rf"(?P<hour>{_ZH})\s?[点时點時]钟?(?:\s?(?:(?P<half_hour>半)|(?P<quarter>[一三13])刻|整|过?\s?(?P<minute>{_ZH})\s?(?:分(?!之)|(?![\d点时]))"
    rf"|差\s?(?P<late>{_ZH})\s?(?P<late_unit>分钟?|刻)))?(?:\s?(?P<second>{_ZH})\s?秒)?"
)
MAX_TIME = 60
"""A text that is longer is more than a time."""
_AFTERNOON = ("中午", "下午", "傍晚", "晚上", "夜里")
_CLEAN = str.maketrans({"：": ":", "’": "'", "，": ",", "。": "."})
# An answer that bounds or denies a time, or gives the choice between two, states none.
_UNSURE = re.compile(
    r"\b(?:or|not|between|either|almost|nearly|maybe|cannot|can't|unknown|(?:just|shortly|slightly|sometime) (?:past|after|before))\b|n't\b"
    r"|\b(?:before|after|past|until|by|since)\s+⌚|⌚\s*(?:之?前|之?后|以[前后]|过)|或|不是|之间|将近|快到|不到|无法|不知道|刚过",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class StatedTime:
    """`hour` as stated: 0 to 24, after am or pm 0 to 23. `twelve_hour` when 1 to 12 was said without its half of the day."""

    hour: int
    minute: int
    second: int | None
    twelve_hour: bool


def stated_time(text: str) -> StatedTime | None:
    """The one time that the text states; None when it states none, several different ones, an impossible one, or is not sure."""
    text = _plain(text)
    found: list[StatedTime | None] = []
    for pattern in (_DIGITAL, _PAST, _SPOKEN, _FULL, _NAMED, _CHINESE):
        found += [_read(match) for match in pattern.finditer(text)]
        text = pattern.sub(" ⌚ ", text)
    if len(set(found)) != 1 or _UNSURE.search(text) or re.search(r"\d\s*:|:\s*\d", text):
        return None
    return found[0]


def same_time(gold: str, answer: str) -> bool | None:
    """Whether two texts that are each a time and nothing else name the same one; None unless both are.

    Where one says its half of the day, the other may be of 24 hours: `14:30` is `2:30 PM`. What may be either half, as 2:30 may, is not the
    same as one of them. Where none does, equal times are the same (`3 o'clock`, `3:00`), and others may be ratios: None.
    """
    mine, other = _whole_time(gold), _whole_time(answer)
    if mine is None or other is None:
        return None
    first, second = mine[0], other[0]
    if not (mine[1] or other[1]):
        return True if replace(first, second=first.second or 0) == replace(second, second=second.second or 0) else None
    if first.twelve_hour or second.twelve_hour:
        return False
    return (first.hour, first.minute, first.second or 0) == (second.hour, second.minute, second.second or 0)


def _whole_time(text: str) -> tuple[StatedTime, bool] | None:
    """The time that the whole text is, and whether it says its half of the day."""
    plain = _plain(text[: MAX_TIME + 1]).strip(" \t\n.,;!")
    for pattern in (_DIGITAL, _PAST, _SPOKEN, _FULL, _NAMED, _CHINESE) if len(text) <= MAX_TIME else ():
        if (match := pattern.fullmatch(plain)) and (time := _read(match)):
            said = match.groupdict()
            return time, any(said.get(key) for key in ("half", "half2", "part", "english_part", "name", "chinese_name"))
    return None


def _plain(text: str) -> str:
    text = re.sub(r"\\text\{([^{}]*)\}", r"\1", text.translate(_CLEAN))
    return re.sub(r"[{}$\\*`]", "", text)


def _read(match: re.Match[str]) -> StatedTime | None:
    said = match.groupdict()
    if name := said.get("name") or said.get("chinese_name"):
        return StatedTime(0 if name.lower() in ("midnight", "午夜") else 12, 0, None, twelve_hour=False)
    minute, earlier = _minute(said)
    hour = small_number(said["hour"])
    second = small_number(said["second"]) if said.get("second") else None
    if hour is None or minute is None or not (0 <= hour <= 24 and 0 <= minute < 60 and (second is None or 0 <= second < 60)):
        return None
    half = said.get("half") or said.get("half2") or _english_half(said.get("english_part"))
    half = half or ("p" if said.get("part") in _AFTERNOON else "a" if said.get("part") else None)
    if said.get("part") and (said.get("half") or said.get("half2")):
        return None
    if half and hour <= 12:
        # 中午十一点 is before noon.
        hour = hour if said.get("part") == "中午" and hour == 11 else hour % 12 + (12 if half.lower() == "p" else 0)
    if earlier:
        back = (hour * 60 - minute) % (12 * 60 if half is None and 1 <= hour <= 12 else 24 * 60)
        return StatedTime(back // 60 or (12 if half is None else 0), back % 60, second, half is None and 1 <= hour <= 12)
    return StatedTime(hour % 24, minute, second, half is None and 1 <= hour <= 12)


def _english_half(part: str | None) -> str | None:
    return None if part is None else "a" if part.lower() == "morning" else "p"


def _minute(said: dict[str, str | None]) -> tuple[int | None, bool]:
    """The minutes beside the hour, and whether they are before it."""
    lacking, unit = said.get("lacking") or said.get("late"), said.get("unit") or said.get("late_unit")
    if lacking:
        number = small_number(lacking)
        return (number * 15 if number is not None and unit == "刻" else number), True
    earlier = (said.get("side") or "").lower() in ("to", "before", "till", "of")
    if said.get("half_hour"):
        return None if earlier else 30, earlier  # nobody says "half to seven"
    if quarter := said.get("quarter"):
        return (45 if quarter in "三3" else 15), earlier
    stated = said.get("minute") or said.get("small")
    return (small_number(stated) if stated else 0), earlier
