"""Spans of a video, matched one to one to the gold spans by their temporal IoU."""

from typing import Literal

from rewards.answer import final_answer
from rewards.outcome import Grade
from rewards.plain import stated_answer
from rewards.registry import reward
from rewards.transcript import Transcript
from rewards.visual.matching import UNREADABLE, matched_grade, matched_overlaps
from rewards.visual.spans import spans_in, temporal_iou
from tasks.problem import SpansTarget


@reward("spans", target=SpansTarget, version="3")
def grade_spans(
    target: SpansTarget,
    transcript: Transcript,
    *,
    threshold: float = 0.5,
    labels: bool = True,
    value: Literal["overlap", "f1"] = "overlap",
) -> Grade:
    """2 * (sum of matched temporal IoU) / (spans + gold spans): for one span its IoU. With value=f1 each match that reaches `threshold`
    counts 1. Right when as many as there are gold ones all reach it. With `labels`, a span matches under its own label alone, where both
    have one.
    """
    text = stated_answer(final_answer(transcript.final_text)) or ""
    found = spans_in(text)
    if found is None:
        return UNREADABLE
    overlaps = matched_overlaps(target.spans, found, temporal_iou, labels=labels)
    return matched_grade(len(target.spans), len(found), overlaps, text, threshold=threshold, continuous=value == "overlap")
