"""Plain length shaping: a full reward between two bounds, a slope outside of them."""

from rewards.outcome import Grade
from rewards.registry import reward
from rewards.response_length import length_of
from rewards.transcript import Transcript
from tasks.problem import Target


@reward("length", target="any")
def grade_length(
    target: Target, transcript: Transcript, *, least: int = 0, most: int = 0, slope: int = 0, unit: str = "words", of: str = "answer"
) -> Grade:
    """1 from `least` to `most` units (0: no upper bound), falling linearly to 0 over `slope` units outside; with slope 0 at once.

    `unit` is "words" (a Chinese character is one) or "characters"; `of` is "answer", the final answer alone, or "response", thinking
    included.
    """
    if least < 0 or slope < 0 or (most and most < least):
        raise ValueError(f"least={least}, most={most}, slope={slope}: 0 <= least <= most, 0 <= slope")
    length = length_of(transcript, unit, of)
    excess = max(least - length, length - most if most else 0, 0)
    reward_value = max(0.0, 1.0 - excess / slope) if slope else float(excess == 0)
    return Grade(reward_value, excess == 0, None, {unit: float(length)})
