"""What an answer is worth: registry, verifiers, isolation. Here stands what a reward of one's own needs; targets are in `tasks.problem`."""

from rewards.outcome import Grade, Outcome, Ungraded
from rewards.registry import reward
from rewards.transcript import Transcript

__all__ = ["Grade", "Outcome", "Transcript", "Ungraded", "reward"]
