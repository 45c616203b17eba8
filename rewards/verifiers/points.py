"""Pointing: points matched one to one to the boxes, masks or outlines that they have to lie in."""

from typing import Literal

from rewards.answer import final_answer
from rewards.outcome import Grade, Ungraded
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.verifiers.boxes import NO_SIZE
from rewards.visual.boxes import RELATIVE, Point, items_in
from rewards.visual.matching import UNREADABLE, matched_grade, matched_overlaps
from rewards.visual.regions import Area, area_of
from tasks.problem import BoxesTarget, PointsTarget, Region


@reward("points", target=PointsTarget | BoxesTarget)
def grade_points(
    target: PointsTarget | BoxesTarget,
    transcript: Transcript,
    *,
    labels: bool = True,
    coordinates: Literal["relative", "pixels"] = "relative",
) -> Grade | Ungraded:
    """F1 of the points, 2 * hits / (points + regions); each point serves one region at most, so a point too many costs.

    Right when every region has its point and no point is left over. `labels` and `coordinates` are those of the reward `boxes`.
    """
    if coordinates == "pixels" and target.size is None:
        return NO_SIZE
    text = final_answer(transcript.final_text)
    found = items_in(text, target.size or RELATIVE) if coordinates == "pixels" else items_in(text)
    if found is None or found.boxes:
        return UNREADABLE
    regions: tuple[Region, ...] = target.boxes if isinstance(target, BoxesTarget) else target.regions
    hits = matched_overlaps([area_of(region) for region in regions], found.points, _hit, labels=labels)
    return matched_grade(len(regions), len(found), hits, text, threshold=1.0, continuous=False)


def _hit(area: Area, point: Point) -> float:
    return float(area.contains(point))
