import random
from dataclasses import replace
from pathlib import Path

import torch
from made_run import algebra, made_evaluation, made_group, rollout_of, write_made_run
from metrics_page import PAGE, documented, undocumented

from rewards.judge.budget import Spent
from rewards.outcome import Ungraded
from rl.config.settings import ObjectiveSettings, ReferenceSettings
from rl.graded import GradedGroup, GradedRollout
from rl.objectives.aggregation import StepDenominators
from rl.objectives.objective import make_objective, token_means
from rl.objectives.policy_tokens import PolicyTokens
from rl.records.evaluation_record import evaluation_metrics
from rl.records.stats import StepGroups, StepTimes, judge_stats, learner_stats, step_stats

LEARNERS_OWN = {"engine_kl": 0.0, "lr": 1e-4, "update_s": 1.0}
# tests/distill/test_on_policy.py sees the objective give them.
TEACHERS = dict.fromkeys(("divergence", "teacher_outside_mass", "student_outside_mass"), 0.0)
SUPERVISED = {f"{kind}/{loss}" for kind in ("cold_start", "further_supervised", "imitation") for loss in ("train_loss", "validation_loss")}
PREFERENCE = {f"preference/{name}" for name in ("loss", "accuracy", "margin")}


def objective_names() -> set[str]:
    """What every objective reports, with a reference term and the correction of the mismatch."""
    names: set[str] = set()
    for name in ("sapo", "grpo", "gspo"):
        values = torch.zeros(2)
        tokens = PolicyTokens(values.clone().requires_grad_(), values, values, values, torch.tensor([0, 0]), 1, values, values)
        settings = ObjectiveSettings(name=name, reference=ReferenceSettings(coefficient=0.1))
        names |= set(token_means(make_objective(settings)(tokens, StepDenominators(1, 2, 8)).sums))
    return names


def emitted(tmp_path: Path) -> set[str]:
    """All names that the statistics, the objectives and the records of a run give."""
    judged = made_group(algebra(1), 0.5, random.Random(0), version=0)
    ungraded = GradedGroup(algebra(2), (GradedRollout(rollout_of(algebra(2), 0, "4"), Ungraded("timeout")),), ("engine died",))
    asked = replace(algebra(3), tools=("image_zoom_in_tool",), expected_calls=1)
    zooming = replace(rollout_of(asked, 0, "4"), failed_calls=("malformed_call",))
    with_tools = GradedGroup(asked, (GradedRollout(zooming, Ungraded("timeout")),))
    step = step_stats(StepGroups((judged, ungraded, with_tools)), 0, StepTimes(1.0, 0.4, 0.0, 0.1, 0.3, 0.1, 0.1))
    learner = learner_stats(1, 0.5, dict.fromkeys(objective_names(), 0.0) | LEARNERS_OWN | TEACHERS)
    heldout = evaluation_metrics(made_evaluation(0, "before", 0.0, 0), ks=(16,))
    folder = write_made_run(tmp_path / "run", steps=2, hostile=False)
    logged = {name for log in (folder.metrics(), folder.training("cold_start")) for line in log for name in line.values}
    return {*step, *learner, *judge_stats(Spent(calls=1)), *heldout, *logged, *SUPERVISED, *PREFERENCE}


def test_every_metric_stands_in_the_page_of_metrics(tmp_path: Path):
    assert undocumented(emitted(tmp_path)) == set()


def test_every_metric_of_the_page_is_emitted(tmp_path: Path):
    names = emitted(tmp_path)
    assert [row for row, pattern in documented().items() if not any(map(pattern.fullmatch, names))] == []


def test_no_name_stands_in_the_page_twice():
    assert sum(line.startswith("| `") for line in PAGE.read_text().splitlines()) == len(documented())
