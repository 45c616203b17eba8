"""Whole numbers below 100 in English and Chinese words."""

import re

UNITS = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
ENGLISH = {word: value for value, word in enumerate(UNITS)} | {word: 10 * value for value, word in enumerate(TENS, start=2)}
CHINESE_DIGITS = dict(zip("零〇一二两三四五六七八九", (0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
# Longest first, so that "seventeen" is not read as "seven".
ENGLISH_PATTERN = rf"(?:(?:{'|'.join(TENS)})(?:[-\s](?:{'|'.join(UNITS[1:10])})\b)?|{'|'.join(sorted(UNITS, key=len, reverse=True))})"
CHINESE_PATTERN = r"[零〇一二两三四五六七八九十百]+"


def small_number(text: str) -> int | None:
    """The value of digits, an English number word ("twenty-five") or Chinese digits ("二十五", "零五"); else None."""
    text = text.strip().lower()
    if re.fullmatch(r"\d{1,4}", text):
        return int(text)
    words = re.split(r"[-\s]+", text)
    if all(word in ENGLISH for word in words) and len(words) <= 2:
        return sum(ENGLISH[word] for word in words)
    return chinese_number(text)


def chinese_number(text: str) -> int | None:
    """ "二百零五", "十五", or digit by digit as in "二〇一〇"; None for digits that are neither."""
    if re.fullmatch(r"[零〇一二三四五六七八九]{2,4}", text) and (len(text) > 2 or text[0] in "零〇"):
        return int("".join(str(CHINESE_DIGITS[character]) for character in text))
    match = re.fullmatch(r"(?:([一二两三四五六七八九])百)?[零〇]?(?:([一二三四五六七八九]?)(十))?([一二两三四五六七八九])?|[零〇]", text)
    if match is None or not text:
        return None
    hundreds, tens, ten, units = match.groups()
    return 100 * CHINESE_DIGITS[hundreds or "零"] + 10 * (CHINESE_DIGITS[tens or "一"] if ten else 0) + CHINESE_DIGITS[units or "零"]
