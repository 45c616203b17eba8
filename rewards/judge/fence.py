"""What keeps foreign text apart from instructions: a fence that it cannot close, a canary that it cannot know, and no control tokens."""

import hashlib
import json
import re
from collections.abc import Sequence

MARK_CHARS = 16
CANARY_CHARS = 6

_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]")
_CONTROL = re.compile(
    r"<(?=[|\uff5c]|/?(?:s|think|tool_call|tool_response|bos|eos|(?:start|end)_of_turn)>|</?SYS>>)|\[(?=/?INST\])", re.IGNORECASE
)


def fence_for(texts: Sequence[str], salt: str) -> str:
    """A name that stands in none of the texts, whatever they try: derived from them, and derived again while one contains it.

    The same texts get the same fence, so that a recorded request is found again.
    """
    return f"text-{_absent(texts, salt, MARK_CHARS)}"


def canary_for(texts: Sequence[str], salt: str) -> str:
    """A word that the judge must repeat beside its marks: a mark that it copied from the graded text comes without."""
    return _absent(texts, f"canary {salt}", CANARY_CHARS)


def harmless(text: str) -> str:
    """The text without invisible commands, and with the control tokens of chat templates broken by a space."""
    clean = _INVISIBLE.sub("", text.encode("utf-8", "replace").decode())
    return _CONTROL.sub(lambda found: f"{found.group()} ", clean)


def _absent(texts: Sequence[str], salt: str, chars: int) -> str:
    seed = json.dumps([salt, *texts])
    everything = "\n".join(texts).lower()
    while True:
        seed = hashlib.sha256(seed.encode()).hexdigest()
        if seed[:chars] not in everything:
            return seed[:chars]
