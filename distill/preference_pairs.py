"""Pairs of responses to the same prompt, the better one first: from graded groups, or from a user's table."""

from dataclasses import dataclass

import numpy as np

from distill.conversation import Conversation, last_turn
from distill.conversation_file import read_tools
from rl.graded import GradedGroup
from rl.signal import branch_of, stretch_of
from rl.training.batch import PolicyBranch, PolicyTree
from rl.training.tree import Stretch
from rollouts.render import Renderer
from tasks.errors import RowError, short
from tasks.prompt import read_conversation, read_prompt
from tasks.stored_image import read_images
from tasks.table import Row, Table, read_all


@dataclass(frozen=True, slots=True)
class Pair:
    """Two conversations that differ in what the assistant says last."""

    chosen: Conversation
    rejected: Conversation


def best_against_worst(group: GradedGroup) -> PolicyTree | None:
    """The rollouts with the highest and the lowest reward; None where rewards do not differ. Of equals, the first."""
    judged = [member for member in group.members if member.reward is not None]
    if not group.has_signal:
        return None
    best, worst = (choose(judged, key=lambda member: member.reward or 0.0).rollout for choose in (max, min))
    branches = (branch_of(best, 1.0), branch_of(worst, -1.0))
    return PolicyTree(stretch_of(best.segments[:1]), branches, group.problem.source, compared=True)


def read_pairs(data: str) -> list[Pair]:
    """All rows of a .jsonl, .parquet or `hf:` table with `prompt`, `chosen`, `rejected` and, where there are some, `images` and `tools`.

    A prompt is a text or a list of messages. A response is a text, or a list of messages of which the last is the assistant's; where there
    is no `prompt`, those before it are, and have to be the same in both. Raises `TaskError` that lists the first rows that are no pair.
    """
    return read_all(data, _pair, "preference pairs")


def _pair(row: Row, table: Table) -> Pair:
    (before_chosen, chosen), (before_rejected, rejected) = _response(row, "chosen"), _response(row, "rejected")
    prompt = row.values.get("prompt")
    if prompt is None:
        if before_chosen != before_rejected or not before_chosen:
            raise RowError("no column `prompt`, and `chosen` and `rejected` do not begin with the same messages")
        prompt = before_chosen
    stored = read_images(row.values.get("images"), table.folder)
    messages = tuple(message.decode() for message in read_prompt(prompt, stored, table.folder))
    before = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
    tools = read_tools(row)
    talks = []
    for column, message in (("chosen", chosen), ("rejected", rejected)):
        try:
            said = read_conversation([*before, message], stored, table.folder)[-1]
        except RowError as error:
            raise RowError(f"`{column}`: {error}") from None
        talks.append(Conversation((*messages, said.decode()), tools))
    if talks[0].messages[-1] == talks[1].messages[-1]:
        raise RowError("`chosen` and `rejected` say the same")
    return Pair(*talks)


def text_pair(pair: Pair, renderer: Renderer) -> PolicyTree:
    """What both were given with what each said as its branches, by the chat template as in supervised training."""
    (trunk, chosen), (_, rejected) = last_turn(pair.chosen, renderer), last_turn(pair.rejected, renderer)
    return PolicyTree(trunk, (_branch(chosen, 1.0), _branch(rejected, -1.0)), "preferences", compared=True)


def _branch(said: Stretch, advantage: float) -> PolicyBranch:
    return PolicyBranch(said, advantage, np.zeros(len(said), dtype=np.float32))


def _response(row: Row, column: str) -> tuple[list[object], object]:
    """The messages before it, and its own."""
    value = row.values.get(column)
    if isinstance(value, str) and value.strip():
        return [], {"role": "assistant", "content": value}
    if isinstance(value, list) and value and isinstance(value[-1], dict) and value[-1].get("role") == "assistant":
        return value[:-1], value[-1]
    raise RowError(f"`{column}` is a text, or messages that end with the assistant's, not {short(value)}")
