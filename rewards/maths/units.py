"""Units after a number or before it: stripped, and compared when both sides have a known one; several after each other are a sum."""

import re
from dataclasses import dataclass
from fractions import Fraction

_TABLE: dict[str, dict[str, int | str]] = {
    "length": {"km": 1000, "m": 1, "dm": "0.1", "cm": "0.01", "mm": "0.001", "in": "0.0254", "inch": "0.0254", "foot": "0.3048",
               "ft": "0.3048", "yard": "0.9144", "yd": "0.9144", "mile": "1609.344", "mi": "1609.344", "meter": 1, "metre": 1,
               "kilometer": 1000, "kilometre": 1000, "centimeter": "0.01", "centimetre": "0.01", "millimeter": "0.001",
               "米": 1, "厘米": "0.01", "毫米": "0.001", "分米": "0.1", "千米": 1000, "公里": 1000, "英尺": "0.3048", "英寸": "0.0254"},
    "mass": {"kg": 1000, "g": 1, "mg": "0.001", "gram": 1, "kilogram": 1000, "ton": 1000000, "lb": "453.59237", "oz": "28.349523125",
             "ounce": "28.349523125", "克": 1, "千克": 1000, "公斤": 1000, "吨": 1000000},
    "time": {"s": 1, "sec": 1, "second": 1, "min": 60, "minute": 60, "h": 3600, "hr": 3600, "hour": 3600, "day": 86400, "week": 604800,
             "秒钟": 1, "分钟": 60, "小时": 3600, "天": 86400},
    "volume": {"l": 1, "liter": 1, "litre": 1, "ml": "0.001", "milliliter": "0.001", "升": 1, "毫升": "0.001"},
    "money": {"dollar": 1, "cent": "0.01", "usd": 1, "us dollar": 1, "美元": 1, "美分": "0.01"},
    "currency-cn": {"yuan": 1, "rmb": 1, "cny": 1, "元": 1, "人民币": 1, "角": "0.1"},
    "currency-jp": {"yen": 1, "jpy": 1, "日元": 1, "円": 1},
    "currency-eu": {"€": 1, "euro": 1, "eur": 1, "欧元": 1},
    "currency-gb": {"£": 1, "gbp": 1, "英镑": 1},
    "currency-in": {"₹": 1, "rupee": 1, "rs": 1, "inr": 1, "卢比": 1},
    "angle": {"°": 1, "degree": 1, "deg": 1, "度": 1, "arcminute": "1/60", "arcsecond": "1/3600", "角分": "1/60", "角秒": "1/3600"},
}  # fmt: skip
_AMBIGUOUS: dict[str, dict[str, int | str]] = {
    "'": {"angle": "1/60", "length": "0.3048"},
    "''": {"angle": "1/3600", "length": "0.0254"},
    "minute": {"time": 60, "angle": "1/60"},
    "second": {"time": 1, "angle": "1/3600"},
    "分": {"time": 60, "angle": "1/60", "currency-cn": "0.01"},
    "秒": {"time": 1, "angle": "1/3600"},
    "pound": {"mass": "453.59237", "currency-gb": 1},
    "¥": {"currency-cn": 1, "currency-jp": 1},
}
_SCALES = {name: ((dimension, Fraction(scale)),) for dimension, names in _TABLE.items() for name, scale in names.items()}
_READINGS = _SCALES | {name: tuple((key, Fraction(scale)) for key, scale in found.items()) for name, found in _AMBIGUOUS.items()}
_PLURALS = {"feet": "foot", "inches": "inch", "kilometers": "kilometer"}
_SHORT = {"mph": "mile/hour", "kph": "km/hour", "kmh": "km/hour", "kmph": "km/hour", "mps": "m/s"}
_LITRE = Fraction(1, 1000)
"""In cubic metres."""
_SYMBOLS = frozenset(
    re.findall(
        r"\w+",
        "N J W V A K C F T Pa Hz eV dB cc cd lm lx AU ly pc ha pt qt yr mo wk Bq Gy Sv Wb kB KB MB GB TB kJ MJ kW MW kN kV mV mA mW nm um"
        " ms ns am pm AM PM AD BC CE",
    )
)
"""Units of one or two letters without a scale here. Other letters of that length after a number are unknowns."""
_POWERS = {"square": 2, "sq": 2, "cubic": 3, "平方": 2, "立方": 3}
_SUFFIX = re.compile(
    r"(?P<value>.*?[\d)}\]⦄!a-z])\s*(?P<unit>"
    r"(?:\\text\{[^{}]*\}\s*(?:\^\s*\{?-?[1-4]\}?)?\s*(?:/|\\cdot)?\s*)+"
    r"|(?<=\d)\s?(?:\\text\{\s*[kM]\s*\}\s*|[kM])?\\Omega|(?<=\d)\s?\\mu\s*(?:\\text\{[^{}]*\}|(?<=\s)[a-zA-Z]{1,2}(?![a-zA-Z]))"
    r"|°\s*[CF]?|(?<=[\d}) ])[\u4e00-\u9fff]+(?:/[\u4e00-\u9fff]+)?"
    r"|\s(?:square |sq\.? |cubic )?[a-zA-Z]{4,}(?:\s[a-zA-Z]+){0,3}\.?(?:\s?\^\s?\{?[23]\}?)?"
    r"|(?<=[\d})])\s?(?:km|cm|mm|kg|mg|ml|mL|ft|yd|min|sec|mph|hours?|days?|in|lbs?|oz|hrs?|mins?|secs?)(?:\s?\^\s?\{?[23]\}?)?(?:\s?/\s?[a-zA-Z]+(?:\s?\^\s?\{?[23]\}?)?)?"
    r"|(?<=\d)\s(?:m|g|s|h|l|L)(?:\s?\^\s?\{?[23]\}?)?(?:\s?/\s?[a-zA-Z]+(?:\s?\^\s?\{?[23]\}?)?)?"
    r"|(?<=\d)\s?\\(?:cm|mm|km|kg|min)"
    r"|(?<=\d)\s?[€£¥₹]"
    r")\s*"
)
_NO_UNIT = re.compile(
    r"\d|\b(?:plus|minus|times|over|divided|squared|cubed|factorial|roots?|or|to|to the|power|hundreds?|thousands?|[mbtr]+illions?|dozens?"
    r"|half|halves|thirds?|quarters?|fourths?|fifths?|sixths?|sevenths?|eighths?|ninths?|tenths?|(?:hundred|thousand|million)ths?)\b"
    r"|^[百万亿加减乘除或到至]|半|以[上下]|左右"
)
_PREFIX = re.compile(r"\s*(?P<currency>[¥€£₹]|(?:USD?|EUR|GBP|RMB|CNY|JPY|INR|Rs)(?![a-zA-Z]))\.?\s*")
_MARKED = re.compile(r"(?P<value>[-+]?\d[\d,]*(?:\.\d+)?)\s*\^?\s*\{?\s*(?P<unit>'{1,2}|\")\s*\}?")
_COMMAND = re.compile(r"\\(?!text|cdot|mu|Omega|cm|mm|km|kg|min)[a-zA-Z]")
OF_AN_ANGLE = re.compile(r"\\(?:sin|cos|tan|cot|sec|csc)(?![a-zA-Z])")
"""What takes an angle: the degrees of `2\\sin 30°` are those of its argument."""
_EXPONENT = r"\s*\^\s*\{?\s*(-?[1-4])\s*\}?"
_NAMES = "|".join(re.escape(name) for name in sorted({*_READINGS, *_PLURALS, '"'}, key=len, reverse=True) if name not in "€£¥₹")
UNIT_PATTERN = rf"(?:(?:{_NAMES})(?:(?<=[a-z]{{2}})e?s)?(?![a-zA-Z]))"
_TERM = rf"(?<![\d.,])(\d[\d,]{{0,30}}(?:\.\d{{1,30}})?)\s*(?:个\s*)?({UNIT_PATTERN})\.?"
COMPOUND = re.compile(rf"{_TERM}(?:(?:\s*,)?\s*(?:\band\s+|[又零]\s*)?{_TERM})+", re.IGNORECASE)
"""`1 h 30 min`, `5 feet, 3 inches`, `1小时30分钟`, `5'3"`: what may be one quantity in several units."""


