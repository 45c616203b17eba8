"""Units after a number: stripped, and compared when both sides have a known one."""

import re
from dataclasses import dataclass
from fractions import Fraction

_TABLE: dict[str, dict[str, int | str]] = {
    "length": {"km": 1000, "m": 1, "dm": "0.1", "cm": "0.01", "mm": "0.001", "in": "0.0254", "inch": "0.0254", "foot": "0.3048",
               "ft": "0.3048", "yard": "0.9144", "yd": "0.9144", "mile": "1609.344", "mi": "1609.344", "meter": 1, "metre": 1,
               "kilometer": 1000, "kilometre": 1000, "centimeter": "0.01", "centimetre": "0.01", "millimeter": "0.001",
               "米": 1, "厘米": "0.01", "毫米": "0.001", "分米": "0.1", "千米": 1000, "公里": 1000},
    "mass": {"kg": 1000, "g": 1, "mg": "0.001", "gram": 1, "kilogram": 1000, "ton": 1000000,
             "克": 1, "千克": 1000, "公斤": 1000, "吨": 1000000},
    "time": {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600, "day": 86400, "week": 604800,
             "秒": 1, "分钟": 60, "小时": 3600, "天": 86400},
    "volume": {"l": 1, "liter": 1, "litre": 1, "ml": "0.001", "milliliter": "0.001", "升": 1, "毫升": "0.001"},
    "money": {"dollar": 1, "cent": "0.01", "usd": 1},
    "currency-cn": {"yuan": 1, "rmb": 1, "元": 1},
    "angle": {"°": 1, "degree": 1, "deg": 1, "度": 1},
}  # fmt: skip
_SCALES: dict[str, tuple[str, Fraction]] = {}
for _dimension, _names in _TABLE.items():
    _SCALES.update({name: (_dimension, Fraction(scale)) for name, scale in _names.items()})
_PLURALS = {"feet": "foot", "inches": "inch", "kilometers": "kilometer"}
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "平方": 2, "立方": 3}
_SUFFIX = re.compile(
    r"(?P<value>.*?[\d)}\]⦄!a-z])\s*(?P<unit>"
    r"(?:\\text\{[^{}]*\}\s*(?:\^\s*\{?[23]\}?)?\s*/?\s*)+"
    r"|°\s*[CF]?|(?<=[\d}) ])[\u4e00-\u9fff]+(?:/[\u4e00-\u9fff]+)?"
    r"|\s(?:square |sq\.? |cubic )?[a-zA-Z]{4,}(?:\s[a-zA-Z]+){0,3}\.?(?:\s?\^\s?\{?[23]\}?)?"
    r"|(?<=[\d})])\s?(?:km|cm|mm|kg|mg|ml|mL|ft|yd|min|sec|mph|hours?|days?)(?:\s?\^\s?\{?[23]\}?)?(?:\s?/\s?[a-zA-Z]+(?:\s?\^\s?\{?[23]\}?)?)?"
    r"|(?<=\d)\s(?:m|g|s|h|l|L)(?:\s?\^\s?\{?[23]\}?)?(?:\s?/\s?[a-zA-Z]+(?:\s?\^\s?\{?[23]\}?)?)?"
    r"|(?<=\d)\s?\\(?:cm|mm|km|kg)"
    r")\s*"
)
_NO_UNIT = re.compile(
    r"\d|\b(?:plus|minus|times|over|divided|squared|cubed|factorial|roots?|or|to|to the|power|hundreds?|thousands?|[mbtr]+illions?|dozens?"
    r"|half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|(?:hundred|thousand|million)ths?)\b"
    r"|^[百万亿加减乘除或到至]|以[上下]|左右"
)
_PREFIX = re.compile(r"^\s*(?:¥|€|£|RMB|Rs\.?|US)\s*")


@dataclass(frozen=True, slots=True)
class Unit:
    """`dimension` is empty for words that are no unit of measure (`name` "bottle"); `power` 2 is an area."""

    dimension: str
    scale: Fraction
    power: int
    name: str = ""


def split_unit(text: str) -> tuple[str, Unit | None]:
    """The value's text, and its unit if there is one."""
    text = _PREFIX.sub("", text)
    match = _SUFFIX.fullmatch(text)
    if not match or not re.search(r"[\da-z]", match["value"]):
        return text, None
    if _NO_UNIT.search(re.sub(r"\^\s*\{?[23]\}?|\\text|[{}]", "", match["unit"]).strip().lower()):
        return text, None
    return match["value"].strip(), _unit(match["unit"])


def conversion(mine: Unit | None, other: Unit | None) -> Fraction | None:
    """What to multiply mine with to compare it in the other's unit; None if they cannot be compared. A missing unit fits any."""
    if mine is None or other is None or (not mine.dimension and (mine.name, mine.power) == (other.name, other.power)):
        return Fraction(1)
    if not mine.dimension or mine.dimension != other.dimension or mine.power != other.power:
        return None
    return (mine.scale / other.scale) ** mine.power


def is_angle(unit: Unit | None) -> bool:
    return unit is not None and unit.dimension == "angle"


def _unit(text: str) -> Unit:
    words = re.sub(r"\\text|[{}\\.]", " ", text)
    above, is_ratio, below = words.partition("/") if "/" in words else words.partition(" per ")
    if is_ratio:
        first, second = _unit(above), _unit(below)
        known = first.dimension and second.dimension
        dimension = f"{first.dimension}^{first.power}/{second.dimension}^{second.power}" if known else ""
        return Unit(dimension, first.scale**first.power / second.scale**second.power, 1, " ".join(words.lower().split()))
    power = 1
    match = re.search(r"\^\s*([23])", words)
    if match:
        power, words = int(match.group(1)), words[: match.start()]
    words = words.strip()
    for name, value in _POWERS.items():
        if words.startswith(name):
            power, words = value, words[len(name) :].strip()
    for candidate in (
        words,
        words.lower(),
        _PLURALS.get(words.lower(), ""),
        words.lower().removesuffix("s"),
        words.lower().removesuffix("es"),
    ):
        if candidate in _SCALES:
            dimension, scale = _SCALES[candidate]
            return Unit(dimension, scale, power)
    return Unit("", Fraction(1), power, words.lower().removesuffix("s"))
