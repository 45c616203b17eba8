"""Grounding: boxes matched one to one to the gold boxes by their overlap."""

from rewards.answer import final_answer
from rewards.boxes import boxes_in_json, iou
from rewards.outcome import Grade
from rewards.plain import normal_text
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import Box, BoxesTarget


@reward("boxes", target=BoxesTarget)
def grade_boxes(target: BoxesTarget, transcript: Transcript, *, threshold: float = 0.5, labels: bool = True) -> Grade:
    """2 * (sum of matched IoU) / (boxes + gold boxes): for one box its IoU, and every box too many or missing lowers it.

    Right when as many boxes as there are gold ones all reach `threshold`. With `labels`, a box matches under its own label alone, where
    both have one. The parts are the mean matched IoU, precision and recall. No gold box: right is the empty list.
    """
    text = final_answer(transcript.final_text)
    found = boxes_in_json(text)
    if found is None:
        return Grade(0.0, False, None, {"iou": 0.0, "precision": 0.0, "recall": 0.0})
    if not found or not target.boxes:
        right = not found and not target.boxes
        return Grade(float(right), right, text, {"iou": float(right), "precision": float(right), "recall": float(right)})
    overlaps = matched_overlaps(target.boxes, tuple(found), labels=labels)
    hits = sum(overlap >= threshold for overlap in overlaps)
    parts = {"iou": sum(overlaps) / len(target.boxes), "precision": hits / len(found), "recall": hits / len(target.boxes)}
    right = hits == len(found) == len(target.boxes)
    return Grade(2 * sum(overlaps) / (len(found) + len(target.boxes)), right, text, parts)


def matched_overlaps(gold: tuple[Box, ...], found: tuple[Box, ...], *, labels: bool) -> list[float]:
    """The overlaps of the assignment with the largest sum."""
    from scipy.optimize import linear_sum_assignment

    table = [[0.0 if labels and _differ(a.label, b.label) else iou(a, b) for b in found] for a in gold]
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [table[row][column] for row, column in zip(rows, columns, strict=True)]


def _differ(mine: str, other: str) -> bool:
    mine, other = normal_text(mine), normal_text(other)
    return bool(mine) and bool(other) and mine != other