@dataclass(frozen=True, slots=True)
class Unit:
    """`dimension` is empty for words that are no unit of measure (`name` "bottle"); `power` 2 is an area.

    `others` are further dimensions with their scales: `'` is a minute of arc or a foot.
    """

    dimension: str
    scale: Fraction
    power: int
    name: str = ""
    others: tuple[tuple[str, Fraction], ...] = ()

    @property
    def readings(self) -> tuple[tuple[str, Fraction], ...]:
        return ((self.dimension, self.scale), *self.others) if self.dimension else ()


def split_unit(text: str) -> tuple[str, Unit | None]:
    """The value's text, and its unit if there is one."""
    if marked := _MARKED.fullmatch(text.strip()):
        return marked["value"], _unit(marked["unit"])
    prefix = _PREFIX.match(text)
    currency = _unit("usd" if prefix["currency"] == "US" else prefix["currency"]) if prefix else None
    text = text[prefix.end() :] if prefix else text
    match = _SUFFIX.fullmatch(text)
    if not match or not re.search(r"[\da-z]", match["value"]) or _is_unknown(match["unit"]):
        return text, currency
    if match["unit"].strip() == "°" and OF_AN_ANGLE.search(match["value"]):
        return text, currency
    if _NO_UNIT.search(re.sub(rf"{_EXPONENT}|\\text|[{{}}]", "", match["unit"]).strip().lower()):
        return text, currency
    unit = _unit(match["unit"])
    if currency is not None and conversion(unit, currency) != 1:
        unit = Unit("", Fraction(1), 1, f"{currency.dimension} {match['unit']}")
    return match["value"].strip(), unit


