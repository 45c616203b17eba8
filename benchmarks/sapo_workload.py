"""What both sides of `trl_sapo.py` do: the same prompts, the same reward, the same number of tokens."""

import random
from dataclasses import dataclass
from pathlib import Path

from tasks.families.algebra import Algebra

GROUP_SIZE = 8
UPDATES = 2
# So small that neither policy moves: the lengths of answers stay what they are.
LEARNING_RATE = 1e-7


@dataclass(frozen=True, slots=True)
class Workload:
    """A round answers `prompts` questions. `fixed` samples exactly `max_tokens` tokens, otherwise an answer ends where the policy ends it.

    `threads` are the learner's.
    """

    policy: Path
    prompts: int
    fixed: bool
    max_tokens: int
    rounds: int
    threads: int
    compiled: bool
    replicas: int
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    text: str
    answer: str


@dataclass(frozen=True, slots=True)
class RoundReport:
    """One batch of rollouts with its updates: seconds of its parts, and sampled tokens."""

    generate_s: float
    rescore_s: float
    update_s: float
    other_s: float
    tokens: int

    @property
    def total_s(self) -> float:
        return self.generate_s + self.rescore_s + self.update_s + self.other_s


def questions(workload: Workload) -> list[Question]:
    """`workload.prompts` for each round, none twice."""
    rng = random.Random(workload.seed)
    family = Algebra()
    made: dict[str, Question] = {}
    while len(made) < workload.prompts * workload.rounds:
        example = family.make(rng)
        made[example.key] = Question(example.messages[0].text, getattr(example.target, "answer", ""))
    return list(made.values())


def score(text: str, answer: str) -> float:
    """Something cheap that varies within a group: whether the answer is there, and the share of digits."""
    return float(f"\\boxed{{{answer}}}" in text) + sum(map(str.isdigit, text)) / (len(text) + 1)
