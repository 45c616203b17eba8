"""Soft overlong punishment: a slope from no penalty to a full one before a hard limit (DAPO, arXiv 2503.14476, eq. 13)."""

from rewards.outcome import Grade
from rewards.registry import reward
from rewards.response_length import length_of
from rewards.transcript import Transcript
from tasks.problem import Target


@reward("overlong", target="any")
def grade_overlong(target: Target, transcript: Transcript, *, limit: int = 8192, slope: int = 1024, unit: str = "characters") -> Grade:
    """0 up to `limit - slope` units of the policy's own text, then linearly down to -1 at `limit`; -1 for a response that was cut off.

    `unit` is "characters" or "words" (DAPO counts tokens, which a transcript does not hold). Blanks at its end count as characters, so that
    padding is not free. DAPO's own setting: limit 20480, slope 4096.
    """
    if limit <= 0 or not 0 < slope <= limit:
        raise ValueError(f"limit={limit}, slope={slope}: 0 < slope <= limit")
    if not transcript.complete:
        return Grade(-1.0)
    return Grade(max(-1.0, min(0.0, (limit - slope - length_of(transcript, unit)) / slope)))
