"""The two things that grading can say: what an answer is worth, or why that could not be judged."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


class NotFiniteError(ValueError):
    """A grade was given a number that is NaN or infinite."""


@dataclass(frozen=True, slots=True)
class Grade:
    """What an answer is worth.

    `reward` is finite, by convention in [0, 1]. `verdict` is right or wrong where the reward knows such a thing (it is what
    accuracies are computed from), else None. `answer` is what was extracted from the transcript. `parts` holds each component
    by name, raw, before any weight.
    """

    reward: float
    verdict: bool | None = None
    answer: str | None = None
    parts: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in (("reward", self.reward), *self.parts.items()):
            if not math.isfinite(value):
                raise NotFiniteError(f"{name} is {value}; a grade holds finite numbers, anything else is Ungraded")


@dataclass(frozen=True, slots=True)
class Ungraded:
    """Why no grade could be given: never a number, so it can neither raise nor lower a group's mean.

    `reason` is one of a few short words that are counted (`timeout`, `crash`, `not-finite`, `missing-target`, ...).
    `detail` is for the reader.
    """

    reason: str
    detail: str = ""


Outcome: TypeAlias = Grade | Ungraded
