"""Numbers in words, English and Chinese, as digits: `twenty-three`, `two thirds`, `三百零五`, `负二分之一`, `百分之十二`, `1个半小时`."""

import re
from fractions import Fraction

from rewards.maths.units import UNIT_PATTERN

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ENGLISH = {word: value for value, word in enumerate(_SMALL)} | {word: 10 * value for value, word in enumerate(_TENS, start=2)}
_SCALES = {"hundred": 100, "thousand": 1000, "million": 1_000_000}
_FACTORS = _SCALES | {
    "dozen": 12, "billion": 10**9, "trillion": 10**12,
    "百": 100, "千": 1000, "万": 10**4, "百万": 10**6, "千万": 10**7, "亿": 10**8, "万亿": 10**12,
}  # fmt: skip
_SCALED = re.compile(
    r"(?P<number>[-+]?\d[\d,]*(?:\.\d+)?)\s*(?P<text>\\text\{\s*)?"
    r"(?P<scale>(?i:hundred|thousand|million|billion|trillion|dozen)(?![a-zA-Z])|百万|千万|万亿|万|亿|百(?!分)|千(?![克米瓦卡升伏焦帕牛赫]))"
    r"\s*(?P<rest>.*)",
    re.DOTALL,
)
_DIGITS = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_UNITS = {"十": 10, "百": 100, "千": 1000}
_CHINESE = re.compile(r"(?P<sign>负?)(?P<body>[零〇一二两三四五六七八九十百千万亿]+|百)(?:点(?P<decimals>[零〇一二三四五六七八九]+))?")
_COUNTED = re.compile(r"(?P<number>[零一二两三四五六七八九十百千万亿]+)(?P<measure>[个只条种次人本块张位名件组天年岁元米倍])")
_NUMERAL = rf"(?:\d{{1,6}}|(?:{'|'.join(_TENS)})[-\s](?:{'|'.join(_SMALL[1:10])})|{'|'.join(reversed([*_SMALL[1:], *_TENS]))})"
_CHINESE_NUMERAL = r"(?:\d{1,6}|[一二两三四五六七八九十百]{1,7})"
_CHINESE_UNIT = rf"(?:{UNIT_PATTERN}|钟头|年|月|周|岁|倍)"
_PARTS = {"half": 2, "third": 3, "quarter": 4, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9, "tenth": 10}
_PART = rf"(?:an?|{_NUMERAL})[-\s](?:halves|(?:{'|'.join(_PARTS)})s?)\b"
MIXED = re.compile(
    rf"(?<![\w.,/-])(?:(?P<a>{_NUMERAL})\s+and\s+(?P<part>{_PART})(?:\s+(?P<after>{UNIT_PATTERN}))?"
    rf"|(?P<b>{_NUMERAL}|an?)\s+(?P<before>{UNIT_PATTERN})\s+and\s+(?P<part2>{_PART})|half\s+(?:of\s+)?an?\s+(?P<one>{UNIT_PATTERN}))"
    rf"|(?<![\d.,一二两三四五六七八九十百])(?:(?P<c>{_CHINESE_NUMERAL})\s?个半|半个?)(?P<chinese_after>{_CHINESE_UNIT})"
    rf"|(?<![\d.,一二两三四五六七八九十百])(?P<d>{_CHINESE_NUMERAL})\s?(?:个\s?)?(?P<chinese_before>{_CHINESE_UNIT})半(?![一-鿿])"
    rf"|(?<![\d.,一二两三四五六七八九十百])(?P<e>{_CHINESE_NUMERAL})\s?又\s?(?P<below>{_CHINESE_NUMERAL})分之(?P<above>{_CHINESE_NUMERAL})",
    re.IGNORECASE,
)
"""`two and a half`, `an hour and three quarters`, `half a mile`, `1个半小时`, `半小时`, `三天半`, `二又三分之一`."""


def in_digits(text: str) -> str:
    """The text with digits if all of it is one number in words, else as it is."""
    plain = re.sub(r"^\\text\{([^{}]*)\}$", r"\1", text.strip()).strip().rstrip("。.")
    found = _chinese(plain) or _english(plain) or _mixed(plain) or _fraction(plain) or _counted(plain)
    return found or _scaled(re.sub(r"^(?:(?:minus|negative)\s+|负)(?=\d)", "-", text))


def _counted(text: str) -> str | None:
    """`三个` as `3个`."""
    match = _COUNTED.fullmatch(text)
    number = _chinese_number(match["number"]) if match else None
    return f"{number}{match['measure']}" if match and number else None


