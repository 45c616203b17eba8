"""Multiple choice, by letter or by the text of the option. Never by a symbolic verifier."""

import re
import unicodedata

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import MAX_CHARS, boxes_in, has_closing_phrase, normal_text, stated_answer
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import ChoiceTarget

_LETTER_FIRST = re.compile(
    r"[\s*_`]*[(\[（【]?\s*(?:\\text\{)?\s*(?P<letters>[A-Z](?:[ \t]*(?:,|、|\band\b|和|&)?[ \t]*[A-Z](?![a-z]))*"
    r"|[a-z](?=\s*[)\]）】.:]|\s*$))\s*\}?"
    r"\s*[)\]）】]?[*_`]*(?P<rest>$|[.:：、,，。;\n)].*|\s+(?:because|since|as(?!\s+well)|with(?!\s+[A-Z]\b)|which|is(?!\s+(?:\w+ly\s+)?(?:not|wrong|incorrect|false|untrue)\b))\b.*"
    r"|(?:因为|正确|选项|项|均|都|不是|而不是|而非).*)",
    re.DOTALL,
)  # fmt: skip
_ANOTHER = re.compile(
    r"[ \t]*(?:[,，、;；/&+]\s*)*(?:[(（]?\s*(?:or|and|maybe|perhaps|possibly|或者?|和|以及)\s*[:：]?\s*)?[(（]?"
    r"(?P<next>(?!A\s(?!and|or)[a-z])[A-H])(?![A-Za-z])"
    r"|[^\n]*?[ \t,，;；(（](?P<listed>[A-H])\s?[.、)）]\s*\S"
    r"|[^\n]*(?<!\b[A-Z]\s)\b(?:or|maybe|perhaps)\s+[(（]?(?P<last>[A-H])[)）]?[\s.]*$"
    r"|[^\n]*\n\s*[(（]?(?P<below>[A-H])(?:[.、)）:：][^\n]*|\s*$)"
)
_EXPLAINED = re.compile(r"\b(?:because|since|not|while|whereas|wrong|incorrect|false)\b|n't\b|因为|不|而|错", re.IGNORECASE)
_STYLE = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox)\s*\{([^{}]*)\}")
_NAMED = re.compile(r"^(?:the\s+)?(?:option|choice|选项)\s*(?=[(\[（【*_]*[A-Za-z](?![a-z]))", re.IGNORECASE)
_WITHDRAWN = re.compile(r"\b(?:do(?:n't| not) know|not sure|cannot (?:answer|tell))\b|不知道|无法", re.IGNORECASE)


@reward("choice", target=ChoiceTarget, version="2")
def grade_choice(target: ChoiceTarget, transcript: Transcript) -> Grade:
    """1 for the right letter or letters (`AC` where several are right).

    Where the target has the options' texts, a text counts as its letter, and a letter beside another option's text counts as nothing.
    """
    chosen = chosen_letters(final_answer(transcript.final_text), target.choices)
    right = chosen is not None and chosen == frozenset(re.findall(r"[A-Z]", target.answer.upper()))
    return Grade(float(right), right, "".join(sorted(chosen)) if chosen else None)


def chosen_letters(text: str, choices: tuple[str, ...]) -> frozenset[str] | None:
    text = text[-MAX_CHARS:]
    if not text or _WITHDRAWN.search(text):
        return None
    readings = {reading for box in boxes_in(text) if (reading := _reading(box, choices))}
    if boxes_in(text):
        return next(iter(readings)) if len(readings) == 1 else None
    stated = stated_answer(text) or text
    if found := _reading(stated, choices):
        return found
    if has_closing_phrase(text):
        return None
    brackets = set(re.findall(r"[(（]([A-Z])[)）]", text))
    return frozenset(brackets) if len(brackets) == 1 else None


def _reading(text: str, choices: tuple[str, ...]) -> frozenset[str] | None:
    """Letters that a short text names, by themselves or by their option's text."""
    text = _NAMED.sub("", _STYLE.sub(r"\1", unicodedata.normalize("NFKC", text)).replace("$", "").strip())
    text = re.sub(r"\n\s+", "\n", re.sub(r"[^\S\n]+", " ", text))  # patterns below take cubic time for a run of blanks
    plain = normal_text(text)
    by_text = {normal_text(choice): chr(ord("A") + place) for place, choice in enumerate(choices)}
    if len(by_text) == len(choices) and plain in by_text and plain:
        return frozenset(by_text[plain])
    match = _LETTER_FIRST.match(text.strip())
    if match is None:
        return None
    letters = frozenset(re.findall(r"[A-Z]", re.sub(r"\band\b", "", match["letters"]).upper()))
    rest = normal_text(re.split(r"\n|[。；]|\.\s", match["rest"].lstrip(" .:：、,，)）]"), maxsplit=1)[0])
    if _names_another(match["rest"], letters):
        return None
    if len(letters) == 1 and by_text.get(rest, next(iter(letters))) not in letters:
        return None
    beyond = choices and any(ord(letter) - ord("A") >= len(choices) for letter in letters)
    return None if beyond or re.match(r"(?:or|或)\b", rest) else letters


def _names_another(rest: str, letters: frozenset[str]) -> bool:
    """Whether the answer goes on to a further letter (`B, C`, `B. dog C. bird`, the option on the next line), not to say why not."""
    match = _ANOTHER.match(rest)
    if match is None or _EXPLAINED.search(match.group()):
        return False
    return (match["next"] or match["listed"] or match["last"] or match["below"]) not in letters
