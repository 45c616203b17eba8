"""Conversations to imitate, and the tokens of them that are trained on: those that the assistant says, and no other.

The mask follows the messages, never the text: words such as "assistant" inside a user's turn mean nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
import PIL.Image

from rl.training.tree import Stretch, Tree
from rollouts.render import IMAGE_TOKEN, Renderer
from tasks.message import Json, Message, text_message

END = "<|im_end|>"


@dataclass(frozen=True, slots=True)
class Conversation:
    """Ends with the assistant's message. `tools` are the schemas that the system turn shows.

    Without `thinking`, prompts are as the template asks for an answer at once.
    """

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Json], ...] = ()
    thinking: bool = True

    @property
    def images(self) -> tuple[PIL.Image.Image, ...]:
        return tuple(image for message in self.messages for image in message.images)


def worked_answer(messages: Sequence[Message], answer: str, *, thinking: bool = True) -> Conversation:
    """A prompt, and what the assistant should say next."""
    return Conversation((*messages, text_message("assistant", answer)), thinking=thinking)


def encode(conversation: Conversation, renderer: Renderer) -> list[Tree]:
    """The conversation as the policy would have lived it: each assistant turn, its end token included, is trained on, the rest attended to.

    One sequence where the chat template writes a conversation as a continuation of its beginning. Templates that rewrite earlier turns
    (Qwen3's drops their thinking) give one sequence for each assistant turn, each as it would be met in sampling.
    """
    spans = _spans(conversation, renderer)
    if spans is not None:
        return [_tree(spans, conversation.images, renderer)]
    return [
        _tree(_last_turn(part, renderer), part.images, renderer)
        for i, message in enumerate(conversation.messages, 1)
        if message.role == "assistant"
        for part in (replace(conversation, messages=conversation.messages[:i]),)
    ]


def last_turn(conversation: Conversation, renderer: Renderer) -> tuple[Stretch, Stretch]:
    """What the assistant was given, and what it said last, its end token included."""
    given, said = _last_turn(conversation, renderer)
    return _tree([given], conversation.images, renderer).trunk, _tree([said], (), renderer).trunk


@dataclass(frozen=True, slots=True)
class _Span:
    text: str
    said: bool


def _spans(conversation: Conversation, renderer: Renderer) -> list[_Span] | None:
    """Alternately what was given and what the assistant said; None where the template does not only append."""
    spans: list[_Span] = []
    written = ""
    for i, message in enumerate(conversation.messages):
        if message.role != "assistant":
            continue
        given = renderer.conversation_text(conversation.messages[:i], conversation.tools, goes_on=True, thinking=conversation.thinking)
        whole = renderer.conversation_text(conversation.messages[: i + 1], conversation.tools, goes_on=False)
        if not given.startswith(written) or not whole.startswith(given):
            return None
        said = whole[len(given) :].rpartition(END)[0] + END
        spans += [_Span(given[len(written) :], said=False), _Span(said, said=True)]
        written = given + said
    return spans


def _last_turn(conversation: Conversation, renderer: Renderer) -> list[_Span]:
    *before, last = conversation.messages
    given = renderer.conversation_text(before, conversation.tools, goes_on=True, thinking=conversation.thinking)
    whole = renderer.conversation_text(conversation.messages, conversation.tools, goes_on=False)
    said = whole[len(given) :].rpartition(END)[0] if whole.startswith(given) else renderer.going_on(last.text)
    return [_Span(given, said=False), _Span(said + END, said=True)]


def _tree(spans: Sequence[_Span], images: Sequence[PIL.Image.Image], renderer: Renderer) -> Tree:
    left = iter(images)
    ids: list[int] = []
    mask: list[bool] = []
    for span in spans:
        own = tuple(islice(left, span.text.count(IMAGE_TOKEN)))
        tokens = renderer.expanded(renderer.text_ids(span.text), own)
        ids += tokens
        mask += [span.said] * len(tokens)
    return Tree(Stretch(np.array(ids, dtype=np.int64), np.array(mask, dtype=np.bool_), tuple(images)))