def _mixed(text: str) -> str | None:
    match = MIXED.fullmatch(text)
    if match is None:
        return None
    said = match.groupdict()
    whole = _whole(next((said[key] for key in "abcde" if said[key]), "0"))
    if said["e"]:
        above, below = _whole(said["above"]), _whole(said["below"])
        return rf"{whole}\frac{{{above}}}{{{below}}}" if whole and above and below else None
    unit = next((said[key] for key in ("after", "before", "one", "chinese_after", "chinese_before") if said[key]), "")
    part = _part(said["part"] or said["part2"] or "a half")
    if whole is None or part is None:
        return None
    value = int(whole) + part
    number = f"{float(value)}" if 20 % value.denominator == 0 else rf"\frac{{{value.numerator}}}{{{value.denominator}}}"
    return f"{number} {unit}".strip()


def _fraction(text: str) -> str | None:
    """`three quarters`; of `3 quarters`, the quarters may be coins."""
    part = _part(text) if not text[:1].isdigit() else None
    return None if part is None else rf"\frac{{{part.numerator}}}{{{part.denominator}}}"


def _part(text: str) -> Fraction | None:
    if not re.fullmatch(_PART, text, re.IGNORECASE):
        return None
    number, part = re.split(r"[-\s](?=[a-z]+$)", text.lower(), maxsplit=1)
    numerator = _whole(number)
    return None if numerator is None else Fraction(int(numerator), 2 if part == "halves" else _PARTS[part.removesuffix("s")])


def _whole(text: str) -> str | None:
    if text.lower() in ("a", "an"):
        return "1"
    return text if text.isdigit() else _chinese_number(text) or _english(text)


def _scaled(text: str) -> str:
    """`3.5万元` is `35000元`, `3\\text{ million}` is `3000000`."""
    match = _SCALED.fullmatch(text.strip())
    if match is None:
        return text
    value = Fraction(match["number"].replace(",", "")) * _FACTORS[match["scale"].lower()]
    digits = str(value.numerator) if value.denominator == 1 else f"{float(value):f}".rstrip("0")
    rest = f"\\text{{{match['rest']}" if match["text"] else match["rest"]
    return f"{digits} " + re.sub(r"^\\text\{\s*\}", "", rest)


def _english(text: str) -> str | None:
    words = re.split(r"\s+and\s+|[-\s]+", text.lower())
    sign = "-" if words[0] in ("minus", "negative") else ""
    total, section, last = 0, 0, 0
    for word in words[1:] if sign else words:
        if word in _ENGLISH:
            value = _ENGLISH[word]
            if last and not (last >= 20 and last % 10 == 0 and 0 < value < min(10, last)) and last < 100:
                return None
            section, last = section + value, value
        elif word in _SCALES and section:
            section *= _SCALES[word]
            last = _SCALES[word]
            if last > 100:
                total, section = total + section, 0
        else:
            return None
    return f"{sign}{total + section}" if words else None


def _chinese(text: str) -> str | None:
    below, is_fraction, above = text.partition("分之")
    if not is_fraction:
        return _chinese_number(text)
    sign = "-" if below.startswith("负") else ""
    numerator = _figures(above)
    if numerator is None:
        return None
    if below.removeprefix("负") == "百":
        return f"{sign}{numerator}%"
    denominator = _figures(below.removeprefix("负"))
    return None if denominator in (None, "0") else rf"{sign}\frac{{{numerator}}}{{{denominator}}}"


def _figures(text: str) -> str | None:
    return text if re.fullmatch(r"[1-9]\d{0,8}", text) else _chinese_number(text)


def _chinese_number(text: str) -> str | None:
    match = _CHINESE.fullmatch(text)
    if match is None:
        return None
    whole = _chinese_whole(match["body"])
    if whole is None:
        return None
    decimals = "".join(str(_DIGITS[digit]) for digit in match["decimals"] or "")
    return f"{'-' if match['sign'] else ''}{whole}{'.' if decimals else ''}{decimals}"


def _chinese_whole(text: str) -> int | None:
    """None for what is not written as a number is: `三五`, `万一`."""
    for name, scale in (("亿", 10**8), ("万", 10**4)):
        above, is_above, rest = text.partition(name)
        if is_above:
            high = _chinese_whole(above) if above else None
            low = _chinese_whole(rest) if rest else 0
            return None if high is None or low is None else high * scale + low
    total, digit, unit = 0, None, 10_000
    for character in text:
        if character in _UNITS:
            if _UNITS[character] >= unit or (digit is None and (character != "十" or total)):
                return None
            unit = _UNITS[character]
            total, digit = total + (1 if digit is None else digit) * unit, None
        elif character in "零〇":
            if digit is not None:
                return None
            digit = 0 if text in ("零", "〇") else None
        elif digit is not None:
            return None
        else:
            digit = _DIGITS[character]
    return total + (digit or 0)
