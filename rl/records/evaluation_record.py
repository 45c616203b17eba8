"""What an evaluation found, problem by problem: enough to compute accuracies, pass@k and intervals later."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from rewards.pass_at_k import pass_at_k
from rl.graded import GradedGroup

Stage: TypeAlias = Literal["before", "during", "after"]


@dataclass(frozen=True, slots=True)
class ProblemScore:
    """The samples of one held-out problem: `num_right` of the `num_judged` ones with a verdict; the rest had none."""

    problem_id: str
    task: str
    num_right: int
    num_judged: int
    num_unjudged: int = 0

    @property
    def accuracy(self) -> float:
        assert self.num_judged, f"{self.problem_id} has no judged sample"
        return self.num_right / self.num_judged


@dataclass(frozen=True, slots=True)
class Evaluation:
    """All held-out problems at one version of the policy.

    `stage` is before RL (the cold start), during it or after it. `train_s` is the time spent in training until then, in seconds,
    evaluations excluded: what runs of equal compute are compared over.
    """

    step: int
    stage: Stage
    train_s: float
    scores: tuple[ProblemScore, ...]

    @property
    def tasks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(score.task for score in self.scores))

    def judged(self, task: str | None = None) -> tuple[ProblemScore, ...]:
        """The problems of a task (all tasks if None) that have at least one verdict."""
        return tuple(s for s in self.scores if s.num_judged and (task is None or s.task == task))

    def accuracy(self, task: str | None = None) -> float | None:
        """Mean pass@1: the mean over problems of the share of right samples; None without a verdict."""
        judged = self.judged(task)
        return sum(score.accuracy for score in judged) / len(judged) if judged else None

    def pass_at(self, k: int, task: str | None = None) -> float | None:
        """Mean over problems of the unbiased pass@k; None when no problem has k judged samples."""
        enough = [score for score in self.judged(task) if score.num_judged >= k]
        return sum(pass_at_k(s.num_judged, s.num_right, k) for s in enough) / len(enough) if enough else None


def score_groups(groups: Iterable[GradedGroup]) -> tuple[ProblemScore, ...]:
    """One score for each group of samples; ungraded, failed and verdict-less samples are counted as unjudged."""
    return tuple(
        ProblemScore(
            problem_id=group.problem.id,
            task=group.problem.source,
            num_right=sum(group.verdicts),
            num_judged=len(group.verdicts),
            num_unjudged=len(group.members) - len(group.verdicts) + group.num_failed,
        )
        for group in groups
    )


def evaluation_metrics(evaluation: Evaluation, ks: Sequence[int] = ()) -> dict[str, float]:
    """`heldout/accuracy/<task>` and `heldout/pass_at_<k>/<task>` with their means over the tasks, and the share without a verdict."""
    found: dict[str, float] = {}
    measures: Mapping[str, Mapping[str, float | None]] = {
        "accuracy": {task: evaluation.accuracy(task) for task in evaluation.tasks},
        **{f"pass_at_{k}": {task: evaluation.pass_at(k, task) for task in evaluation.tasks} for k in ks},
    }
    for measure, by_task in measures.items():
        known = {task: value for task, value in by_task.items() if value is not None}
        found |= {f"heldout/{measure}/{task}": value for task, value in known.items()}
        if known:
            found[f"heldout/{measure}"] = sum(known.values()) / len(known)
    return found | _unjudged(evaluation)


def _unjudged(evaluation: Evaluation) -> dict[str, float]:
    counts: defaultdict[str, int] = defaultdict(int)
    for score in evaluation.scores:
        counts["unjudged"] += score.num_unjudged
        counts["all"] += score.num_unjudged + score.num_judged
    return {"heldout/unjudged_frac": counts["unjudged"] / counts["all"]} if counts["all"] else {}
