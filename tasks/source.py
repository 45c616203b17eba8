"""Endless streams of problems with random access: the whole state of a source is one integer, the next position."""

import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Literal, Protocol, TypeAlias

from tasks.errors import TaskError
from tasks.family import Example, Family
from tasks.problem import Problem, RewardNotation

Split: TypeAlias = Literal["train", "heldout"]
MAX_DRAWS = 10_000


class Source(Protocol):
    """Problems by position. The same position gives the same problem, in every process and after every restart."""

    @property
    def name(self) -> str: ...

    @property
    def size(self) -> int | None:
        """Number of different problems; None when there is no end of fresh ones."""
        ...

    def problem(self, position: int) -> Problem:
        """The problem at `position` >= 0; there is one at every position."""
        ...


@dataclass(frozen=True, slots=True)
class EmptySource:
    """That of a task which is only evaluated: nothing may be drawn from it."""

    name: str

    @property
    def size(self) -> int:
        return 0

    def problem(self, position: int) -> Problem:
        raise AssertionError(f"task {self.name!r} is only evaluated, and problem {position} was asked of it to train on")


@dataclass(frozen=True, slots=True)
class PoolSource:
    """A finite pool, gone through again and again: positions [k*n, (k+1)*n) are a permutation of the n problems, a new one each time."""

    name: str
    problems: Sequence[Problem]
    seed: int

    def __post_init__(self) -> None:
        if not self.problems:
            raise TaskError(f"task {self.name!r} has no problems to draw from")

    @property
    def size(self) -> int:
        return len(self.problems)

    def problem(self, position: int) -> Problem:
        assert position >= 0, position
        epoch, index = divmod(position, self.size)
        return self.problems[_permutation(self.size, self.seed, epoch)[index]]


@lru_cache(maxsize=16)
def _permutation(size: int, seed: int, epoch: int) -> tuple[int, ...]:
    order = list(range(size))
    random.Random(f"{seed}/{epoch}").shuffle(order)
    return tuple(order)


@dataclass(frozen=True, slots=True)
class ProceduralSource:
    """Fresh problems of a family without end.

    The two splits share no content, whatever the seeds: what is held out is decided by the content itself (`is_heldout`). The id of a
    problem depends on `name` and its content alone, so the same problem keeps its id under every seed.
    """

    name: str
    family: Family
    seed: int
    split: Split
    reward: RewardNotation

    @property
    def size(self) -> None:
        return None

    def problem(self, position: int) -> Problem:
        assert position >= 0, position
        example = draw(self.family, self.split, f"{self.seed}/{self.split}/{position}")
        digest = sha256(example.key.encode()).hexdigest()[:16]
        made = (example.messages, example.target, self.reward, self.name)
        return Problem(f"{self.name}/{digest}", *made, tools=example.tools, expected_calls=example.expected_calls)


def is_heldout(key: str) -> bool:
    """Whether content belongs to the held-out split: about one in ten does."""
    return zlib.crc32(key.encode()) % 10 == 0


def draw(family: Family, split: Split, stream: str) -> Example:
    """The first example of the random stream named `stream` whose content belongs to `split`."""
    for attempt in range(MAX_DRAWS):
        example = family.make(random.Random(f"{family.name}/{stream}/{attempt}"))
        if is_heldout(example.key) == (split == "heldout"):
            return example
    raise TaskError(f"family {family.name!r} made no {split} problem in {MAX_DRAWS} draws: it has too few different problems")


def distinct(source: Source, count: int) -> tuple[Problem, ...]:
    """The first `count` problems of a source that differ from one another."""
    found: dict[str, Problem] = {}
    position = 0
    while len(found) < count:
        # New ones turn up ever more seldom, so that who is out of patience with those found will never find `count`.
        if position == patience(len(found)):
            raise TaskError(
                f"task {source.name!r} has only about {len(found)} different problems, not {count}: lower its `pool` or `heldout`"
            )
        problem = source.problem(position)
        found.setdefault(problem.id, problem)
        position += 1
    return tuple(found.values())


def patience(count: int) -> int:
    """Draws in which `count` different ones turn up wherever there are clearly more of them."""
    return 20 * count + 100
