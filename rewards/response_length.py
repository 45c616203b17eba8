"""How long a response is."""

from collections.abc import Callable, Mapping

from rewards.answer import final_answer
from rewards.errors import unknown
from rewards.transcript import Transcript
from rewards.words import count_words

_UNITS: Mapping[str, Callable[[str], int]] = {"characters": len, "words": count_words}


def length_of(transcript: Transcript, unit: str, of: str = "response") -> int:
    """In characters or words: of the policy's own text in all its turns ("response"), or of the final answer ("answer")."""
    if unit not in _UNITS:
        raise unknown("unit", unit, _UNITS)
    if of not in ("answer", "response"):
        raise unknown("part of a response", of, ("answer", "response"))
    if of == "answer":
        return _UNITS[unit](final_answer(transcript.final_text))
    return sum(_UNITS[unit](message.text) for message in transcript.response if message.role == "assistant")
