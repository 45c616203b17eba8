"""Numeric answers with a tolerance."""

from rewards.numerals import single_number
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.statement import stated_answer
from rewards.transcript import Transcript
from tasks.problem import NumberTarget


@reward("number", target=NumberTarget)
def grade_number(target: NumberTarget, transcript: Transcript) -> Grade:
    """1 if the answer states one number within the target's tolerance: |answer - value| <= max(absolute, relative * |value|)."""
    answer = stated_answer(transcript.final_text)
    found = single_number(answer) if answer is not None else None
    right = found is not None and abs(found - target.value) <= max(target.absolute, target.relative * abs(target.value))
    return Grade(float(right), right, answer)
