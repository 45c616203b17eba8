"""Overlong shaping: a slope from no penalty to a full one before a hard limit (DAPO, arXiv 2503.14476, eq. 13; here in characters)."""

from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import Target


@reward("length", target="any")
def grade_length(target: Target, transcript: Transcript, *, limit: int = 8192, slope: int = 1024) -> Grade:
    """0 up to `limit - slope` characters of the policy's own text, then linearly down to -1 at `limit`; -1 for a response that was cut off.

    Blanks at its end count too, so that padding is not free.
    """
    if limit <= 0 or not 0 < slope <= limit:
        raise ValueError(f"limit={limit}, slope={slope}: 0 < slope <= limit")
    if not transcript.complete:
        return Grade(-1.0)
    length = sum(len(message.text) for message in transcript.response if message.role == "assistant")
    return Grade(max(-1.0, min(0.0, (limit - slope - length) / slope)))
