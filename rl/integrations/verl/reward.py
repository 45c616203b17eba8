"""verl's reward function over our registry.

verl needs a number for every rollout. An `Ungraded` one gets 0 and is marked: it is in its group's mean, where our own loop leaves it out.
Zero is what a wrong answer gets, so that no answer gains by breaking its grader.
"""

import atexit
import json
import logging
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TypeAlias

from rewards.isolation import RewardPool
from rewards.outcome import Grade, Outcome, Ungraded
from rewards.transcript import Transcript
from rl.integrations.verl.problem_json import read_prompt, read_reward, read_target
from tasks.message import text_message

logger = logging.getLogger(__name__)
UNGRADED_REWARD = 0.0
Score: TypeAlias = dict[str, float | str]


async def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, object],
    plugins: Sequence[str] = (),
    workers: int = 1,
    timeout_s: float = 10.0,
    memory_mib: int = 1024,
    **_: object,
) -> Score:
    """Grades the response `solution_str` of one rollout. `extra_info` is that of the row; `complete` may say that it ended by itself."""
    pool = _pool(tuple(plugins), workers, timeout_s, memory_mib)
    response = (text_message("assistant", solution_str),)
    transcript = Transcript(read_prompt(str(extra_info["prompt"])), response, complete=bool(extra_info.get("complete", True)))
    outcome = await pool.grade(read_reward(str(extra_info["reward"])), read_target(str(extra_info["target"])), transcript)
    if isinstance(outcome, Ungraded):
        logger.warning("ungraded: %s, problem %s: %s %s", data_source, extra_info["id"], outcome.reason, outcome.detail)
    return score_of(outcome)


def score_of(outcome: Outcome) -> Score:
    """verl's answer, with the same keys for every rollout: verl stacks them. `parts` holds the components, as JSON."""
    if isinstance(outcome, Grade):
        right = float(outcome.verdict) if outcome.verdict is not None else outcome.reward
        return _score(outcome.reward, right, parts=json.dumps(dict(outcome.parts)), answer=outcome.answer or "")
    return _score(UNGRADED_REWARD, 0.0, ungraded=1.0, ungraded_reason=outcome.reason)


def _score(reward: float, acc: float, *, ungraded: float = 0.0, ungraded_reason: str = "", parts: str = "{}", answer: str = "") -> Score:
    return {"score": reward, "acc": acc, "ungraded": ungraded, "ungraded_reason": ungraded_reason, "parts": parts, "answer": answer}


@lru_cache(maxsize=1)
def _pool(plugins: tuple[str, ...], workers: int, timeout_s: float, memory_mib: int) -> RewardPool:
    """One pool a reward process of verl's."""
    pool = RewardPool(workers, timeout_s, memory_mib, plugins)
    atexit.register(pool.close)
    return pool