def is_marked(text: str) -> bool:
    """Whether the unit is a mark alone, as in `45'`: minutes of arc or feet, where a bare number would be degrees."""
    return _MARKED.fullmatch(text.strip()) is not None


def amounts(text: str) -> dict[str, Fraction]:
    """What a quantity in several units comes to, for each dimension that all of them have; empty for any other text.

    Each unit is smaller than the one before it, and its number does not fill one of those; only the last number may be no whole one.
    """
    plain = re.sub(r"\^\s*\{?\s*('+)\s*\}?", r"\1", re.sub(r"\\text\{([^{}]*)\}|\\(?=min)", r" \1 ", text)).strip()
    sign = -1 if plain.startswith("-") else 1
    if len(plain) > 200 or not COMPOUND.fullmatch(plain.lstrip("-+")):
        return {}
    terms = [(Fraction(number.replace(",", "")), _unit(name)) for number, name in re.findall(_TERM, plain, re.IGNORECASE)]
    totals: dict[str, Fraction] = {}
    for dimension, _ in terms[0][1].readings:
        scales = [dict(unit.readings).get(dimension) for _, unit in terms]
        if (total := _total([number for number, _ in terms], scales)) is not None:
            totals[dimension] = sign * total
    return totals


def amount(number: Fraction, unit: Unit) -> dict[str, Fraction]:
    """A quantity in one unit, as `amounts` has it."""
    return {dimension: number * scale for dimension, scale in unit.readings} if unit.power == 1 else {}


def _total(numbers: list[Fraction], scales: list[Fraction | None]) -> Fraction | None:
    total = Fraction(0)
    for place, (number, scale) in enumerate(zip(numbers, scales, strict=True)):
        above = scales[place - 1] if place else None
        if scale is None or (place and (above is None or number * scale >= above)):
            return None
        if place < len(numbers) - 1 and number.denominator != 1:
            return None
        total += number * scale
    return total


