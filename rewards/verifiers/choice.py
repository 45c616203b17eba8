"""Multiple choice, by letter or by the text of the option. Never by a symbolic verifier."""

import re
import unicodedata

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import MAX_CHARS, boxes_in, has_closing_phrase, normal_text, stated_answer, unstyled
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import ChoiceTarget

_LETTER_FIRST = re.compile(
    r"[\s*_`]*[(\[（【]?\s*(?:\\text\{)?\s*(?P<letters>[A-Z](?:[ \t]*(?:,|、|\band\b|和|&)?[ \t]*[A-Z](?![a-z]))*"
    r"|[a-z](?=\s*[)\]）】.:]|\s*$))\s*\}?"
    r"\s*[)\]）】]?[*_`]*(?P<rest>$|[.:：、,，。;\n)].*|\s+(?:because|since|as(?!\s+well)|with(?!\s+[A-Z]\b)|which|is(?!\s+(?:an?\s+)?(?:\w+ly\s+)?(?:not|wrong|incorrect|false|untrue)\b))\b.*"
    r"|(?:因为|正确|(?:选?项)?[均都]?(?!\s*[均都]?(?:不|错|有误|并非|没))(?<=[项均都])|(?:而?不是|而非)\s*[(（]?[A-Z]).*)",
    re.DOTALL,
)  # fmt: skip
_ANOTHER = re.compile(
    r"[ \t]*(?:[,，、;；/&+]\s*)*(?:[(（]?\s*(?:or|and|maybe|perhaps|possibly|或者?|和|以及)\s*[:：]?\s*)?[(（]?"
    r"(?P<next>(?!A\s(?!and|or)[a-z])[A-H])(?![A-Za-z])"
    r"|[^\n]*?[ \t,，;；(（](?P<listed>[A-H])\s?[.、)）]\s*\S"
    r"|[^\n]*(?<!\b[A-Z]\s)\b(?:or|maybe|perhaps)\s+[(（]?(?P<last>[A-H])[)）]?[\s.]*$"
    r"|[^\n]*\n\s*[(（]?(?P<below>[A-H])(?:[.、)）:：][^\n]*|\s*$)"
)
_ALSO = re.compile(
    r"(?:[,，.;；。!！?？:：\n—–]|\s-|\b(?i:and|but|or|plus|though|although|while|yet)\b|[或和且而但])\s*"
    r"(?i:(?:and|but|or|so|though|although|however|maybe|perhaps|possibly|also|equally)[,，]?\s+|或者?|而且|但是?|也许|可能){0,3}"
    r"(?i:the\s+)?(?i:(?:option|choice|answer)\s+|选项)?[(（]?(?P<letter>[A-H])[)）]?(?![A-Za-z'’])(?P<said>[^.,，;；。!！?？\n]*)"
)
_AFFIRMED = re.compile(
    r"\b(?:also|as\s+well|likewise|equally|another)\b|\btoo\s*$|\b(?:could|might|may)(?:\s+be)?\s*$"
    r"|\b(?:possible|plausible|likely|correct|right|true|valid|acceptable|fine|works?|fits?)(?=\s*$|\s+(?:answer|option|choice|because|since|one)\b)|也|同样|可能|正确|可以|对的",
    re.IGNORECASE,
)
_ADDED = re.compile(r"\b(?:also|as\s+well|likewise|equally|another)\b|\btoo\s*$|也|同样", re.IGNORECASE)
_DENIED = re.compile(r"\b(?:not|never|neither|wrong|incorrect|false|un\w+|less|only|if)\b|n't\b|不|没|错|非|只", re.IGNORECASE)
_REPEATED = re.compile(r"\b(?:as|so)\s+(?:is|are|does|do|would|could|might|may)\s+(?:option\s+)?[(（]?(?P<letter>[A-H])(?![A-Za-z'’])")
_REVISED = re.compile(
    r"(?:\b(?:no|wait|sorry|correction)\b\s*[,，:：.]|\b(?:actually|or\s+rather|I\s+mean|on\s+reflection|I\s+now\s+(?:think|believe|say|choose))\b"
    r"|(?<![\w])(?:不对?|等等|更正)[,，:：。])[,，]?\s*"
    r"(?:it(?:'s|\s+is)\s+|the\s+answer\s+is\s+|应?该?[是选]\s*)?(?:option\s+|选项)?[(（]?(?P<letter>[A-H])(?![A-Za-z'’])",
    re.IGNORECASE,
)
_EXPLAINED = re.compile(r"\b(?:because|since|not|while|whereas|wrong|incorrect|false)\b|n't\b|因为|不|而|错", re.IGNORECASE)
_NAMED = re.compile(r"^(?:the\s+)?(?:option|choice|选项)\s*(?=[(\[（【*_]*[A-Za-z](?![a-z]))", re.IGNORECASE)
_OPINION = re.compile(
    r"^(?i:(?:so|thus|therefore|hence|well|ok(?:ay)?)\b[,:]?\s*)?"
    r"(?i:I(?:'d|\s+would|'ll|\s+will|'m\s+going\s+to)?\s+(?:think|believe|say|guess|choose|pick|select|go\s+(?:with|for))\b(?:\s+that\b)?\s*)?"
    r"(?i:it(?:'s|\s+is|\s+must\s+be)\s+)?(?i:(?:the\s+)?(?:option|choice)\s+)?(?=[(\[*_\s]*[A-Z](?![A-Za-z'’]))"
    r"|^(?:(?:所以|因此|故|那么)[，,]?\s*)?(?:我|个人)?(?:觉得|认为|猜|想)?\s*(?:答案)?(?:应该|应)?\s*(?:选择?|是|为)?\s*(?:选项)?\s*(?=[(（\[【*_\s]*[A-Z](?![A-Za-z]))"
)
_REFUSED = re.compile(
    r"(?:[不没别勿](?:认为|觉得|建议|推荐|同意|应该?|能|该|会|可|要|想|打算|考虑)+|\b(?:do|did|would|can|should|could)(?:n't|\s*not)\s+"
    r"(?:think|believe|say|guess|choose|pick|select|go\s+(?:with|for))\b)(?:(?![A-H]\b)[^.,，;；。\n]){0,40}$",
    re.IGNORECASE,
)
_WITHDRAWN = re.compile(r"\b(?:do(?:n't| not) know|not sure|cannot (?:answer|tell))\b|不知道|无法", re.IGNORECASE)


