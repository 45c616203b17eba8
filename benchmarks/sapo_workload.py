"""What both sides of `trl_sapo.py` do: the same prompts, the same reward, the same number of tokens."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.families import make_family
from tasks.families.algebra import Algebra
from tasks.family import Family
from tasks.message import Message
from tasks.mixture import slots

GROUP_SIZE = 8
IMAGE_TASKS = ("grounding", "counting")
UPDATES = 2
# So small that neither policy moves: the lengths of answers stay what they are.
LEARNING_RATE = 1e-7


@dataclass(frozen=True, slots=True)
class Workload:
    """A round answers `prompts` questions. `fixed` samples exactly `max_tokens` tokens, otherwise an answer ends where the policy ends it.

    `tasks` are algebra, or those of the preset `reasoning_rl` with images ("images") or without ("text"), at their weights: TRL refuses a
    batch that has both. `threads` are the learner's, `engine` is what samples on our side.
    """

    policy: Path
    prompts: int
    fixed: bool
    max_tokens: int
    rounds: int
    threads: int
    compiled: bool
    replicas: int
    tasks: Literal["algebra", "images", "text"] = "algebra"
    engine: Literal["vllm", "torch"] = "vllm"
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Question:
    message: Message
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
    """`workload.prompts` for each round, none twice, each round with the same number of every task."""
    rng = random.Random(workload.seed)
    shares = [(family, number, set[str]()) for family, number in _families(workload)]
    return [question for _ in range(workload.rounds) for family, number, seen in shares for question in _new(family, number, seen, rng)]


def _families(workload: Workload) -> list[tuple[Family, int]]:
    if workload.tasks == "algebra":
        return [(Algebra(), workload.prompts)]
    if workload.tasks not in ("images", "text"):
        raise SystemExit(f"tasks={workload.tasks}: algebra, images or text")
    from rl.config.configure import load

    tasks = {
        name: task for name, task in load(["config=reasoning_rl"]).tasks.items() if (name in IMAGE_TASKS) == (workload.tasks == "images")
    }
    numbers = slots({name: task.weight for name, task in tasks.items()}, workload.prompts)
    return [(make_family(task.family or "", task.options), numbers[name]) for name, task in tasks.items()]


def _new(family: Family, number: int, seen: set[str], rng: random.Random) -> Iterator[Question]:
    wanted = len(seen) + number
    while len(seen) < wanted:
        example = family.make(rng)
        if example.key not in seen:
            seen.add(example.key)
            yield Question(example.messages[0], example.demonstration.rpartition("</think>\n\n")[2])


def score(text: str, answer: str) -> float:
    """Something cheap that varies within a group: whether the answer is there, and the share of digits."""
    return float(answer in text) + sum(map(str.isdigit, text)) / (len(text) + 1)
