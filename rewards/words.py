"""Words in any script: a run of letters and digits is one, but every Chinese or Japanese character is one by itself."""

import re

CJK = r"\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
SIGNS = r"\u0300-\u036f\u0591-\u05c7\u064b-\u065f\u0900-\u109f"
"""Accents, points and vowel signs inside words, which Python's `\\w` leaves out."""

_WORD = re.compile(rf"[{CJK}]|[^\W{CJK}]+")


def words_in(text: str) -> list[str]:
    return _WORD.findall(text)


def count_words(text: str) -> int:
    return len(words_in(text))
