"""The one final answer in the text after the thinking; None when there is none, or when it is withdrawn.

Order of trust: every distinct `\\boxed{}` (several are a list, and only a list answer equals it), a closing phrase ("the answer is ..."),
the last formula, the last number of the text.
"""

import re
from itertools import pairwise

from rewards.answer import tagged
from rewards.maths.units import COMPOUND, amounts
from rewards.maths.words import MIXED, in_digits

_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
_AFTER = re.compile(r"<\|(?:im_start|im_end|endoftext)\|>.*$|I hope it is correct\.?", re.DOTALL)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
_REFUSAL = re.compile(
    r"\b(?:I|we)(?:\s+|(?=['’]m\b))(?:really\s+)?(?:do(?:n't| not)|can(?:'t|not| not)|could(?:n't| not)|am(?: not|n't) (?:able|sure)"
    r"|['’]m not (?:able|sure))"
    r"\s*"
    r"(?:to\s+)?(?:know|solve|answer|determine|find|sure|tell|compute)?|\bno idea\b|我?不知道|无法(?:确定|解答|回答|求解)|不会做",
    re.IGNORECASE,
)  # fmt: skip
_PHRASE = re.compile(
    r"(?:final\s+answer\s*(?:is|:|：)|answer\s*(?:is|:|：|=)|(?:最终)?答案(?:是|为|：|:)|答[:：]|####)\s*[:：]?\s*", re.IGNORECASE
)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)", re.DOTALL)
_NUMBER = re.compile(
    r"(?<![A-Za-z\d.\\^_{√])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:\s*/\s*\d+)?"
    r"(?:\s*\\?%|\s?(?:[kcm]?m|km/h|m/s|k?g|mg|m?[lL]|min|s|h|°C?|€|£|euros?|dollars?|cents?|[美欧日]?元|英镑|[千厘毫分]?米|公里|千?克|公斤|吨|毫?升|秒|分钟|小时|天)(?:\^\{?[23]\}?|[²³])?(?![A-Za-z\d^_{]))?"
    r"(?![A-Za-z\d^_{π√])"
)
_COLONED = re.compile(
    r"(?:(?:凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里)\s?)?(?<![\da-zA-Z_.:])"
    r"(?:\d+(?:\.\d+)?(?:(?:[:：]\d+(?:\.\d+)?)+|(?:\s:\s\d+(?:\.\d+)?)+)(?:\s?[ap]\.?m\b)?(?![\da-zA-Z_:])"
    r"|\d{1,2}\s?[ap]\.?m\b|\d{1,2}[点时](?:半|整|\d{1,2}分?))",
    re.IGNORECASE,
)
"""Times and ratios, which are no numbers beside each other."""
_OPEN_CHOICE = re.compile(
    r"(?:[\d\w%$])\s*(?:\bor\b|\bto\b|\bbetween\b|或|到|~)\s*$|\b(?:at least|at most|about|not|least|than)\s*$"
    r"|(?:至少|至多|大约|约|近|不是|不为|不等于|并非|[大小多少高低]于|不足|不到|超过|接近)\s*$"
)
_TERM = r"[-+−]?\s?(?:\d+(?:[./]\d+)?|\d*√\d+|∞|\\infty|[a-z](?![a-zA-Z]))"
_BRACKETED = re.compile(rf"[(\[]\s*{_TERM}(?:\s*,\s*{_TERM})+\s*[)\]]")
"""Points and intervals, of which no part is the answer."""
_GROUPED = re.compile(r"[(\[]\d{1,3}(?:,\d{3})+[)\]]")
_JOINT = re.compile(r"\s*(?:,|，|、|;|；|,?\s*(?:\band\b|\bor\b)|[和与及或]|以及|或者)\s*", re.IGNORECASE)
"""What makes a list of the values on its sides."""
_WRITTEN_OUT = re.compile(r"(?:\b(?:is|are|equals)\s+|[是为]\s*)(?P<rest>(?:(?!\b(?:is|are|equals)\s|[是为。\n]|\.\s).)+?)[.。]?\s*$")
_OPERATOR = re.compile(r"[√π∞²³<>≤≥≠^+*/]")
"""What makes an expression of more than its last number, where a sentence closes with it outside any formula."""
_STATING = re.compile(r"(?:\b(?:is|are|were|be|equals?)|[:：=是为有])\s*(?:\$|\\\(|either)?\s*$")
_IN_WORDS = re.compile(
    r"\b(?:is|are|was|were|equals|equal to|has|have|had|gets?|got|be)\s+(?P<words>[a-z][a-z -]{1,60})[.!]?\s*$", re.IGNORECASE
)
_CONTRAST = re.compile(
    r"\s*[,，]\s*(?:and\s+)?(?:not|rather than|instead of)\s.*$|\s*[,，]?\s*而?(?:不是|并非).*$|\s+because\s.*$|，?因为.*$",
    re.DOTALL | re.IGNORECASE,
)
_SO = re.compile(r"\s*(?:(?:therefore|thus|hence|so)\b|因此|所以|综上|解得|于是)[\s,，:：]*", re.IGNORECASE)
_CODE_BLOCK = re.compile(r"```.*?(?:```|$)", re.DOTALL)
_BLANKS = re.compile(r"\s{2,}")
_BOLD = re.compile(r"\*\*(.+?)\*\*")


