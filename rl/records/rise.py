"""How far an accuracy rose between two evaluations of the same problems, and how sure that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from rl.records.evaluation_record import Evaluation


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean with its two-sided 95 % confidence limits; `low` and `high` are infinite when one value says nothing of the spread."""

    mean: float
    low: float
    high: float
    num_values: int


def mean_interval(values: Sequence[float]) -> Interval:
    """Student's t interval of the mean: mean +- t(0.975, n-1) * s / sqrt(n)."""
    from scipy.special import stdtrit

    mean, count = fmean(values), len(values)
    if count < 2:
        return Interval(mean, float("-inf"), float("inf"), count)
    half = float(stdtrit(count - 1, 0.975)) * stdev(values) / count**0.5
    return Interval(mean, mean - half, mean + half, count)


def accuracy_interval(evaluation: Evaluation, task: str) -> Interval | None:
    """Accuracy with its interval over problems; None without a verdict."""
    judged = evaluation.judged(task)
    return mean_interval([score.accuracy for score in judged]) if judged else None


def rise(before: Evaluation, after: Evaluation, task: str | None = None) -> Interval | None:
    """The rise in accuracy, paired by problem: the spread holds both the choice of problems and the noise of sampling.

    Only problems with a verdict in both are compared; None when there is none.
    """
    earlier = {score.problem_id: score.accuracy for score in before.judged(task)}
    changes = [score.accuracy - earlier[score.problem_id] for score in after.judged(task) if score.problem_id in earlier]
    return mean_interval(changes) if changes else None
