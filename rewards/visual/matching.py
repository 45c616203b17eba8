"""One-to-one matching of what was found to what there is, and what it is worth."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from rewards.outcome import Grade
from rewards.plain import normal_text


class Labelled(Protocol):
    @property
    def label(self) -> str: ...


G = TypeVar("G", bound=Labelled)
F = TypeVar("F", bound=Labelled)


def matched_overlaps(gold: Sequence[G], found: Sequence[F], overlap: Callable[[G, F], float], *, labels: bool) -> list[float]:
    """The overlaps of the assignment with the largest sum (Hungarian method). With `labels`, none across different labels."""
    if not gold or not found:
        return []
    from scipy.optimize import linear_sum_assignment

    names = [normal_text(item.label) for item in found]
    table = []
    for item in gold:
        mine = normal_text(item.label)
        table.append([0.0 if labels and _differ(mine, name) else overlap(item, other) for other, name in zip(found, names, strict=True)])
    rows, columns = linear_sum_assignment(table, maximize=True)
    return [table[row][column] for row, column in zip(rows, columns, strict=True)]


def matched_grade(num_gold: int, num_found: int, overlaps: Sequence[float], answer: str, *, threshold: float, continuous: bool) -> Grade:
    """2 * sum / (found + gold), of the overlaps where `continuous`, else of the hits: the matches that reach `threshold`.

    Right when as many as there are were found and all are hits. The parts are the mean overlap of the gold ones, precision and recall of
    hits. Where there is nothing to find, the empty answer is right.
    """
    if num_gold == 0 or num_found == 0:
        right = num_gold == num_found
        return Grade(float(right), right, answer, dict.fromkeys(PARTS, float(right)))
    hits = sum(overlap >= threshold for overlap in overlaps)
    total = sum(overlaps)
    parts = dict(zip(PARTS, (total / num_gold, hits / num_found, hits / num_gold), strict=True))
    value = 2 * (total if continuous else hits) / (num_found + num_gold)
    return Grade(value, hits == num_found == num_gold, answer, parts)


PARTS = ("iou", "precision", "recall")
UNREADABLE = Grade(0.0, False, None, dict.fromkeys(PARTS, 0.0))


def _differ(mine: str, other: str) -> bool:
    return bool(mine) and bool(other) and mine != other
