"""Worked answers that call tools: recorded through the turn loop, so that they are what a policy with these tools would have lived."""

from dataclasses import dataclass

import numpy as np

from rl.assembly import build_turns
from rl.config.settings import RunSettings
from rl.training.tree import Stretch, Tree
from rollouts.recitation import Recitation
from rollouts.render import Renderer
from rollouts.tools.runner import ToolRunner
from tasks.message import Message
from tasks.problem import MissingTarget, Problem


@dataclass(frozen=True, slots=True)
class WorkedTurns:
    """A prompt, the names of the tools that it offers, and what the assistant should say: turns that call them, then the answer.

    With `may_fail`, calls that fail are part of it: an agent met them, read why, and went on.
    """

    messages: tuple[Message, ...]
    turns: tuple[str, ...]
    tools: tuple[str, ...]
    may_fail: bool = False


async def record(settings: RunSettings, worked: WorkedTurns, renderer: Renderer, runner: ToolRunner) -> Tree:
    """The rollout in which the assistant says exactly these turns: they are trained on, what the tools return is attended to.

    Tools run for real, within the limits of the run's rollouts. Raises `ValueError` where a limit ends the rollout or a call fails that
    may not.
    """
    problem = Problem("", worked.messages, MissingTarget(), "", "", worked.tools)
    recited = Recitation(renderer, [renderer.going_on(turn) for turn in worked.turns])
    turns = build_turns(settings, recited, renderer, runner)
    rollout = await turns.rollout(turns.opening(problem), 0, "")
    if rollout.is_over_limit or (rollout.failed_calls and not worked.may_fail):
        went_wrong = ", ".join((rollout.status, *rollout.failed_calls))
        raise ValueError(f"a demonstration cannot be followed ({went_wrong}): {worked.turns}; raise the limits of rollout, or correct it")
    token_ids, mask = np.array(rollout.token_ids, dtype=np.int64), np.array(rollout.sampled_mask, dtype=np.bool_)
    return Tree(Stretch(token_ids, mask, rollout.images))
