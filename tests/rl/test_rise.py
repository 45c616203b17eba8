import math
import random

import pytest

from rl.records.evaluation_record import Evaluation, ProblemScore, evaluation_metrics
from rl.records.rise import accuracy_interval, mean_interval, rise


def evaluation(*rights: int, samples: int = 4, task: str = "algebra") -> Evaluation:
    return Evaluation(0, "before", 0.0, tuple(ProblemScore(f"p{i}", task, right, samples) for i, right in enumerate(rights)))


def test_the_interval_is_students_t():
    interval = mean_interval([0.1, 0.2, 0.3, 0.4])
    half = 3.182446305284263 * math.sqrt(0.05 / 3) / 2
    assert (interval.mean, interval.low, interval.high) == pytest.approx((0.25, 0.25 - half, 0.25 + half), abs=1e-12)


def test_one_value_says_nothing_of_the_spread():
    assert mean_interval([0.5]).low == -math.inf


def test_a_rise_is_paired_by_problem():
    found = rise(evaluation(0, 2, 4), evaluation(1, 3, 4))
    assert found is not None
    assert (found.mean, found.num_values) == (pytest.approx(1 / 6), 3)
    assert found.high - found.mean == pytest.approx(4.302652729911275 * math.sqrt(1 / 48) / math.sqrt(3))


def test_problems_without_a_verdict_are_no_part_of_it():
    before = Evaluation(0, "before", 0.0, (ProblemScore("p0", "algebra", 0, 0, 4), ProblemScore("p1", "algebra", 1, 4)))
    assert rise(before, evaluation(4, 2)) == mean_interval([0.25])


def test_the_interval_covers_the_truth_in_19_of_20_evaluations():
    rng = random.Random(0)
    covered = 0
    for _ in range(400):
        chances = [rng.uniform(0.1, 0.6) for _ in range(48)]
        before = evaluation(*(sum(rng.random() < c for _ in range(16)) for c in chances), samples=16)
        after = evaluation(*(sum(rng.random() < c + 0.2 for _ in range(16)) for c in chances), samples=16)
        found = rise(before, after)
        assert found is not None
        covered += found.low <= 0.2 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_accuracy_is_a_mean_over_problems_and_tasks_count_alike():
    counts = (("a", "x", 4, 4, 0), ("b", "x", 0, 4, 0), ("c", "y", 1, 4, 0), ("d", "y", 0, 0, 2))
    mixed = Evaluation(0, "before", 0.0, tuple(ProblemScore(*count) for count in counts))
    assert evaluation_metrics(mixed, ks=(2,)) == pytest.approx(
        {
            "heldout/accuracy/x": 0.5, "heldout/accuracy/y": 0.25, "heldout/accuracy": 0.375,
            "heldout/pass_at_2/x": 0.5, "heldout/pass_at_2/y": 0.5, "heldout/pass_at_2": 0.5, "heldout/unjudged_frac": 2 / 14,
        }
    )  # fmt: skip


def test_a_task_without_a_verdict_has_no_accuracy():
    assert accuracy_interval(evaluation(0, samples=0), "algebra") is None
