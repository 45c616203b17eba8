"""A number within the target's tolerance; units and thousands separators aside."""

import re
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
_ABOUT = re.compile(r"^\s*\$?\s*(?:[~≈～]|\\(?:sim|approx)(?![a-zA-Z]))|(?<=[\d十百千万亿])\s*[多余几](?![a-zA-Z])")
"""`≈ 12`, `12多`: a number near it, as `about 12` is."""
ROUNDING = Fraction(1, 100)


@reward("number", target=NumberTarget, version="5")
def grade_number(target: NumberTarget, transcript: Transcript) -> Grade:
    """1 if |answer - value| <= max(absolute, relative * |value|). A percentage counts as itself or as its hundredth."""
    found = final_expressions(final_answer(transcript.final_text))
    answer = found[0] if len(found) == 1 else None
    if answer is None or len(answer) > MAX_CHARS or _ABOUT.search(answer):
        return Grade(0.0, False, answer and answer[:MAX_CHARS])
    gold = Fraction(target.value)
    slack = max(Fraction(target.absolute), Fraction(target.relative) * abs(gold))
    right = any(abs(value - gold) <= slack for value in _readings(answer))
    return Grade(float(right), right, answer)


def _readings(answer: str) -> list[Fraction]:
    """Of the last side of `x = 3 + 4 = 7`; none where a side before it is another number."""
    sides = [_number(in_digits(side.strip())) for side in re.split(r"=|\\approx", normalised(answer))]
    last = sides[-1]
    if not last or any(side and abs(side[0] - last[0]) > ROUNDING * abs(last[0]) and side[0] not in last for side in sides):
        return []
    return last


def _number(text: str) -> list[Fraction]:
    """The number that a text is, and its hundredth if it is a percentage."""
    body = text.removesuffix("%").strip()
    number = plain_number(body) or plain_number(split_unit(body)[0])
    if number is None:
        return []
    return [number.value, number.value / 100] if text != body else [number.value]
