from made_run import algebra, rollout_of

from rewards.outcome import Grade, Outcome, Ungraded
from rl.graded import GradedGroup, GradedRollout


def group_of(*outcomes: Outcome, failures: tuple[str, ...] = ()) -> GradedGroup:
    problem = algebra(1)
    members = tuple(GradedRollout(rollout_of(problem, index, "4"), outcome) for index, outcome in enumerate(outcomes))
    return GradedGroup(problem, members, failures)


def test_an_ungraded_rollout_is_no_reward():
    group = group_of(Grade(1.0, True), Ungraded("timeout"), Grade(0.0, False))
    assert group.rewards == (1.0, 0.0)
    assert group.num_ungraded == 1


def test_an_ungraded_rollout_beside_equal_rewards_gives_no_signal():
    assert not group_of(Grade(1.0), Ungraded("crash"), Grade(1.0)).has_signal


def test_two_different_rewards_are_a_signal():
    assert group_of(Grade(1.0), Grade(0.5)).has_signal


def test_no_grade_at_all_is_no_signal():
    assert not group_of(Ungraded("crash")).has_signal


def test_failures_are_counted_beside_the_members():
    group = group_of(Grade(1.0), failures=("engine died", "tool died"))
    assert (group.num_failed, group.num_ungraded) == (2, 0)