def _is_unknown(unit: str) -> bool:
    """`12\\text{x}`, `12\\text{π}`: letters that stand for a value, where a unit would be a word or a known symbol."""
    if _COMMAND.search(unit):
        return True
    words = re.findall(r"[^\W\d_]+", re.sub(r"\\(?:text|cdot|mu)", " ", unit))
    short = all(len(word) <= 2 and word.isascii() for word in words)
    return bool(words) and short and not all(word in _SYMBOLS or word.lower() in {*_READINGS, *_POWERS} for word in words)


def conversion(mine: Unit | None, other: Unit | None) -> Fraction | None:
    """What to multiply mine with to compare it in the other's unit; None if they cannot be compared. A missing unit fits any."""
    if mine is None or other is None or (not mine.dimension and (mine.name, mine.power) == (other.name, other.power)):
        return Fraction(1)
    if (first := _cubic_metres(mine)) and (second := _cubic_metres(other)):
        return first / second
    shared = [scale / dict(other.readings)[dimension] for dimension, scale in mine.readings if dimension in dict(other.readings)]
    return shared[0] ** mine.power if shared and mine.power == other.power else None


def is_angle(unit: Unit | None) -> bool:
    return unit is not None and unit.dimension == "angle"


def _cubic_metres(unit: Unit) -> Fraction | None:
    if unit.dimension == "volume" and unit.power == 1:
        return unit.scale * _LITRE
    return unit.scale**3 if unit.dimension == "length" and unit.power == 3 else None


def _unit(text: str) -> Unit:
    """One unit, or a product or ratio of several: `m/s^2`, `m \\cdot s^{-2}`, `km per hour`."""
    words = re.sub(r"\\text|[{}\\.]", " ", text.replace("\\Omega", "ohm"))
    words = re.sub(rf"^\s*({'|'.join(_SHORT)})\s*$", lambda match: _SHORT[match[1].lower()], words, flags=re.IGNORECASE)
    above, is_ratio, below = words.partition("/") if "/" in words else words.partition(" per ")
    factors = [*_factors(above, 1), *_factors(below, -1)] if is_ratio else _factors(above, 1)
    if not is_ratio and [power for _, power in factors] in ([], [1]):
        return _single_unit(words)
    units = [(_single_unit(name), power) for name, power in factors]
    scale = Fraction(1)
    for unit, power in units:
        scale *= unit.scale ** (unit.power * power)
    known = all(unit.dimension for unit, _ in units)
    terms = sorted((unit.dimension if known else unit.name or unit.dimension, unit.power * power) for unit, power in units)
    said = " ".join(f"{name}^{power}" for name, power in terms)
    return Unit(said if known else "", scale if known else Fraction(1), 1, said)


def _factors(words: str, sign: int) -> list[tuple[str, int]]:
    """The units that are multiplied, with their powers; a blank stands between two only where one has a negative power."""
    between = r"\bcdot\b" + (r"|(?<=[a-zA-Z\d])\s+(?=[a-zA-Z])" if re.search(r"\^\s*-", words) else "")
    found: list[tuple[str, int]] = []
    for factor in re.split(between, words):
        power = re.search(rf"(?<=\w){_EXPONENT}\s*$", factor)
        if power and int(power[1]) < 0:
            found.append((factor[: power.start()], sign * int(power[1])))
        elif factor.strip():
            found.append((factor, sign))
    return found


def _single_unit(words: str) -> Unit:
    power = 1
    match = re.search(r"\^\s*([23])", words)
    if match:
        power, words = int(match.group(1)), words[: match.start()]
    words = words.strip().replace('"', "''")
    for name, value in _POWERS.items():
        if words.startswith(name):
            power, words = value, words[len(name) :].strip()
    for candidate in (
        words,
        words.lower(),
        _PLURALS.get(words.lower(), ""),
        *((words.lower().removesuffix("s"), words.lower().removesuffix("es")) if len(words) > 2 else ()),
    ):
        if candidate in _READINGS:
            (dimension, scale), *others = _READINGS[candidate]
            return Unit(dimension, scale, power, "", tuple(others))
    return Unit("", Fraction(1), power, words.lower().removesuffix("s"))
