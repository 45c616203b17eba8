"""The final answer, character by character."""

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import stated_answer
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import TextTarget


@reward("exact", target=TextTarget, version="2")
def grade_exact(target: TextTarget, transcript: Transcript) -> Grade:
    """1 if the answer is one of the texts, blanks at its ends aside."""
    answer = stated_answer(final_answer(transcript.final_text))
    right = bool(answer) and answer in {text.strip() for text in target.answers}
    return Grade(float(right), right, answer)
