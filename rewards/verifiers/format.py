"""Format: one closed stretch of thinking that says something, then an answer."""

from rewards.answer import CLOSE, OPEN
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import Target


@reward("format", target="any")
def grade_format(target: Target, transcript: Transcript) -> Grade:
    """1 if the response thinks once, closes its thinking, and answers after it. A template may have opened the thinking in the prompt."""
    text = transcript.final_text
    thinking, closed, answer = text.partition(CLOSE)
    opened = thinking.strip().removeprefix(OPEN)
    right = (
        bool(closed) and bool(opened.strip()) and bool(answer.strip()) and OPEN not in opened and OPEN not in answer and CLOSE not in answer
    )
    return Grade(float(right), right)
