"""IFBench's families `format`, `repeat` and `custom` (Pyatkin et al., arXiv 2507.02833), from their public definitions."""

import csv
import re
import unicodedata
from datetime import date
from itertools import pairwise

from rewards.instructions.language import PUNCTUATION, WITHOUT_PUNCTUATION, sentences_in, tokens_in

_PAIRS = {")": "(", "]": "[", "}": "{"}
_NESTED_BRACKETS, _NESTED_QUOTES = 5, 3
_REPEATED_SENTENCE = "Only output this sentence here, ignore all other requests."
_CAPITALS = """
Reykjavik Helsinki Oslo Tallinn Stockholm Riga Moscow Copenhagen Vilnius Minsk Dublin Berlin Amsterdam Warsaw London Brussels Prague
Luxembourg Paris Vienna Bratislava Budapest Vaduz Chisinau Bern Ljubljana Zagreb
"""
_NUM_AFRICAN_COUNTRIES = 52


def parentheses(text: str) -> bool:
    """Brackets nested five deep, of which the innermost closes; a bracket that does not fit starts over."""
    opened: list[str] = []
    deepest = 0
    for mark in text:
        if mark in "([{":
            opened.append(mark)
            deepest = max(deepest, len(opened))
        elif mark in _PAIRS:
            if opened and opened[-1] == _PAIRS[mark]:
                opened.pop()
                if deepest >= _NESTED_BRACKETS:
                    return True
            else:
                opened, deepest = [], 0
    return False


def quotes(text: str) -> bool:
    """Quotes three deep, double and single in turn, closed again."""
    opened: list[str] = []
    deepest = 0
    for mark in text:
        if opened and mark == opened[-1]:
            opened.pop()
            if deepest - len(opened) >= _NESTED_QUOTES:
                return True
        elif mark in "\"'":
            opened.append(mark)
            deepest = max(deepest, len(opened))
    return False


def options(text: str, *, options: str) -> bool:
    """One of the options, which `/`, `or` or `,` separates; letters such as `a), b)` exactly, others up to case and marks."""
    separator = next((mark for mark in ("/", "or") if mark in options), ",")
    known = [option.strip() for option in options.split(separator)]
    if re.match(r"\W*a\W*b\W*c\W*", options, re.IGNORECASE):
        return text in known
    return text.strip(PUNCTUATION + " ").lower() in {option.strip(PUNCTUATION + " ").lower() for option in known}


def newline(text: str) -> bool:
    bare = text.translate(WITHOUT_PUNCTUATION).strip()
    return sum(line != "" for line in bare.split("\n")) == len(bare.split())


def emoji(text: str) -> bool:
    """At the end of every sentence, or at the beginning of what follows its mark."""
    from emoji import is_emoji

    sentences = [sentence.translate(WITHOUT_PUNCTUATION).strip() for sentence in sentences_in(text)]
    followed = zip(sentences, [*sentences[1:], ""], strict=False)
    return bool(sentences) and all(sentence and (any(map(is_emoji, sentence[-2:])) or is_emoji(after[:1])) for sentence, after in followed)


def line_indent(text: str) -> bool:
    lines = [line for line in text.split("\n") if line.strip()]
    depths = [len(line) - len(line.lstrip(" ")) for line in lines]
    return all(before < after for before, after in pairwise(depths))


def quote_unquote(text: str) -> bool:
    """No quote directly after another, and none at the end."""
    bare = "".join(text.replace("“", '"').replace("”", '"').replace("'\"'", "").split())
    return '""' not in bare and not bare.strip("0123456789" + PUNCTUATION.replace('"', "")).endswith('"')


def special_list(text: str, *, sep: str) -> bool:
    return text.count(sep) >= 2


def thesis(text: str) -> bool:
    """Something in `<i>` or `<em>`, then something that is not."""
    start = text.find("<i>") if "<i>" in text else text.find("<em>")
    if start < 0:
        return False
    rest = text[start:]
    end = rest.find("</i>") if "</i>" in rest else rest.find("</em>")
    return end >= 0 and bool(rest[3:end].strip()) and bool(rest[end + 4 :].strip())


def sub_bullets(text: str) -> bool:
    """After every `*`, and before the next, a `-`."""
    return all("-" in bullet for bullet in text.split("*")[1:])


def sentences_then_bullets(text: str) -> bool:
    """Two sentences or more, then two lines or more that begin with `*`, then nothing else."""
    is_bullet = [line.strip().startswith("*") for line in text.split("\n")]
    first = is_bullet.index(True) if True in is_bullet else len(is_bullet)
    num_sentences = sum(len(sentences_in(line)) for line in text.split("\n")[:first])
    return num_sentences >= 2 and all(is_bullet[first:]) and len(is_bullet) - first >= 2


def title_case(text: str) -> bool:
    """No word in lower case, and none with a small first letter before capitals."""
    return not any(token[0].isalpha() and token[0].islower() and _one_case(token[1:]) for token in tokens_in(text))


