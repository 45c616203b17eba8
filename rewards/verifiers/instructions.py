"""Instruction following: the constraint families of IFEval and IFBench, checked by rule."""

from rewards.answer import final_answer
from rewards.instructions.checking import follows
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import ConstraintsTarget


@reward("instructions", target=ConstraintsTarget)
def grade_instructions(target: ConstraintsTarget, transcript: Transcript, *, loose: bool = False, partial: bool = False) -> Grade:
    """1 if the final answer, outside the thinking, follows every instruction, else 0; with `partial`, the share that it follows.

    `loose` also accepts the answer without its first or last line or its asterisks, as the public evaluation's loose accuracy does. The
    parts are 1 or 0 by instruction, and `strict` and `loose` for all of them. Right is to follow all of them.
    """
    if not target.constraints:
        raise ValueError("no instruction to follow: every answer would be right")
    text = final_answer(transcript.final_text)
    strict_results = [follows(text, constraint) for constraint in target.constraints]
    loose_results = [
        strict or follows(text, constraint, loose=True) for strict, constraint in zip(strict_results, target.constraints, strict=True)
    ]
    results = loose_results if loose else strict_results
    parts = {
        f"{place}/{constraint.id}": float(met) for place, (constraint, met) in enumerate(zip(target.constraints, results, strict=True))
    }
    parts |= {"strict": float(all(strict_results)), "loose": float(all(loose_results))}
    return Grade(sum(results) / len(results) if partial else float(all(results)), all(results), None, parts)
