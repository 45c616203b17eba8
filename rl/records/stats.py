"""The metrics of a step, computed from the values that its stages made. Every name stands in `docs/metrics.md`."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import get_args

from rewards.judge.budget import Spent
from rewards.outcome import Ungraded
from rl.graded import GradedGroup
from rollouts.rollout import Status


@dataclass(frozen=True, slots=True)
class StepGroups:
    """The groups that arrived for one step: those in the batch, and those that taught nothing and were replaced.

    Rewards, accuracies and lengths are over both, or they would describe the choice of groups rather than the policy.
    """

    batch: tuple[GradedGroup, ...]
    refilled: tuple[GradedGroup, ...] = ()

    @property
    def all(self) -> tuple[GradedGroup, ...]:
        return self.batch + self.refilled


@dataclass(frozen=True, slots=True)
class StepTimes:
    """Seconds of the driver's clock, disjoint but for `step`, which holds all of them.

    `generate` is waiting for rollouts that are still being sampled; `grade` is waiting for grades alone; `teacher` is waiting for what
    teachers say, 0 where there are none.
    """

    step: float
    generate: float
    grade: float
    batch: float
    update: float
    publish: float
    teacher: float = 0.0


def step_stats(groups: StepGroups, version: int, times: StepTimes) -> dict[str, float]:
    """All metrics of a step but the learner's. `version` is that of the weights which the batch trained."""
    return reward_stats(groups.all) | group_stats(groups) | rollout_stats(groups, version) | time_stats(times)


def reward_stats(groups: Sequence[GradedGroup]) -> dict[str, float]:
    """Means over the graded rollouts; what has no graded rollout has no metric."""
    by_task = _groups_by_task(groups)
    rewards: dict[str, list[float]] = {"reward/mean": [r for group in groups for r in group.rewards]}
    verdicts: dict[str, list[bool]] = {"accuracy/mean": [v for group in groups for v in group.verdicts]}
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for task, same_task in by_task.items():
        rewards[f"reward/{task}"] = [r for group in same_task for r in group.rewards]
        verdicts[f"accuracy/{task}"] = [v for group in same_task for v in group.verdicts]
        for name, value in (part for group in same_task for grade in group.grades for part in grade.parts.items()):
            parts[f"reward_part/{task}/{name}"].append(value)
    return _means(rewards) | _means(verdicts) | _means(parts)


def group_stats(groups: StepGroups) -> dict[str, float]:
    """Shares over the groups, and over their rollouts, that arrived for the step."""
    found = {"group/in_batch": float(len(groups.batch)), "group/refilled": float(len(groups.refilled))}
    if not groups.all:
        return found
    attempts = sum(len(group.members) + group.num_failed for group in groups.all)
    found["group/zero_variance_frac"] = fmean(not group.has_signal for group in groups.all)
    found["group/ungraded_frac"] = sum(group.num_ungraded for group in groups.all) / attempts if attempts else 0.0
    found["group/failed_frac"] = sum(group.num_failed for group in groups.all) / attempts if attempts else 0.0
    reasons = Counter(m.outcome.reason for g in groups.all for m in g.members if isinstance(m.outcome, Ungraded))
    return found | {f"group/ungraded/{reason}": float(count) for reason, count in sorted(reasons.items())}


def rollout_stats(groups: StepGroups, version: int) -> dict[str, float]:
    """Lengths, ends and turns of all rollouts that arrived, and the lag of those in the batch."""
    rollouts = [member.rollout for group in groups.all for member in group.members]
    if not rollouts:
        return {}
    lengths = [rollout.num_sampled for rollout in rollouts]
    found = {
        "rollout/length_mean": fmean(lengths),
        "rollout/length_max": float(max(lengths)),
        "rollout/prompt_length_mean": fmean(len(rollout.segments[0].token_ids) for rollout in rollouts),
        "rollout/turns_mean": fmean(len(rollout.turns) for rollout in rollouts),
        "rollout/calls_mean": fmean(len(rollout.executed_calls) for rollout in rollouts),
        "rollout/tokens": float(sum(lengths)),
    }
    for status in get_args(Status):
        if status != "complete":
            found[f"rollout/{status}_frac"] = fmean(rollout.status == status for rollout in rollouts)
    return found | tool_stats(groups.all) | _lags(groups.batch, version)


def tool_stats(groups: Sequence[GradedGroup]) -> dict[str, float]:
    """Calls, failed calls by their kind, and waiting for tools; nothing where no problem has tools."""
    rollouts = [member.rollout for group in groups if group.problem.tools for member in group.members]
    if not rollouts:
        return {}
    failed = Counter(failure for rollout in rollouts for failure in rollout.failed_calls)
    by_expected: defaultdict[int, list[int]] = defaultdict(list)
    for rollout in rollouts:
        if rollout.problem.expected_calls is not None:
            by_expected[rollout.problem.expected_calls].append(len(rollout.executed_calls))
    found = {"rollout/tool_s_mean": fmean(rollout.tool_s for rollout in rollouts)}
    found |= {f"rollout/failed_calls/{kind}": float(count) for kind, count in sorted(failed.items())}
    return found | {f"rollout/calls_expected_{expected}": fmean(calls) for expected, calls in sorted(by_expected.items())}


def time_stats(times: StepTimes) -> dict[str, float]:
    """Seconds of each stage, the share of the step that waits for teachers, and that which is neither generation nor the update."""
    known = {
        "time/step_s": times.step,
        "time/generate_s": times.generate,
        "time/grade_s": times.grade,
        "time/batch_s": times.batch,
        "time/update_s": times.update,
        "time/publish_s": times.publish,
    }
    if times.step <= 0:
        return known
    taught = {"time/teacher_s": times.teacher, "time/teacher_frac": times.teacher / times.step} if times.teacher > 0 else {}
    return known | taught | {"time/other_frac": 1.0 - (times.generate + times.update) / times.step}


def judge_stats(spent: Spent) -> dict[str, float]:
    """What the judges among the rewards have cost since the program started; nothing where there is none."""
    if spent == Spent():
        return {}
    return {"judge/calls": float(spent.calls), "judge/tokens": float(spent.tokens), "judge/recorded": float(spent.recorded)}


def learner_stats(version: int, grad_norm: float, stats: Mapping[str, float]) -> dict[str, float]:
    """The learner's report under `learner/`; `version` is the one that the update made."""
    return {"learner/version": float(version), "learner/grad_norm": grad_norm} | {f"learner/{k}": v for k, v in stats.items()}


def _lags(batch: Sequence[GradedGroup], version: int) -> dict[str, float]:
    lags = [version - member.rollout.policy_version for group in batch for member in group.members if member.rollout.turns]
    return {"rollout/lag_mean": fmean(lags), "rollout/lag_max": float(max(lags))} if lags else {}


def _groups_by_task(groups: Sequence[GradedGroup]) -> dict[str, list[GradedGroup]]:
    by_task: defaultdict[str, list[GradedGroup]] = defaultdict(list)
    for group in groups:
        by_task[group.problem.source].append(group)
    return dict(by_task)


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: fmean(found) for name, found in values.items() if found}
