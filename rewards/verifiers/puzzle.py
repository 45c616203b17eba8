"""reasoning-gym's puzzles, by their own scorers where these are safe and sound (`tasks.gym.REFUSED` lists those that are not)."""

import json
import math
from functools import lru_cache
from typing import Protocol

from rewards.outcome import Grade, Outcome, Ungraded
from rewards.registry import reward
from rewards.statement import stated_answer
from rewards.transcript import Transcript
from tasks.gym import REFUSED
from tasks.message import Json
from tasks.problem import PuzzleTarget


class _Dataset(Protocol):
    def score_answer(self, answer: str | None, entry: dict[str, Json]) -> float: ...


@reward("puzzle", target=PuzzleTarget)
def grade_puzzle(target: PuzzleTarget, transcript: Transcript) -> Outcome:
    """The scorer's value, where only 1 is right: partial credit for a wrong format, which some scorers give, is 0."""
    if target.family in REFUSED:
        return Ungraded("refused", f"puzzle {target.family!r}: {REFUSED[target.family]}")
    answer = stated_answer(transcript.final_text)
    if answer is None:
        return Grade(0.0, False)
    score = float(_dataset(target.family).score_answer(answer, json.loads(target.entry)))
    right = math.isfinite(score) and score >= 1.0
    return Grade(float(right), right, answer)


@lru_cache(maxsize=64)
def _dataset(family: str) -> _Dataset:
    from reasoning_gym.factory import create_dataset

    dataset: _Dataset = create_dataset(family, seed=0, size=1)
    return dataset
