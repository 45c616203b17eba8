"""Soft overlong punishment (DAPO, arXiv 2503.14476, eq. 13)."""

from rewards.outcome import Grade, Outcome, Ungraded
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import Target


@reward("length", target="any")
def grade_length(target: Target, transcript: Transcript, *, limit: int = 4096, margin: int = 1024) -> Outcome:
    """0 up to `limit - margin` characters, falling linearly to -1 at `limit` and staying there. Characters, since rewards see no tokens."""
    if not 0 < margin <= limit:
        return Ungraded("bad-setting", f"length: 0 < margin <= limit, not margin={margin}, limit={limit}")
    excess = len(transcript.final_text) - (limit - margin)
    return Grade(-min(1.0, max(0.0, excess / margin)))
