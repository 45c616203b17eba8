"""Mathematical answers, by sympy and math-verify's LaTeX parser behind guards.

Only the final answer outside the thinking counts: the last statement of it, by box, by phrase, as formula or number. Several different
boxes are a list, and equal to a list alone. An answer that cannot be understood, or that is too large to compute with, is wrong and not
ungraded.
"""

from rewards.answer import split_response
from rewards.maths.extraction import boxed, final_expressions
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import MathTarget

MAX_ANSWER_CHARS = 3000
MAX_RESPONSE_CHARS = 200_000


@reward("math", target=MathTarget, version="6")
def grade_math(target: MathTarget, transcript: Transcript, *, tolerance: float = 0.0) -> Grade:
    """1 for the right answer, else 0. `tolerance` is relative, for answers that are real numbers."""
    from rewards.maths.equality import equal_answers, same_text  # sympy: seconds to import, needed in the workers alone

    text = split_response(transcript.final_text).answer
    if not text:
        return Grade(0.0, False)
    if same_text(target.answer, text):
        return Grade(1.0, True, text)
    answer = ", ".join(final_expressions(text[-MAX_RESPONSE_CHARS:]))
    if not answer or len(answer) > MAX_ANSWER_CHARS:
        return Grade(0.0, False, answer[:MAX_ANSWER_CHARS] or None)
    right = equal_answers(gold_expression(target.answer), answer, tolerance)
    return Grade(float(right), right, answer)


def gold_expression(answer: str) -> str:
    """The gold as it is; of a worked solution, what it ends in."""
    is_solution = boxed(answer)[0] or (len(answer) > 200 and "answer is" in answer)
    return ", ".join(final_expressions(answer)) if is_solution else answer
