"""Grounding: boxes matched one to one to the gold boxes by their overlap."""

from typing import Literal

from rewards.answer import final_answer
from rewards.outcome import Grade, Ungraded
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.boxes import RELATIVE, giou, iou, items_in
from rewards.visual.matching import UNREADABLE, matched_grade, matched_overlaps
from tasks.problem import Box, BoxesTarget

NO_SIZE = Ungraded("no-image-size", "coordinates=pixels needs the size of the image in the target: {boxes: ..., size: [width, height]}")


@reward("boxes", target=BoxesTarget, version="2")
def grade_boxes(
    target: BoxesTarget,
    transcript: Transcript,
    *,
    threshold: float = 0.5,
    labels: bool = True,
    value: Literal["overlap", "f1"] = "overlap",
    overlap: Literal["iou", "giou"] = "iou",
    coordinates: Literal["relative", "pixels"] = "relative",
) -> Grade | Ungraded:
    """2 * (sum of matched overlaps) / (boxes + gold boxes): for one box its IoU, and every box too many or missing lowers it.

    With value=f1 every match that reaches `threshold` counts 1 and the others 0. Right when as many boxes as there are gold ones all
    reach it. With `labels`, a box matches under its own label alone, where both have one. A GIoU below 0 counts 0, or else many wide
    boxes would be worth more than none. The answer's coordinates are 0-1000 (Qwen3-VL) or pixels of an image of `target.size` (Qwen2.5-VL).
    """
    if coordinates == "pixels" and target.size is None:
        return NO_SIZE
    text = final_answer(transcript.final_text)
    found = items_in(text, target.size or RELATIVE) if coordinates == "pixels" else items_in(text)
    if found is None or found.points:
        return UNREADABLE
    overlaps = matched_overlaps(target.boxes, found.boxes, iou if overlap == "iou" else _giou_from_0, labels=labels)
    return matched_grade(len(target.boxes), len(found), overlaps, text, threshold=threshold, continuous=value == "overlap")


def _giou_from_0(a: Box, b: Box) -> float:
    return max(0.0, giou(a, b))
