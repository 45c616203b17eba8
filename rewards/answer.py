"""The thinking of a response, and the final answer after it.

Everything up to the last `</think>` is thinking: chat templates often open the tag in the prompt. A `<think>` that is never closed means
that there is no answer at all. A response without either tag is an answer without thinking.
"""

import re
from dataclasses import dataclass

OPEN, CLOSE = "<think>", "</think>"


@dataclass(frozen=True, slots=True)
class Response:
    """`thinking` without its tags; `answer` is None when the thinking was never closed."""

    thinking: str
    answer: str | None


_CLOSED = re.compile(r"</answer>", re.IGNORECASE)
_TAGS = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)


def split_response(text: str) -> Response:
    head, closed, tail = text.rpartition(CLOSE)
    if closed:
        return Response(_untagged(head), None if OPEN in tail else tail.strip())
    if OPEN in text:
        return Response(_untagged(text), None)
    return Response("", text.strip())


def _untagged(thinking: str) -> str:
    return thinking.replace(OPEN, " ").replace(CLOSE, " ").strip()


def final_answer(text: str) -> str:
    """The text after the thinking, stripped; empty when there is none."""
    return split_response(text).answer or ""


def tagged(answer: str) -> list[str]:
    """The distinct contents of `<answer>` tags in a final answer, in order."""
    # Without what follows the last closing tag, every opening one has its end: the search is linear.
    closed = answer[: max((match.end() for match in _CLOSED.finditer(answer)), default=0)]
    return list(dict.fromkeys(content.strip() for content in _TAGS.findall(closed)))
