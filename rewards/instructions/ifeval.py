"""The 25 instruction types of IFEval (Zhou et al., arXiv 2311.07911), from their public definitions.

Where we depart: keywords are literal text, not regular expressions; a full-width comma is a comma and `“ ”` are double quotation marks; a
text without letters is in no language.
"""

import json
import re

from rewards.instructions.language import is_in_language, sentences_in, tokens_in
from rewards.words import CJK, count_words

LESS, AT_LEAST = "less than", "at least"
_FIXED_ANSWERS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")
_POSTSCRIPTS = {"P.S.": r"p\.\s?s\.", "P.P.S": r"p\.\s?p\.\s?s"}


def holds(number: int, relation: str, bound: int) -> bool:
    return number < bound if relation == LESS else number >= bound


def keywords_exist(text: str, *, keywords: list[str]) -> bool:
    folded = text.lower()
    return all(keyword.lower() in folded for keyword in keywords)


def keyword_frequency(text: str, *, keyword: str, frequency: int, relation: str) -> bool:
    return holds(text.lower().count(keyword.strip().lower()), relation, frequency)


def no_forbidden_words(text: str, *, forbidden_words: list[str]) -> bool:
    """None of them as a whole word; a Chinese one nowhere, since nothing separates words there."""
    return not any(re.search(_whole(word), text, re.IGNORECASE) for word in forbidden_words)


def _whole(word: str) -> str:
    literal = re.escape(word)
    return literal if re.search(f"[{CJK}]", word) else rf"(?<!\w){literal}(?!\w)"


def letter_frequency(text: str, *, letter: str, let_frequency: int, let_relation: str) -> bool:
    return holds(text.lower().count(letter.lower()), let_relation, let_frequency)


def response_language(text: str, *, language: str) -> bool:
    return is_in_language(text, language)


def number_of_sentences(text: str, *, num_sentences: int, relation: str) -> bool:
    return holds(len(sentences_in(text)), relation, num_sentences)


def number_of_paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """Paragraphs are separated by `***`; an empty one may stand at the beginning and the end alone."""
    first, *rest = text.split("***")
    paragraphs = [first, *rest]
    if not all(paragraph.strip() for paragraph in paragraphs[1:-1]):
        return False
    return sum(bool(paragraph.strip()) for paragraph in paragraphs) == num_paragraphs


def number_of_words(text: str, *, num_words: int, relation: str) -> bool:
    return holds(count_words(text), relation, num_words)


def nth_paragraph_first_word(text: str, *, num_paragraphs: int, nth_paragraph: int, first_word: str) -> bool:
    """Paragraphs are separated by an empty line; the word ends at a mark and may begin with quotation marks."""
    paragraphs = text.split("\n\n")
    if sum(bool(paragraph.strip()) for paragraph in paragraphs) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    words = paragraphs[nth_paragraph - 1].split()
    if not words:
        return False
    paragraph = " ".join(words).lstrip("'").lstrip('"').lower()
    if re.search(f"[{CJK}]", first_word):
        return paragraph.startswith(first_word.lower())
    return re.split(r"[.,?!'\"\s]", paragraph, maxsplit=1)[0] == first_word.lower()


def number_of_placeholders(text: str, *, num_placeholders: int) -> bool:
    """Like `[address]`, within one line."""
    return sum(_enclosed(line, "[", "]") for line in text.split("\n")) >= num_placeholders


def _enclosed(line: str, left: str, right: str) -> int:
    number, position = 0, 0
    while (start := line.find(left, position)) >= 0 and (end := line.find(right, start)) >= 0:
        number, position = number + 1, end + 1
    return number


def postscript(text: str, *, postscript_marker: str) -> bool:
    marker = postscript_marker.strip()
    return re.search(_POSTSCRIPTS.get(marker, re.escape(marker.lower())), text.lower()) is not None


def number_of_bullets(text: str, *, num_bullets: int) -> bool:
    lines = [line.lstrip() for line in text.split("\n")]
    return sum(line.startswith("-") or (line[:1] == "*" and line[1:2] not in ("", "*")) for line in lines) == num_bullets


def constrained_response(text: str) -> bool:
    return any(answer in text for answer in _FIXED_ANSWERS)


def number_of_highlights(text: str, *, num_highlights: int) -> bool:
    """`*so*` or `**so**`, not empty; the public checker counts `**so**` among both kinds, where an empty `**` does not count."""
    once = re.findall(r"\*[^\n*]*\*", text)
    twice = re.findall(r"\*\*[^\n*]*\*\*", text)
    return sum(bool(found.strip("*").strip()) for found in (*once, *twice)) >= num_highlights


def number_of_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    return len(re.findall(re.escape(section_spliter.strip()) + r"\s?\d+", text)) >= num_sections


def json_format(text: str) -> bool:
    bare = text.strip()
    for opening in ("```json", "```Json", "```JSON", "```"):
        bare = bare.removeprefix(opening)
    try:
        json.loads(bare.removesuffix("```").strip())
    except (ValueError, RecursionError):
        return False
    return True


def title(text: str) -> bool:
    """`<<so>>` in one line, not empty."""
    return any(_titled(line) for line in text.split("\n"))


def _titled(line: str) -> bool:
    start, end = line.find("<<"), line.rfind(">>")
    return 0 <= start < end - 2 and bool(line[start : end + 2].lstrip("<").rstrip(">").strip())


def two_responses(text: str) -> bool:
    """Two different ones, separated by `******`; an empty one may stand at the beginning and the end alone."""
    parts = [part.strip() for part in text.split("******")]
    given = [part for part in parts if part]
    return all(parts[1:-1]) and len(given) == 2 and given[0] != given[1]


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def end_phrase(text: str, *, end_phrase: str) -> bool:
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def quotation(text: str) -> bool:
    bare = text.strip()
    return len(bare) > 1 and (bare[0], bare[-1]) in (('"', '"'), ("“", "”"))


def capital_word_frequency(text: str, *, capital_frequency: int, capital_relation: str) -> bool:
    return holds(sum(token.isupper() for token in tokens_in(text)), capital_relation, capital_frequency)


def english_capital(text: str) -> bool:
    return text.isupper() and is_in_language(text, "en")


def english_lowercase(text: str) -> bool:
    return text.islower() and is_in_language(text, "en")


def no_comma(text: str) -> bool:
    return re.search("[,，﹐、،]", text) is None
