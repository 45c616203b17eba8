"""The result of a run: what each task scored before and after, and how sure the rise is."""

from dataclasses import dataclass

from rl.records.evaluation_record import Evaluation
from rl.records.rise import Interval, mean_interval, rise
from rl.records.run_folder import RunFolder

ALL_TASKS = "all tasks"


@dataclass(frozen=True, slots=True)
class TaskResult:
    """One row; accuracies, pass@k and the rise are shares in [0, 1] or their differences."""

    run: str
    task: str
    before: float
    after: float
    rise: Interval
    pass_before: float | None
    pass_after: float | None


@dataclass(frozen=True, slots=True)
class RunResult:
    """`finished` is False when there is no evaluation after training: the latest one stands in for it."""

    run: str
    rows: tuple[TaskResult, ...]
    k: int
    before: Evaluation
    after: Evaluation
    finished: bool


def run_result(folder: RunFolder) -> RunResult | None:
    """None when the run has fewer than two evaluations."""
    evaluations = folder.evaluations()
    if len(evaluations) < 2:
        return None
    before, after = evaluations[0], evaluations[-1]
    k = min(max((score.num_judged for score in e.scores), default=0) for e in (before, after))
    tasks = [task for task in before.tasks if task in after.tasks]
    rows = [row for task in tasks if (row := _row(folder.path.name, task, before, after, k)) is not None]
    if len(rows) > 1:
        rows.append(_mean_row(rows))
    return RunResult(folder.path.name, tuple(rows), k, before, after, after.stage == "after")


def _row(run: str, task: str, before: Evaluation, after: Evaluation, k: int) -> TaskResult | None:
    earlier, later, change = before.accuracy(task), after.accuracy(task), rise(before, after, task)
    if earlier is None or later is None or change is None:
        return None
    passed = (before.pass_at(k, task), after.pass_at(k, task)) if k > 1 else (None, None)
    return TaskResult(run, task, earlier, later, change, *passed)


def _mean_row(rows: list[TaskResult]) -> TaskResult:
    """Every task counts the same; the half-width is that of a mean of independent means."""
    count = len(rows)
    halves = [(row.rise.high - row.rise.low) / 2 for row in rows]
    half = sum(h * h for h in halves) ** 0.5 / count
    mean = mean_interval([row.rise.mean for row in rows]).mean
    change = Interval(mean, mean - half, mean + half, sum(row.rise.num_values for row in rows))
    befores = [row.pass_before for row in rows if row.pass_before is not None]
    afters = [row.pass_after for row in rows if row.pass_after is not None]
    return TaskResult(
        rows[0].run,
        ALL_TASKS,
        sum(row.before for row in rows) / count,
        sum(row.after for row in rows) / count,
        change,
        sum(befores) / count if len(befores) == count else None,
        sum(afters) / count if len(afters) == count else None,
    )
