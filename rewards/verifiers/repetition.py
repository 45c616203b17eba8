"""Repetition: loops, and the same phrases over and over."""

from rewards.outcome import Grade
from rewards.registry import reward
from rewards.repetition import measure_repetition
from rewards.transcript import Transcript
from tasks.problem import Target

MIN_TOKENS = 30
"""In a shorter text, repeated phrases say nothing."""


@reward("repetition", target="any")
def grade_repetition(target: Target, transcript: Transcript, *, max_loop: int = 64, max_share: float = 0.5) -> Grade:
    """1 if the policy's own text, thinking included, does not repeat itself, else 0.

    It does with a loop (a unit of any length, three or more times in a row) of more than `max_loop` tokens, or when more than `max_share`
    of its four-token sequences occurred before. The parts are both measures.
    """
    found = measure_repetition("\n".join(message.text for message in transcript.response if message.role == "assistant"))
    repeats = found.loop > max_loop or (found.num_tokens >= MIN_TOKENS and found.share > max_share)
    return Grade(float(not repeats), not repeats, None, {"loop": float(found.loop), "share": found.share})