@reward("choice", target=ChoiceTarget, version="3")
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
    if _REFUSED.search(text.removesuffix(stated)[-200:]):
        return None
    if found := _reading(stated, choices):
        return found
    if has_closing_phrase(text):
        return None
    brackets = set(re.findall(r"[(（]([A-Z])[)）]", text))
    if any(_REFUSED.search(text[: match.start()][-200:]) for match in re.finditer(r"[(（][A-Z][)）]", text)):
        return None
    return frozenset(brackets) if len(brackets) == 1 else None


def _reading(text: str, choices: tuple[str, ...]) -> frozenset[str] | None:
    """Letters that a short text names, by themselves or by their option's text."""
    text = _NAMED.sub("", unstyled(unicodedata.normalize("NFKC", text)).replace("$", "").strip())
    text = re.sub(r"\n\s+", "\n", re.sub(r"[^\S\n]+", " ", text))  # patterns below take cubic time for a run of blanks
    opinion = _OPINION.sub("", text)
    plain = normal_text(text)
    by_text = {normal_text(choice): chr(ord("A") + place) for place, choice in enumerate(choices)}
    if len(by_text) == len(choices) and plain in by_text and plain:
        return frozenset(by_text[plain])
    match = _LETTER_FIRST.match(opinion.strip())
    if match is None:
        return None
    letters = frozenset(re.findall(r"[A-Z]", re.sub(r"\band\b", "", match["letters"]).upper()))
    rest = normal_text(re.split(r"\n|[。；]|\.\s", match["rest"].lstrip(" .:：、,，)）]"), maxsplit=1)[0])
    if _names_another(match["rest"], letters) or _adds_another(match["rest"], letters, is_option=rest in by_text):
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


def _adds_another(rest: str, letters: frozenset[str], *, is_option: bool) -> bool:
    """Whether a later clause calls a further letter right too (`B is possible, C too`) or takes the first one back (`B. No, C`).

    What follows the mark after a letter (`D. A is correct`) may be the option's text, unless it says "also".
    """
    if any(match["letter"].upper() not in letters for pattern in (_REPEATED, _REVISED) for match in pattern.finditer(rest)):
        return True
    for match in _ALSO.finditer(rest):
        first = re.fullmatch(r"\s*[.:：)）]\s*[(（]?[A-H]", rest[: match.end("letter")]) is not None
        affirmed = (_ADDED if first else _AFFIRMED).search(match["said"])
        if match["letter"] not in letters and affirmed and not _DENIED.search(match["said"]) and not (first and is_option):
            return True
    last = re.search(r"[,，;]\s*(?:or|maybe|perhaps|或者?)\s+(?:also\s+)?[(（]?([A-H])[)）]?[\s.。]*$", rest)
    return last is not None and last[1] not in letters and not _DENIED.search(re.split(r"[.;。；\n]", rest[: last.start()])[-1])
