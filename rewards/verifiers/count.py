"""Counting: one number, or as many boxes or points as there are things."""

from rewards.numerals import single_number
from rewards.outcome import Grade
from rewards.pointing import pointed_at
from rewards.registry import reward
from rewards.statement import stated_answer
from rewards.transcript import Transcript
from tasks.problem import CountTarget


@reward("count", target=CountTarget)
def grade_count(target: CountTarget, transcript: Transcript) -> Grade:
    """1 for the right count. A JSON list of `bbox_2d` or `point_2d` counts by its different items."""
    answer = stated_answer(transcript.final_text)
    if answer is None:
        return Grade(0.0, False)
    pointed = pointed_at(answer)
    found = single_number(answer) if pointed is None else float(len(set(pointed)))
    right = found == target.count
    return Grade(float(right), right, answer)
