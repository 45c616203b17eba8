"""Mathematical answers: math-verify and sympy behind guards."""

from math_verify import parse, verify

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import MathTarget


@reward("math", target=MathTarget)
def grade_math(target: MathTarget, transcript: Transcript) -> Grade:
    answer = final_answer(transcript.final_text)
    right = verify(parse(f"${target.answer}$", parsing_timeout=None), parse(answer, parsing_timeout=None), timeout_seconds=None)
    return Grade(float(right), right, answer)
