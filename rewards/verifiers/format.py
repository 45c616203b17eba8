"""The form of a response: thinking once, closed, not empty, then an answer."""

import re
from typing import Literal, cast

from rewards.answer import CLOSE, OPEN
from rewards.outcome import Grade
from rewards.plain import boxes_in
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import Target

Thinking = Literal["required", "optional", "forbidden"]


@reward("format", target="any")
def grade_format(
    target: Target, transcript: Transcript, *, thinking: str = "required", opened_by_prompt: bool = True, box: bool = False
) -> Grade:
    """1 if the response is complete, its thinking is as asked ("required", "optional", "forbidden"), and text follows it.

    With `opened_by_prompt`, the opening tag may be missing, as templates put it into the prompt. With `box`, the answer has exactly one
    `\\boxed{}`, not empty.
    """
    if thinking not in ("required", "optional", "forbidden"):
        raise ValueError(f"thinking={thinking!r}: take required, optional or forbidden")
    answer = well_formed_answer(transcript.final_text, cast(Thinking, thinking), opened_by_prompt)
    right = transcript.complete and answer is not None and (not box or [bool(content) for content in boxes_in(answer)] == [True])
    return Grade(float(right), right)


def well_formed_answer(text: str, thinking: Thinking, opened_by_prompt: bool) -> str | None:
    """The answer after well-formed thinking, None if the form is broken."""
    opened, closed = text.count(OPEN), text.count(CLOSE)
    if opened == closed == 0:
        answer = text.strip()
        return answer if answer and thinking != "required" else None
    if thinking == "forbidden" or closed != 1 or opened > 1:
        return None
    head, _, tail = text.partition(CLOSE)
    before, has_open, thought = head.rpartition(OPEN)
    if before.strip() or not (has_open or opened_by_prompt):
        return None
    answer = tail.strip()
    return answer if re.search(r"\w", thought) and re.search(r"\w|[\[{]", answer) else None
