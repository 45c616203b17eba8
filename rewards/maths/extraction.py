"""The one final answer in the text after the thinking; None when there is none, or when it is withdrawn.

Order of trust: every distinct `\\boxed{}` (several are a list, and only a list answer equals it), a closing phrase ("the answer is ..."),
the last formula, the last number of the text.
"""

import re

from rewards.answer import tagged
from rewards.maths.units import COMPOUND, amounts
from rewards.maths.words import MIXED

_COMMENT = re.compile(r"<!--.*?(?:-->|$)", re.DOTALL)
_AFTER = re.compile(r"<\|(?:im_start|im_end|endoftext)\|>.*$|I hope it is correct\.?", re.DOTALL)
_BOX = re.compile(r"\\(?:boxed|fbox)\s*")
_REFUSAL = re.compile(
    r"\b(?:I|we)\s+(?:really\s+)?(?:do(?:n't| not)|can(?:'t|not| not)|could(?:n't| not)|am(?: not|n't) (?:able|sure)|'m not (?:able|sure))"
    r"\s*"
    r"(?:to\s+)?(?:know|solve|answer|determine|find|sure|tell|compute)?|\bno idea\b|我?不知道|无法(?:确定|解答|回答|求解)|不会做",
    re.IGNORECASE,
)  # fmt: skip
_PHRASE = re.compile(
    r"(?:final\s+answer\s*(?:is|:|：)|answer\s*(?:is|:|：|=)|(?:最终)?答案(?:是|为|：|:)|答[:：]|####)\s*[:：]?\s*", re.IGNORECASE
)
_FORMULA = re.compile(r"\$\$(.+?)\$\$|\\\[(.+?)\\\]|(?<!\\)\$(.+?)(?<!\\)\$|\\\((.+?)\\\)", re.DOTALL)
_NUMBER = re.compile(
    r"(?<![A-Za-z\d.\\^_{])[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)?(?:\.\d+|(?<=\d))(?:\s*/\s*\d+)?"
    r"(?:\s*\\?%|\s?(?:[kcm]?m|km/h|m/s|k?g|mg|m?[lL]|min|s|h|°C?|€|£|euros?|dollars?|cents?|[美欧日]?元|英镑|[千厘毫分]?米|公里|千?克|公斤|吨|毫?升|秒|分钟|小时|天)(?:\^\{?[23]\}?|[²³])?(?![A-Za-z\d^_{]))?"
    r"(?![A-Za-z\d^_{])"
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
_SO = re.compile(r"\s*(?:(?:therefore|thus|hence|so)\b|因此|所以|综上|解得|于是)[\s,，:：]*", re.IGNORECASE)
_CODE_BLOCK = re.compile(r"```.*?(?:```|$)", re.DOTALL)
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
    if _is_prose(sentence):
        return _last_value(sentence)
    return sentence.strip("*: ") or None


def _rest_of_list(rest: str) -> str | None:
    """`$1$ and $2$ or $3$`: formulas joined by nothing but commas and conjunctions."""
    joined = re.match(r"(?:\$[^$]+\$)(?:\s*,?\s*(?:and|or|,|和|或)\s*\$[^$]+\$)+", rest)
    return joined.group().replace("$", "") if joined else None


def _last_value(text: str) -> str | None:
    """The last formula or number of a text in prose, whichever comes later; in bold type first. Not one of two that an "or" leaves open."""
    bold = [match.group(1) for match in _BOLD.finditer(text)]
    source = bold[-1] if bold and _NUMBER.search(bold[-1]) else text
    formulas = list(_FORMULA.finditer(source))
    compounds = (match for match in COMPOUND.finditer(source) if amounts(match.group()))
    covered = _covered(source, formulas)
    wholes = [match for match in (*_COLONED.finditer(source), *compounds, *MIXED.finditer(source)) if not covered[match.start()]]
    covered = _covered(source, [*formulas, *wholes])
    numbers = [match for match in _NUMBER.finditer(source) if match.group().strip() and not covered[match.start()]]
    numbers = sorted(numbers + wholes, key=lambda match: match.start())
    if formulas and (not numbers or formulas[-1].start() > numbers[-1].start()):
        last = next(group for group in formulas[-1].groups() if group is not None)
        return last + "%" if re.match(r"\s*(?:\\?%|percent\b)", source[formulas[-1].end() :]) else last
    if not numbers or _OPEN_CHOICE.search(source[: numbers[-1].start()]):
        return None
    before = source[: numbers[-1].start()]
    sign = "-" if re.search(r"(?:负|\b(?:minus|negative)\s)\s*$", before, re.IGNORECASE) else ""
    currency = re.search(r"(?:[€£¥₹]|\\?\$)\s?$", before)
    return sign + (currency.group().replace("\\", "").replace("$", r"\$") if currency else "") + numbers[-1].group().strip()


def _covered(text: str, matches: list[re.Match[str]]) -> bytearray:
    """For each character whether one of the matches holds it."""
    covered = bytearray(len(text))
    for match in matches:
        covered[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    return covered