def final_expressions(text: str) -> list[str]:
    """Expressions of equal standing: one, or several to be read as a list; empty when there is no answer."""
    text = _AFTER.sub("", _COMMENT.sub("", text))
    if tags := tagged(text):
        return final_expressions(tags[0]) if len(tags) == 1 else tags
    boxes, end = boxed(text)
    tail = text[end:]
    if boxes and not _REFUSAL.search(tail):
        after = _PHRASE.search(tail) if len(boxes) else None
        if after is None or not (closing := _stated(tail)):
            return boxes
        return [closing]
    if boxes or _REFUSAL.search(text):
        return []
    text = _SO.sub("", _CODE_BLOCK.sub("", text).lstrip(), count=1) if _SO.match(text) else _CODE_BLOCK.sub("", text)
    if not _is_prose(text):
        return [text.strip()] if text.strip() else []
    found = _stated(text) or _last_value(text)
    return [found] if found else []


def _is_prose(text: str) -> bool:
    """Whether there are words besides the expression: the bare answer `12 or 15` is a list, not a sentence with a last number."""
    outside = re.sub(r"\\[a-zA-Z]+", " ", _FORMULA.sub("", text))
    plain = re.sub(r"\\(?:text|mathrm|mbox)\s*\{[^{}]*\}|\\[a-zA-Z]+", " ", text)
    words = [word for word in re.findall(r"[^\W\d_]+", plain) if len(word) > 2 or not word.isascii()]
    mixed = _FORMULA.search(text) and re.search(r"[A-Za-z]{3}|[^\W\da-zA-Z_]", re.sub(r"\b(?:and|or)\b", "", outside))
    before = re.match(r"\D*(?=\d)", text)
    mixed = mixed or (before and re.search(r"[\u3400-\u9fff]", before.group())) or re.match(r".*[。，]\s*$", text)
    sentence = re.search(r"[A-Za-z]\s+(?:is|are|equals?)\s", text)
    return len(words) > 2 or bool(sentence) or "\n" in text.strip() or bool(_PHRASE.search(text)) or bool(mixed)


def boxed(text: str) -> tuple[list[str], int]:
    """The distinct contents of the boxes in order, and where the last one ends. A box left open reaches to the end of its line."""
    found: list[str] = []
    end = 0
    for match in _BOX.finditer(text):
        start = match.end()
        if start < end:
            continue
        if start < len(text) and text[start] == "{":
            end = _closing(text, start)
            content = text[start + 1 : end - 1] if text[end - 1] == "}" and end - 1 > start else text[start + 1 : end]
        else:
            word = re.match(r"\S+", text[start:])
            content, end = (word.group(), start + word.end()) if word else ("", start)
        key = content.strip()
        if key not in found:
            found.append(key)
    return found, end


def _closing(text: str, start: int) -> int:
    depth = 0
    position = start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return position + 1
        position += 1
    line = text.find("\n", start)
    return (line if line != -1 else len(text.rstrip("$ "))) or len(text)


