"""The one JSON value of an answer, read strictly and never repaired: plain, in a ```json fence, or with words around it."""

import re
from dataclasses import dataclass

from rewards.json_answer import STRICT_DECODER
from tasks.message import Json

MAX_CHARS = 100_000
_FENCE = re.compile(r"```(?:json)?\s*\n?(.*?)```", re.DOTALL)


@dataclass(frozen=True, slots=True)
class EmbeddedJson:
    """`words` is the text around the value."""

    value: list[Json] | dict[str, Json]
    words: str


def embedded_json(text: str) -> EmbeddedJson | None:
    """The only JSON list or object of the text; None if there is none, more than one, or a broken one."""
    if len(text) > MAX_CHARS:
        return None
    fences = list(_FENCE.finditer(text))
    if len(fences) > 1:
        return None
    around = text[: fences[0].start()] + "\n" + text[fences[0].end() :] if fences else ""
    body = fences[0].group(1) if fences else text
    opening = re.search(r"[\[{]", body)
    if opening is None or re.search(r"[\[\]{}]", around):
        return None
    try:
        value, end = STRICT_DECODER.raw_decode(body, opening.start())
    except (ValueError, RecursionError):
        return None
    if re.search(r"[\[\]{}]", body[: opening.start()] + body[end:]):
        return None
    return EmbeddedJson(value, f"{around}\n{body[: opening.start()]}\n{body[end:]}".strip())
