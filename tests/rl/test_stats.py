import pytest
from made_run import algebra, grounding, rollout_of

from rewards.outcome import Grade, Outcome, Ungraded
from rl.graded import GradedGroup, GradedRollout
from rl.records.stats import StepGroups, StepTimes, group_stats, learner_stats, reward_stats, rollout_stats, time_stats
from rollouts.rollout import Status
from tasks.problem import Problem


def group_of(problem: Problem, *outcomes: Outcome, answers: tuple[str, ...] = (), status: Status = "complete", version: int = 0):
    texts = answers or ("4",) * len(outcomes)
    members = tuple(
        GradedRollout(rollout_of(problem, i, text, status, version), outcome)
        for i, (text, outcome) in enumerate(zip(texts, outcomes, strict=True))
    )
    return GradedGroup(problem, members)


MIXED = group_of(algebra(1), Grade(1.0, True, parts={"format": 1.0}), Grade(0.0, False, parts={"format": 0.5}), Ungraded("timeout"))
SOLVED = group_of(grounding(1), Grade(0.8, True), Grade(0.8, True))


def test_rewards_are_means_over_graded_rollouts_not_over_groups():
    stats = reward_stats([MIXED, SOLVED])
    assert stats == pytest.approx(
        {
            "reward/mean": (1.0 + 0.0 + 0.8 + 0.8) / 4, "reward/algebra": 0.5, "reward/grounding": 0.8,
            "accuracy/mean": 3 / 4, "accuracy/algebra": 0.5, "accuracy/grounding": 1.0, "reward_part/algebra/format": 0.75,
        }
    )  # fmt: skip


def test_a_task_without_a_graded_rollout_has_no_reward():
    assert reward_stats([group_of(algebra(1), Ungraded("crash"))]) == {}


def test_a_reward_without_verdicts_has_no_accuracy():
    assert set(reward_stats([group_of(algebra(1), Grade(1.0))])) == {"reward/mean", "reward/algebra"}


def test_grades_of_one_group_may_have_different_parts_and_the_first_may_have_none():
    group = group_of(algebra(1), Ungraded("timeout"), Grade(1.0), Grade(1.0, parts={"a": 1.0}), Grade(0.0, parts={"a": 0.0, "b": 3.0}))
    parts = {name: value for name, value in reward_stats([group]).items() if name.startswith("reward_part/")}
    assert parts == {"reward_part/algebra/a": 0.5, "reward_part/algebra/b": 3.0}


def test_shares_of_groups_and_attempts():
    failing = GradedGroup(algebra(2), (), failures=("engine died",))
    stats = group_stats(StepGroups((MIXED,), (SOLVED, failing)))
    assert stats == pytest.approx(
        {
            "group/in_batch": 1, "group/refilled": 2, "group/zero_variance_frac": 2 / 3,
            "group/ungraded_frac": 1 / 6, "group/failed_frac": 1 / 6, "group/ungraded/timeout": 1,
        }
    )  # fmt: skip


def test_lengths_count_sampled_tokens_and_lag_counts_versions():
    old = group_of(algebra(1), Grade(1.0), Grade(0.0), answers=("123", "12345"), status="truncated", version=3)
    new = group_of(algebra(1), Grade(1.0), answers=("1",), status="truncated", version=5)
    stats = rollout_stats(StepGroups((old, new)), version=5)
    assert (stats["rollout/length_mean"], stats["rollout/length_max"], stats["rollout/tokens"]) == (3.0, 5.0, 9.0)
    assert (stats["rollout/lag_mean"], stats["rollout/lag_max"]) == (4 / 3, 2.0)
    assert (stats["rollout/truncated_frac"], stats["rollout/over_time_frac"]) == (1.0, 0.0)


def test_groups_that_were_not_trained_on_have_no_lag():
    assert "rollout/lag_mean" not in rollout_stats(StepGroups((), (SOLVED,)), version=5)


def test_the_other_share_is_all_but_generation_and_update():
    assert time_stats(StepTimes(10.0, 4.0, 0.5, 0.3, 5.0, 0.2))["time/other_frac"] == pytest.approx(0.1)


def test_waiting_for_teachers_is_a_share_of_the_step_and_absent_where_there_are_none():
    stats = time_stats(StepTimes(10.0, 4.0, 0.5, 0.3, 2.0, 0.2, 3.0))
    assert (stats["time/teacher_s"], stats["time/teacher_frac"]) == (3.0, 0.3)
    assert not {name for name in time_stats(StepTimes(10.0, 4.0, 0.5, 0.3, 5.0, 0.2)) if "teacher" in name}


def test_the_learners_report_is_named_after_it():
    assert learner_stats(3, 0.5, {"entropy": 1.5}) == {"learner/version": 3.0, "learner/grad_norm": 0.5, "learner/entropy": 1.5}
