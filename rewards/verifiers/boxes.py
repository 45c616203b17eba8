"""Grounding: boxes as JSON in Qwen3-VL's 0-1000 coordinates against the gold boxes."""

import numpy as np
from scipy.optimize import linear_sum_assignment

from rewards.answer import split_response
from rewards.outcome import Grade
from rewards.pointing import Place, pointed_at
from rewards.registry import reward
from rewards.transcript import Transcript
from tasks.problem import BoxesTarget

MAX_BOXES = 500


@reward("boxes", target=BoxesTarget)
def grade_boxes(target: BoxesTarget, transcript: Transcript, *, threshold: float = 0.5) -> Grade:
    """2 * sum of IoU over the best one-to-one matching / (boxes given + gold boxes): the IoU for one box against one.

    So a spare box costs as much as a missing one. A box matches a gold box only under its label, where both have one. The verdict is
    whether every
    gold box is matched with at least `threshold` and no box is spare.
    """
    answer = split_response(transcript.final_text).answer
    found = pointed_at(answer, "bbox_2d") if answer else None
    if not found or not target.boxes or len(found) > MAX_BOXES:
        return Grade(0.0, False, None if found is None else answer)
    gold = [(box.label, (box.x1, box.y1, box.x2, box.y2)) for box in target.boxes]
    ious = np.array([[_iou(one, other) for other in gold] for one in found])
    rows, columns = linear_sum_assignment(ious, maximize=True)
    matched = ious[rows, columns]
    reward_value = float(2.0 * matched.sum() / (len(found) + len(gold)))
    right = len(found) == len(gold) and bool((matched >= threshold).all())
    return Grade(reward_value, right, answer, {"iou": float(matched.mean())})


def _iou(one: Place, other: Place) -> float:
    if one[0] and other[0] and one[0].casefold().strip() != other[0].casefold().strip():
        return 0.0
    (ax1, ay1, ax2, ay2), (bx1, by1, bx2, by2) = one[1], other[1]
    shared = max(0.0, min(ax2, bx2) - max(ax1, bx1)) * max(0.0, min(ay2, by2) - max(ay1, by1))
    return shared / ((ax2 - ax1) * (ay2 - ay1) + (bx2 - bx1) * (by2 - by1) - shared)
