"""Procedural families of problems."""

import random
from dataclasses import dataclass
from typing import Protocol

from tasks.message import Message
from tasks.problem import Target


@dataclass(frozen=True, slots=True)
class Example:
    """A made problem with a worked answer: `demonstration` is the assistant's text, thinking included; empty where there is none.

    `key` holds the whole content of the problem: equal keys are equal problems.
    """

    messages: tuple[Message, ...]
    target: Target
    demonstration: str
    key: str


class Family(Protocol):
    """Makes problems of one kind. `make` draws all its randomness from `rng`."""

    @property
    def name(self) -> str: ...

    @property
    def reward(self) -> str: ...

    def make(self, rng: random.Random) -> Example: ...
