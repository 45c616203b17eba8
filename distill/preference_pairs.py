"""Pairs of responses to the same prompt, the better one first: from graded groups, or from a user's table."""

from dataclasses import dataclass

import numpy as np

from rl.graded import GradedGroup
from rl.signal import branch_of, stretch_of
from rl.training.batch import PolicyBranch, PolicyTree
from rl.training.tree import Stretch
from rollouts.render import Renderer
from tasks.errors import RowError, short
from tasks.message import Message
from tasks.prompt import read_prompt
from tasks.stored_image import read_images
from tasks.table import Row, Table, read_all


@dataclass(frozen=True, slots=True)
class Pair:
    """A prompt with two texts that the assistant might answer."""

    messages: tuple[Message, ...]
    chosen: str
    rejected: str


def best_against_worst(group: GradedGroup) -> PolicyTree | None:
    """The rollouts with the highest and the lowest reward; None where rewards do not differ. Of equals, the first."""
    judged = [member for member in group.members if member.reward is not None]
    if not group.has_signal:
        return None
    best, worst = (choose(judged, key=lambda member: member.reward or 0.0).rollout for choose in (max, min))
    branches = (branch_of(best, 1.0), branch_of(worst, -1.0))
    return PolicyTree(stretch_of(best.segments[:1]), branches, group.problem.source, compared=True)


def read_pairs(data: str) -> list[Pair]:
    """All rows of a .jsonl, .parquet or `hf:` table with `prompt`, `chosen`, `rejected` and, where there are some, `images`.

    A prompt is a text or a list of messages. A response is a text, or a list of messages of which the last is the assistant's; where there
    is no `prompt`, those before it are, and have to be the same in both. Raises `TaskError` that lists the first rows that are no pair.
    """
    return read_all(data, _pair, "preference pairs")


def _pair(row: Row, table: Table) -> Pair:
    before_chosen, chosen = _response(row, "chosen")
    before_rejected, rejected = _response(row, "rejected")
    if chosen == rejected:
        raise RowError("`chosen` and `rejected` say the same")
    prompt = row.values.get("prompt")
    if prompt is None:
        if before_chosen != before_rejected or not before_chosen:
            raise RowError("no column `prompt`, and `chosen` and `rejected` do not begin with the same messages")
        prompt = before_chosen
    stored = read_images(row.values.get("images"), table.folder)
    return Pair(tuple(message.decode() for message in read_prompt(prompt, stored, table.folder)), chosen, rejected)


def text_pair(pair: Pair, renderer: Renderer) -> PolicyTree:
    """The prompt with both texts as its branches."""
    images = tuple(image for message in pair.messages for image in message.images)
    prompt = np.array(renderer.expanded(renderer.prompt_ids(pair.messages), images), dtype=np.int64)
    trunk = Stretch(prompt, np.zeros(len(prompt), dtype=np.bool_), images)
    return PolicyTree(trunk, (_said(pair.chosen, 1.0, renderer), _said(pair.rejected, -1.0, renderer)), "preferences", compared=True)


def _said(text: str, advantage: float, renderer: Renderer) -> PolicyBranch:
    ids = np.array(renderer.turn_ids(text), dtype=np.int64)
    return PolicyBranch(Stretch(ids, np.ones(len(ids), dtype=np.bool_)), advantage, np.zeros(len(ids), dtype=np.float32))


def _response(row: Row, column: str) -> tuple[list[object], str]:
    """The messages before it, and its text."""
    value = row.values.get(column)
    if isinstance(value, str) and value.strip():
        return [], value
    if isinstance(value, list) and value:
        *before, last = value
        if isinstance(last, dict) and last.get("role") == "assistant" and isinstance(last.get("content"), str) and last["content"].strip():
            return before, last["content"]
    raise RowError(f"`{column}` is a text, or messages that end with the assistant's text, not {short(value)}")
