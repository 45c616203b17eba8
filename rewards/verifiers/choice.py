"""Multiple choice: the letter, or the whole text of the option."""

import re

from rewards.outcome import Grade
from rewards.registry import reward
from rewards.statement import stated_answer
from rewards.transcript import Transcript
from rewards.verifiers.text import normalised
from tasks.problem import ChoiceTarget

_ALONE = re.compile(r"^\W*([A-Za-z])\W*$")
_LETTER = re.compile(r"(?<![A-Za-z])\(?([A-Z])(?:\)|[.:、]|(?![A-Za-z']))")
_NAMED = re.compile(r"(?:answer|option|choice|答案|选项|选)\s*(?:is|是|为|[:：])?\s*[*(\[（]*([A-Za-z])(?![A-Za-z])", re.IGNORECASE)


@reward("choice", target=ChoiceTarget)
def grade_choice(target: ChoiceTarget, transcript: Transcript) -> Grade:
    """1 if exactly one option is chosen and it is the right one."""
    answer = stated_answer(transcript.final_text)
    letter = chosen_letter(answer, target.choices) if answer is not None else None
    right = letter is not None and letter == target.answer.strip().upper()
    return Grade(float(right), right, letter)


def chosen_letter(answer: str, choices: tuple[str, ...]) -> str | None:
    """The one option that the answer chooses: a letter alone, a named letter, an option's text, or the only letter; None if none or several."""
    alone = _ALONE.match(answer)
    if alone:
        return alone.group(1).upper()
    named = {letter.upper() for letter in _NAMED.findall(answer)}
    texts = {chr(ord("A") + i) for i, choice in enumerate(choices) if normalised(choice) == normalised(answer)}
    last = len(choices) or 26
    letters = {letter for letter in _LETTER.findall(answer) if ord(letter) - ord("A") < last}
    for candidates in (named, texts, letters):
        if candidates:
            return next(iter(candidates)) if len(candidates) == 1 else None
    return None