def _stated(text: str) -> str | None:
    """What follows the last closing phrase: its formula, or the words up to the end of the sentence."""
    phrases = list(_PHRASE.finditer(text))
    if not phrases:
        return None
    rest = text[phrases[-1].end() :].strip()
    formula = _FORMULA.match(rest)
    if formula:
        return _rest_of_list(rest) or next(group for group in formula.groups() if group is not None)
    bold = _BOLD.match(rest)
    sentence = re.split(r"\.(?=\s|$)|。|\n", bold.group(1) if bold else rest, maxsplit=1)[0].strip()
    sentence = _CONTRAST.sub("", _BLANKS.sub(" ", sentence)) or sentence
    if _is_prose(sentence):
        return _last_value(sentence)
    return sentence.strip("*: ") or None


def _rest_of_list(rest: str) -> str | None:
    """`$1$ and $2$ or $3$`: formulas joined by nothing but commas and conjunctions."""
    joined = re.match(r"(?:\$[^$]+\$)(?:\s*,?\s*(?:and|or|,|和|或)\s*\$[^$]+\$)+", rest)
    return joined.group().replace("$", "") if joined else None


def _last_value(text: str) -> str | None:
    """The last formula or number of a text in prose, whichever comes later, with those that it is listed with; in bold type first."""
    text = _BLANKS.sub(lambda match: "\n" if "\n" in match.group() else " ", text)
    bold = [match.group(1) for match in _BOLD.finditer(text)]
    source = bold[-1] if bold and _NUMBER.search(bold[-1]) else text
    formulas = list(_FORMULA.finditer(source))
    compounds = (match for match in COMPOUND.finditer(source) if amounts(match.group()))
    brackets = (match for match in _BRACKETED.finditer(source) if not _GROUPED.fullmatch(match.group()))
    covered = _covered(source, formulas)
    wholes = [match for match in (*_COLONED.finditer(source), *compounds, *MIXED.finditer(source)) if not covered[match.start()]]
    covered = _covered(source, [*formulas, *wholes])
    pairs = [match for match in brackets if not any(covered[match.start() : match.end()])]
    covered = _covered(source, [*formulas, *wholes, *pairs])
    numbers = [match for match in _NUMBER.finditer(source) if match.group().strip() and not covered[match.start()]]
    values = sorted([*formulas, *wholes, *pairs, *numbers], key=lambda match: match.start())
    if (words := _IN_WORDS.search(source)) and (said := in_digits(words["words"].strip())) != words["words"].strip():
        return said
    written = _WRITTEN_OUT.search(source)
    if written and not formulas and _OPERATOR.search(written["rest"]) and not _is_prose(written["rest"]):
        return written["rest"].strip()
    if not values:
        return None
    listed = _listed(source, values)
    if len(listed) == 1 and _OPEN_CHOICE.search(source[: values[-1].start()]) and values[-1] not in formulas:
        return None
    joint = " or " if len(listed) > 1 and re.search(r"\bor\b|或", source[listed[0].end() : listed[-1].start()], re.IGNORECASE) else ", "
    return joint.join(_value(source, match) for match in listed)


def _listed(source: str, values: list[re.Match[str]]) -> list[re.Match[str]]:
    """The last of the values and those before it that nothing but a comma or a conjunction parts from it.

    Commas alone make a list after a verb or a colon: `In 2020, 12 people` has none.
    """
    listed = values[-1:]
    for value in reversed(values[:-1]):
        if not _JOINT.fullmatch(source[value.end() : listed[0].start()]):
            break
        listed.insert(0, value)
    joints = [source[a.end() : b.start()] for a, b in pairwise(listed)]
    stated = _STATING.search(source[: listed[0].start()])
    return listed if stated or any(re.search(r"\w|、", joint) for joint in joints) else values[-1:]


def _value(source: str, match: re.Match[str]) -> str:
    """A formula without its marks; a number with its sign and currency."""
    if _FORMULA.fullmatch(match.group()):
        inner = next(group for group in match.groups() if group is not None)
        return inner + "%" if re.match(r"\s*(?:\\?%|percent\b)", source[match.end() :]) else inner
    before = source[: match.start()]
    sign = "-" if re.search(r"(?:负|\b(?:minus|negative)\s)\s*$", before, re.IGNORECASE) else ""
    currency = re.search(r"(?:[€£¥₹]|\\?\$)\s?$", before)
    return sign + (currency.group().replace("\\", "").replace("$", r"\$") if currency else "") + match.group().strip()


def _covered(text: str, matches: list[re.Match[str]]) -> bytearray:
    """For each character whether one of the matches holds it."""
    covered = bytearray(len(text))
    for match in matches:
        covered[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    return covered
