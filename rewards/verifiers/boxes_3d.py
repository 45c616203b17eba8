"""3D grounding: turned boxes matched one to one to the gold boxes by the overlap of their volumes."""

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.boxes3d import Order, Unit, boxes_3d_in, iou_3d
from rewards.visual.matching import UNREADABLE, matched_grade, matched_overlaps
from tasks.problem import Box3d, Boxes3dTarget


@reward("boxes_3d", target=Boxes3dTarget)
def grade_boxes_3d(
    target: Boxes3dTarget,
    transcript: Transcript,
    *,
    threshold: float = 0.15,
    labels: bool = True,
    angle_unit: Unit = "pi",
    angle_order: Order = "pitch,yaw,roll",
) -> Grade:
    """2 * (sum of matched 3D IoU) / (boxes + gold boxes). Right when as many as there are gold ones all reach `threshold`.

    Answer and gold hold their angles alike. The defaults are what Qwen3-VL's published code draws: in units of pi, as pitch, yaw, roll
    about the camera's x, y and z in turn. The prompt in the same place speaks of radians as roll, pitch, yaw. The threshold is that of
    the report's mAP.
    """
    text = final_answer(transcript.final_text)
    found = boxes_3d_in(text)
    if found is None:
        return UNREADABLE

    def overlap(a: Box3d, b: Box3d) -> float:
        return iou_3d(a, b, unit=angle_unit, order=angle_order)

    overlaps = matched_overlaps(target.boxes, found, overlap, labels=labels)
    return matched_grade(len(target.boxes), len(found), overlaps, text, threshold=threshold, continuous=True)
