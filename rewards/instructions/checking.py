"""The table of checkers by instruction id, and a response held against one constraint."""

import json
from collections.abc import Callable, Mapping

from rewards.instructions import ifbench_formats as formats
from rewards.instructions import ifbench_words as words
from rewards.instructions import ifeval
from tasks.instructions import check_arguments
from tasks.problem import Constraint

CHECKERS: Mapping[str, Callable[..., bool]] = {
    "keywords:existence": ifeval.keywords_exist,
    "keywords:frequency": ifeval.keyword_frequency,
    "keywords:forbidden_words": ifeval.no_forbidden_words,
    "keywords:letter_frequency": ifeval.letter_frequency,
    "language:response_language": ifeval.response_language,
    "length_constraints:number_sentences": ifeval.number_of_sentences,
    "length_constraints:number_paragraphs": ifeval.number_of_paragraphs,
    "length_constraints:number_words": ifeval.number_of_words,
    "length_constraints:nth_paragraph_first_word": ifeval.nth_paragraph_first_word,
    "detectable_content:number_placeholders": ifeval.number_of_placeholders,
    "detectable_content:postscript": ifeval.postscript,
    "detectable_format:number_bullet_lists": ifeval.number_of_bullets,
    "detectable_format:constrained_response": ifeval.constrained_response,
    "detectable_format:number_highlighted_sections": ifeval.number_of_highlights,
    "detectable_format:multiple_sections": ifeval.number_of_sections,
    "detectable_format:json_format": ifeval.json_format,
    "detectable_format:title": ifeval.title,
    "combination:two_responses": ifeval.two_responses,
    "combination:repeat_prompt": ifeval.repeat_prompt,
    "startend:end_checker": ifeval.end_phrase,
    "startend:quotation": ifeval.quotation,
    "change_case:capital_word_frequency": ifeval.capital_word_frequency,
    "change_case:english_capital": ifeval.english_capital,
    "change_case:english_lowercase": ifeval.english_lowercase,
    "punctuation:no_comma": ifeval.no_comma,
    "count:word_count_range": words.word_count_range,
    "count:unique_word_count": words.unique_word_count,
    "count:conjunctions": words.conjunctions,
    "count:person_names": words.person_names,
    "count:numbers": words.numbers,
    "count:pronouns": words.pronouns,
    "count:punctuation": words.punctuation,
    "count:words_japanese": words.words_japanese,
    "count:keywords_multiple": words.keywords_multiple,
    "ratio:stop_words": words.stop_words,
    "ratio:overlap": words.overlap,
    "ratio:sentence_type": words.sentence_type,
    "ratio:sentence_balance": words.sentence_balance,
    "ratio:sentence_words": words.same_length_sentences,
    "words:alphabet": words.alphabet,
    "words:vowel": words.vowels,
    "words:consonants": words.consonants,
    "words:palindrome": words.palindromes,
    "words:prime_lengths": words.prime_lengths,
    "words:start_verb": words.start_verb,
    "words:repeats": words.repeats,
    "words:odd_even_syllables": words.odd_even_syllables,
    "words:last_first": words.last_first,
    "words:paragraph_last_first": words.paragraph_last_first,
    "words:no_consecutive": words.no_consecutive,
    "words:keywords_specific_position": words.keyword_as_nth_word,
    "words:words_position": words.words_position,
    "sentence:alliteration_increment": words.alliteration_increment,
    "sentence:increment": words.sentence_increment,
    "sentence:keyword": words.sentence_keyword,
    "format:parentheses": formats.parentheses,
    "format:quotes": formats.quotes,
    "format:options": formats.options,
    "format:newline": formats.newline,
    "format:emoji": formats.emoji,
    "format:line_indent": formats.line_indent,
    "format:quote_unquote": formats.quote_unquote,
    "format:list": formats.special_list,
    "format:thesis": formats.thesis,
    "format:sub-bullets": formats.sub_bullets,
    "format:no_bullets_bullets": formats.sentences_then_bullets,
    "format:title_case": formats.title_case,
    "format:output_template": formats.output_template,
    "format:no_whitespace": formats.no_whitespace,
    "repeat:repeat_change": formats.repeat_change,
    "repeat:repeat_simple": formats.repeat_simple,
    "repeat:repeat_span": formats.repeat_span,
    "custom:multiples": formats.multiples_of_seven,
    "custom:mcq_count_length": formats.four_questions,
    "custom:reverse_newline": formats.african_countries,
    "custom:word_reverse": formats.words_reversed,
    "custom:character_reverse": formats.characters_reversed,
    "custom:sentence_alphabet": formats.sentence_alphabet,
    "custom:european_capitals_sort": formats.european_capitals,
    "custom:csv_city": formats.csv_of_cities,
    "custom:csv_special_character": formats.csv_of_products,
    "custom:csv_quotes": formats.csv_of_students,
    "custom:date_format_list": formats.napoleons_dates,
}


MAX_CHARS = 200_000
"""A longer text follows nothing: it is no answer to anything that these instructions ask."""


def follows(text: str, constraint: Constraint, *, loose: bool = False) -> bool:
    """Whether the text meets the constraint; a blank one meets none.

    With `loose`, whether one of the eight variants does that the public evaluation tries: with and without its first line, its last line
    and its asterisks. Raises `RowError` for an unknown instruction or wrong arguments.
    """
    arguments = check_arguments(constraint.id, json.loads(constraint.arguments))
    checker = CHECKERS[constraint.id]
    if len(text) > MAX_CHARS:
        return False
    texts = variants(text) if loose else (text,)
    return any(checker(variant, **arguments) for variant in texts if variant.strip())


def variants(text: str) -> tuple[str, ...]:
    lines = text.split("\n")
    cut = (text, *("\n".join(part).strip() for part in (lines[1:], lines[:-1], lines[1:-1])))
    return tuple(dict.fromkeys((*cut, *(variant.replace("*", "") for variant in cut))))
