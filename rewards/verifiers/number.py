"""A number within the target's tolerance; units and thousands separators aside."""

from fractions import Fraction

from rewards.answer import final_answer
from rewards.maths.extraction import final_expressions
from rewards.maths.notation import normalised
from rewards.maths.numbers import plain_number
from rewards.maths.units import split_unit
from rewards.maths.words import in_digits
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import NumberTarget

MAX_CHARS = 200


@reward("number", target=NumberTarget)
def grade_number(target: NumberTarget, transcript: Transcript) -> Grade:
    """1 if |answer - value| <= max(absolute, relative * |value|). A percentage counts as itself or as its hundredth."""
    found = final_expressions(final_answer(transcript.final_text))
    answer = found[0] if len(found) == 1 else None
    if answer is None or len(answer) > MAX_CHARS:
        return Grade(0.0, False, answer and answer[:MAX_CHARS])
    gold = Fraction(target.value)
    slack = max(Fraction(target.absolute), Fraction(target.relative) * abs(gold))
    right = any(abs(value - gold) <= slack for value in _readings(answer))
    return Grade(float(right), right, answer)


def _readings(answer: str) -> list[Fraction]:
    text = in_digits(normalised(answer)).split("=")[-1].split(r"\approx")[-1].strip()
    body = text.removesuffix("%").strip()
    number = plain_number(body) or plain_number(split_unit(body)[0])
    if number is None:
        return []
    return [number.value, number.value / 100] if text != body else [number.value]
