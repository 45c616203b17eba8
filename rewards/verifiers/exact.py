"""Text answers, character by character."""

from rewards.outcome import Grade
from rewards.registry import reward
from rewards.statement import stated_answer
from rewards.transcript import Transcript
from tasks.problem import TextTarget


@reward("exact", target=TextTarget)
def grade_exact(target: TextTarget, transcript: Transcript) -> Grade:
    """1 if the stated answer is one of the golds exactly."""
    answer = stated_answer(transcript.final_text)
    right = answer in target.answers
    return Grade(float(right), right, answer)
