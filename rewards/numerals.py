"""Numbers as answers write them: digits with or without separators, and small number words in English and Chinese."""

import re
import unicodedata

WORDS = {
    **dict(zip(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"), range(11), strict=True)),
    **dict(zip(("eleven", "twelve", "thirteen", "fourteen", "fifteen"), range(11, 16), strict=True)),
    **dict(zip(("sixteen", "seventeen", "eighteen", "nineteen", "twenty"), range(16, 21), strict=True)),
    "none": 0,
}
HAN = {han: number for number, han in enumerate("零一二三四五六七八九十")} | {"两": 2}
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d+)?")
_HEDGE = re.compile(
    r"\b(?:at least|at most|more than|less than|fewer than|about|around|approximately|or|between)\b|至少|至多|大约|或", re.IGNORECASE
)


def numbers_in(text: str) -> list[float]:
    """The different numbers that the text names, in order: numerals, or words where there is no numeral."""
    plain = unicodedata.normalize("NFKC", text)
    found = [float(match.group().replace(",", "")) for match in _NUMBER.finditer(plain)]
    if not found:
        found = [float(WORDS[word]) for word in re.findall(r"[a-z]+", plain.casefold()) if word in WORDS]
    if not found:
        found = [float(HAN[han]) for han in plain if han in HAN]
    return list(dict.fromkeys(found))


def is_hedged(text: str) -> bool:
    """Whether the text bounds or offers a choice instead of stating one number."""
    return bool(_HEDGE.search(text))


def single_number(text: str) -> float | None:
    """The one number that the text states; None when there is none, or more than one, or only a bound."""
    found = numbers_in(text)
    return found[0] if len(found) == 1 and not is_hedged(text) else None
