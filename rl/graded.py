"""Rollouts with what grading said of them: what a signal, the statistics and the records read."""

from dataclasses import dataclass

from rewards.outcome import Grade, Outcome
from rl.objectives.advantages import rewards_differ
from rollouts.rollout import Rollout
from tasks.problem import Problem


@dataclass(frozen=True, slots=True)
class GradedRollout:
    """`left_out` ones are no part of their group's mean and spread, nor of the gradient: a limit ended them."""

    rollout: Rollout
    outcome: Outcome
    left_out: bool = False

    @property
    def reward(self) -> float | None:
        """What it is trained with; None where it is no part of the update."""
        return self.outcome.reward if isinstance(self.outcome, Grade) and not self.left_out else None


@dataclass(frozen=True, slots=True)
class GradedGroup:
    """All attempts at one problem, in the order of their index. `failures` says why an attempt gave no rollout at all."""

    problem: Problem
    members: tuple[GradedRollout, ...]
    failures: tuple[str, ...] = ()

    @property
    def num_failed(self) -> int:
        return len(self.failures)

    @property
    def grades(self) -> tuple[Grade, ...]:
        """The grades there are: shorter than `members` when something could not be judged."""
        return tuple(m.outcome for m in self.members if isinstance(m.outcome, Grade))

    @property
    def rewards(self) -> tuple[float, ...]:
        """Rewards of the members that are trained on: what the group's mean and spread are taken over."""
        return tuple(reward for member in self.members if (reward := member.reward) is not None)

    @property
    def num_ungraded(self) -> int:
        return len(self.members) - len(self.grades)

    @property
    def has_signal(self) -> bool:
        """Whether two graded members differ in reward: without that, every advantage is zero."""
        return rewards_differ(self.rewards)

    @property
    def verdicts(self) -> tuple[bool, ...]:
        """Right or wrong, of the members whose reward knows such a thing."""
        return tuple(grade.verdict for grade in self.grades if grade.verdict is not None)
