"""Plain-text answers: which part of a final answer is the answer, and one spelling for it."""

import re
import unicodedata

from rewards.answer import tagged

MAX_CHARS = 20_000
"""Only the end of a longer answer is read: no answer of these kinds is as long."""
MAX_BOXES = 50
"""More boxes than these, each written differently, are several answers without a closer look."""

_BOX = re.compile(r"\\boxed\s*\{")
_PHRASE = re.compile(
    r"(?:(?:final\s+)?answer\s*(?:is|are|:|：|=)|(?:the\s+)?(?:correct\s+)?(?:option|choice)\s+is|(?:最终)?答案(?:应?[是为]|：|:|】|(?=\s*[A-Z](?![A-Za-z])))|(?<!不)(?<!不应)(?<!不能)(?:应?选(?:择|项)?\s*(?:是|为)?|答[:：]))\s*[:：]?\s*",
    re.IGNORECASE,
)  # fmt: skip
_STYLE = re.compile(r"\\(?:text|mathrm|textbf|mathbf|textit|mbox)\s*\{([^{}]*)\}")
_EDGES = " \t\r\n.,;:!?。，；：！？、\"'“”‘’`*_"
_WRAPPERS = (("(", ")"), ("[", "]"), ("（", "）"), ("【", "】"), ("“", "”"), ("「", "」"))


def boxes_in(text: str) -> list[str]:
    """Contents of every `\\boxed{}`, nested braces kept; one left open gives the rest of the text."""
    closing: dict[int, int] = {}
    opened: list[int] = []
    for brace in re.finditer(r"[{}]", text):
        if brace.group() == "{":
            opened.append(brace.start())
        elif opened:
            closing[opened.pop()] = brace.start()
    return [text[match.end() : closing.get(match.end() - 1)].strip() for match in _BOX.finditer(text)]


def stated_answer(text: str) -> str | None:
    """What the text gives as its answer: its one `<answer>` or box, what follows its last closing phrase, or else the whole text.

    None when it gives several: tags or boxes with different contents.
    """
    text = text[-MAX_CHARS:]
    tags = tagged(text)
    if tags:
        return stated_answer(tags[0]) if len(tags) == 1 and tags[0] else None
    boxes = boxes_in(text)
    if boxes:
        different = set(boxes)
        return boxes[0] if len(different) <= MAX_BOXES and len({normal_text(box) for box in different}) == 1 else None
    phrases = list(_PHRASE.finditer(text))
    return (text[phrases[-1].end() :] if phrases else text).strip()


def has_closing_phrase(text: str) -> bool:
    return _PHRASE.search(text) is not None


def unstyled(text: str) -> str:
    """Without the commands of LaTeX that set words in a font; what they hold stays."""
    return _STYLE.sub(r"\1", _STYLE.sub(r"\1", text))


def normal_text(text: str, *, ignore_case: bool = True) -> str:
    """Compatibility forms unified, blanks collapsed, marks and brackets around the whole dropped. Inner marks stay: 3.5 is not 35."""
    text = re.sub(r"\\(?:text|mathrm|textbf|mathbf)\s*\{([^{}]*)\}", r"\1", text)
    text = " ".join(unicodedata.normalize("NFKC", text).split()).strip(_EDGES)
    for left, right in _WRAPPERS:
        if len(text) > 1 and text[0] == left and text[-1] == right:
            text = text[1:-1].strip(_EDGES)
    if re.search(r"[\u3400-\u9fff]", text):
        text = re.sub(r"(?<=[\u3400-\u9fff]) | (?=[\u3400-\u9fff])", "", text)
    return text.casefold() if ignore_case else text
