"""Numbers in words, English and Chinese, as digits: `twenty-three`, `三百零五`, `负二分之一`, `百分之十二`."""

import re
from fractions import Fraction

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


def in_digits(text: str) -> str:
    """The text with digits if all of it is one number in words, else as it is."""
    plain = re.sub(r"^\\text\{([^{}]*)\}$", r"\1", text.strip()).strip().rstrip("。.")
    return _chinese(plain) or _english(plain) or _scaled(re.sub(r"^(?:(?:minus|negative)\s+|负)(?=\d)", "-", text))


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
    numerator = _chinese_number(above)
    if numerator is None:
        return None
    if below.removeprefix("负") == "百":
        return f"{sign}{numerator}%"
    denominator = _chinese_number(below.removeprefix("负"))
    return None if denominator in (None, "0") else rf"{sign}\frac{{{numerator}}}{{{denominator}}}"


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
