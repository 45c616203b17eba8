"""Algebra with a symbolic answer: collect like terms."""

import random
from dataclasses import dataclass

from tasks.family import Example
from tasks.message import text_message
from tasks.problem import MathTarget


@dataclass(frozen=True, slots=True)
class Algebra:
    """`3x+4+5x-2` -> `8x+2`; the demonstration adds up the coefficients, then the constants, one at a time."""

    terms: int = 2
    largest: int = 9
    name: str = "algebra"
    reward: str = "math"

    def make(self, rng: random.Random) -> Example:
        slopes = [rng.randint(1, self.largest) for _ in range(self.terms)]
        constants = [rng.choice((-1, 1)) * rng.randint(1, self.largest) for _ in range(self.terms)]
        question = "+".join(f"{slope}x{constant:+d}" for slope, constant in zip(slopes, constants, strict=True))
        answer = _linear(sum(slopes), sum(constants))
        thinking = "\n".join((*_running_sum(slopes), *_running_sum(constants)))
        return Example(
            messages=(text_message("user", f"Simplify {question}"),),
            target=MathTarget(answer),
            demonstration=f"<think>\n{thinking}\n</think>\n\n\\boxed{{{answer}}}",
            key=question,
        )


def _running_sum(values: list[int]) -> list[str]:
    sums = [sum(values[: i + 1]) for i in range(len(values))]
    return [f"{before}{value:+d}={after}" for before, value, after in zip(sums, values[1:], sums[1:], strict=False)]


def _linear(slope: int, constant: int) -> str:
    """`slope`x + `constant` as it is written by hand; the slope is positive."""
    return f"{slope}x" + (f"{constant:+d}" if constant else "")
