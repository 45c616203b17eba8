"""Which verifiable instructions there are, by their public ids, and the arguments that each takes."""

from collections.abc import Mapping

from tasks.errors import RowError, nearest, short
from tasks.message import Json

_RELATIONS = ("less than", "at least")
_WHOLE, _TEXT, _TEXTS, _RELATION = "a whole number from 0", "a text", "a list of texts", f"one of {', '.join(map(repr, _RELATIONS))}"
_NONE: Mapping[str, str] = {}

# IFEval (arXiv 2311.07911), then IFBench (arXiv 2507.02833).
ARGUMENTS: Mapping[str, Mapping[str, str]] = {
    "keywords:existence": {"keywords": _TEXTS},
    "keywords:frequency": {"keyword": _TEXT, "frequency": _WHOLE, "relation": _RELATION},
    "keywords:forbidden_words": {"forbidden_words": _TEXTS},
    "keywords:letter_frequency": {"letter": _TEXT, "let_frequency": _WHOLE, "let_relation": _RELATION},
    "language:response_language": {"language": _TEXT},
    "length_constraints:number_sentences": {"num_sentences": _WHOLE, "relation": _RELATION},
    "length_constraints:number_paragraphs": {"num_paragraphs": _WHOLE},
    "length_constraints:number_words": {"num_words": _WHOLE, "relation": _RELATION},
    "length_constraints:nth_paragraph_first_word": {"num_paragraphs": _WHOLE, "nth_paragraph": _WHOLE, "first_word": _TEXT},
    "detectable_content:number_placeholders": {"num_placeholders": _WHOLE},
    "detectable_content:postscript": {"postscript_marker": _TEXT},
    "detectable_format:number_bullet_lists": {"num_bullets": _WHOLE},
    "detectable_format:constrained_response": _NONE,
    "detectable_format:number_highlighted_sections": {"num_highlights": _WHOLE},
    "detectable_format:multiple_sections": {"section_spliter": _TEXT, "num_sections": _WHOLE},
    "detectable_format:json_format": _NONE,
    "detectable_format:title": _NONE,
    "combination:two_responses": _NONE,
    "combination:repeat_prompt": {"prompt_to_repeat": _TEXT},
    "startend:end_checker": {"end_phrase": _TEXT},
    "startend:quotation": _NONE,
    "change_case:capital_word_frequency": {"capital_frequency": _WHOLE, "capital_relation": _RELATION},
    "change_case:english_capital": _NONE,
    "change_case:english_lowercase": _NONE,
    "punctuation:no_comma": _NONE,
    "count:word_count_range": {"min_words": _WHOLE, "max_words": _WHOLE},
    "count:unique_word_count": {"N": _WHOLE},
    "count:conjunctions": {"small_n": _WHOLE},
    "count:person_names": {"N": _WHOLE},
    "count:numbers": {"N": _WHOLE},
    "count:pronouns": {"N": _WHOLE},
    "count:punctuation": _NONE,
    "count:words_japanese": {"N": _WHOLE},
    "count:keywords_multiple": {f"keyword{number}": _TEXT for number in range(1, 6)},
    "ratio:stop_words": {"percentage": _WHOLE},
    "ratio:overlap": {"reference_text": _TEXT, "percentage": _WHOLE},
    "ratio:sentence_type": _NONE,
    "ratio:sentence_balance": _NONE,
    "ratio:sentence_words": _NONE,
    "words:alphabet": _NONE,
    "words:vowel": _NONE,
    "words:consonants": _NONE,
    "words:palindrome": _NONE,
    "words:prime_lengths": _NONE,
    "words:start_verb": _NONE,
    "words:repeats": {"small_n": _WHOLE},
    "words:odd_even_syllables": _NONE,
    "words:last_first": _NONE,
    "words:paragraph_last_first": _NONE,
    "words:no_consecutive": _NONE,
    "words:keywords_specific_position": {"keyword": _TEXT, "n": _WHOLE, "m": _WHOLE},
    "words:words_position": {"keyword": _TEXT},
    "sentence:alliteration_increment": _NONE,
    "sentence:increment": {"small_n": _WHOLE},
    "sentence:keyword": {"word": _TEXT, "N": _WHOLE},
    "format:parentheses": _NONE,
    "format:quotes": _NONE,
    "format:options": {"options": _TEXT},
    "format:newline": _NONE,
    "format:emoji": _NONE,
    "format:line_indent": _NONE,
    "format:quote_unquote": _NONE,
    "format:list": {"sep": _TEXT},
    "format:thesis": _NONE,
    "format:sub-bullets": _NONE,
    "format:no_bullets_bullets": _NONE,
    "format:title_case": _NONE,
    "format:output_template": _NONE,
    "format:no_whitespace": _NONE,
    "repeat:repeat_change": {"prompt_to_repeat": _TEXT},
    "repeat:repeat_simple": _NONE,
    "repeat:repeat_span": {"prompt_to_repeat": _TEXT, "n_start": _WHOLE, "n_end": _WHOLE},
    "custom:multiples": _NONE,
    "custom:mcq_count_length": _NONE,
    "custom:reverse_newline": _NONE,
    "custom:word_reverse": _NONE,
    "custom:character_reverse": _NONE,
    "custom:sentence_alphabet": _NONE,
    "custom:european_capitals_sort": _NONE,
    "custom:csv_city": _NONE,
    "custom:csv_special_character": _NONE,
    "custom:csv_quotes": _NONE,
    "custom:date_format_list": _NONE,
}

# Places count from 1, and every 0th word is none.
_FROM_ONE = {("count:words_japanese", "N"), ("sentence:keyword", "N"), ("length_constraints:nth_paragraph_first_word", "nth_paragraph")} | {
    ("words:keywords_specific_position", name) for name in ("n", "m")
}


def check_arguments(instruction: str, arguments: Mapping[str, Json]) -> dict[str, Json]:
    """The arguments that the instruction takes, whole numbers as integers; nulls are left out. Raises `RowError` for a wrong one."""
    if instruction not in ARGUMENTS:
        raise RowError(f"unknown instruction {instruction!r}; {nearest(instruction, ARGUMENTS)}")
    given = {name: value for name, value in arguments.items() if value is not None}
    kinds = ARGUMENTS[instruction]
    for name in given.keys() - kinds.keys():
        raise RowError(f"instruction {instruction!r} takes no argument {name!r}; {nearest(name, kinds)}")
    if missing := [name for name in kinds if name not in given]:
        raise RowError(f"instruction {instruction!r} lacks its argument {missing[0]!r}: {kinds[missing[0]]}")
    return {name: _argument(instruction, name, given[name]) for name in kinds}


def _argument(instruction: str, name: str, value: Json) -> Json:
    kind = ARGUMENTS[instruction][name]
    least = 1 if (instruction, name) in _FROM_ONE else 0
    if kind == _WHOLE and isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1 and value >= least:
        return int(value)
    is_text = isinstance(value, str) and bool(value)
    is_texts = isinstance(value, list) and bool(value) and all(isinstance(item, str) and item for item in value)
    if (kind == _TEXT and is_text) or (kind == _TEXTS and is_texts) or (kind == _RELATION and value in _RELATIONS):
        return value
    needed = kind.replace("from 0", "from 1") if least else kind
    raise RowError(f"instruction {instruction!r}: its argument {name!r} is {needed}, not {short(value)}")