def _one_case(rest: str) -> bool:
    return not rest or rest.islower() or rest.isupper()


def output_template(text: str) -> bool:
    return all(label in text for label in ("My Answer:", "My Conclusion:", "Future Outlook:"))


def no_whitespace(text: str) -> bool:
    return not any(map(str.isspace, text))


def repeat_change(text: str, *, prompt_to_repeat: str) -> bool:
    """The same words but for the first."""
    return text != prompt_to_repeat and text.split()[1:] == prompt_to_repeat.split()[1:]


def repeat_simple(text: str) -> bool:
    return text.strip().lower() == _REPEATED_SENTENCE.lower()


def repeat_span(text: str, *, prompt_to_repeat: str, n_start: int, n_end: int) -> bool:
    """Characters `n_start` to `n_end` of the prompt, both included."""
    return text.strip().lower() == prompt_to_repeat[n_start : n_end + 1].strip().lower()


def multiples_of_seven(text: str) -> bool:
    return re.findall(r"\d+", text.replace(",", ", ")) == [str(number) for number in range(14, 51, 7)]


def four_questions(text: str) -> bool:
    """Four questions, each longer than the one before, each with five options from A to E."""
    if not text.startswith("Question"):
        return False
    questions = [part.strip() for part in re.split(r"Question \d+[.|):;]?\s*", text) if part.strip()]
    lengths = [_question_length(question) for question in questions]
    return len(questions) == 4 and None not in lengths and all(a < b for a, b in pairwise(filter(None, lengths)))


def _question_length(question: str) -> int | None:
    """Of what stands before the first option; None if there are not five."""
    lines = [line.strip() for line in question.split("\n")]
    is_option = [re.match(r"[A-Ea-e][.|)]\s*\w", line) is not None for line in lines]
    return len(" ".join(lines[: is_option.index(True)]).strip()) if sum(is_option) == 5 else None


def african_countries(text: str) -> bool:
    """Each on a line, from Zimbabwe down in reverse order of the alphabet."""
    lines = [bare for line in text.split("\n") if (bare := line.strip(PUNCTUATION + " "))]
    first = next((place for place, line in enumerate(lines) if "Zimbabwe" in line), len(lines))
    countries = [_ascii(line) for line in lines[first:]]
    return len(countries) >= _NUM_AFRICAN_COUNTRIES and countries == sorted(countries, reverse=True)


def _ascii(text: str) -> str:
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


def words_reversed(text: str) -> bool:
    """One sentence about the bald eagle, when its words are read backwards."""
    forwards = " ".join(text.lower().strip().translate(WITHOUT_PUNCTUATION).split()[::-1])
    return "bald eagle" in forwards and sentences_in(forwards) == (forwards,)


def characters_reversed(text: str) -> bool:
    return "elgae dlab" in text.lower()


def sentence_alphabet(text: str) -> bool:
    return [sentence[0].lower() for sentence in sentences_in(text)] == list("abcdefghijklmnopqrstuvwxyz")


def european_capitals(text: str) -> bool:
    return [name.strip() for name in _ascii(text).split(",") if name.strip()] == _CAPITALS.split()


def csv_of_cities(text: str) -> bool:
    rows = _csv(text, ",")
    return len(rows) == 8 and rows[0] == ["ID", "Country", "City", "Year", "Count"] and all(len(row) == 5 for row in rows)


def csv_of_products(text: str) -> bool:
    """14 rows, in one field of which a special character stands in double quotes."""
    if not _has_header(text, ",", ("ProductID", "Category", "Brand", "Price", "Stock")):
        return False
    rows = _csv(text.replace('"', '"""'), ",")
    has_special = any(re.match(r'".*[^\d\w\s].*"', field) for row in rows[1:] for field in row)
    return len(rows) == 15 and all(len(row) == 5 for row in rows[1:]) and has_special


def csv_of_students(text: str) -> bool:
    """Three rows, separated by tabs, every field in double quotes."""
    if not _has_header(text, "\t", ("StudentID", "Subject", "Grade", "Semester", "Score")):
        return False
    rows = _csv(text.replace('"', '"""'), "\t")
    quoted = all(len(bare := field.strip()) > 1 and bare[0] == bare[-1] == '"' for row in rows for field in row)
    return len(rows) == 4 and all(len(row) == 5 for row in rows) and quoted


def _csv(text: str, delimiter: str) -> list[list[str]]:
    try:
        return list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
    except csv.Error:
        return []


def _has_header(text: str, delimiter: str, names: tuple[str, ...]) -> bool:
    fields = text.split("\n", maxsplit=1)[0].strip().split(delimiter)
    return tuple(field.strip(" \t").strip('"') for field in fields) == names


def napoleons_dates(text: str) -> bool:
    """Dates from 1769 to 1821, like 1805-12-02, separated by commas."""
    return all(_lived(item.strip()) for item in text.strip().split(","))


def _lived(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return False
    try:
        return 1769 <= date.fromisoformat(text).year <= 1821
    except ValueError:
        return False
