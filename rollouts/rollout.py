"""Rollouts: what was given to the policy and what it sampled, token by token.

Alignment, as everywhere in this project: column t describes token t; a log-prob at column t is that of token t given the tokens before it.
"""

from dataclasses import dataclass
from functools import reduce
from typing import Literal, TypeAlias

import PIL.Image

from tasks.message import ExecutedCall, Message
from tasks.problem import Problem

Status: TypeAlias = Literal[
    "complete", "truncated", "over_length", "over_turns", "over_calls", "over_parallel_calls", "over_image_tokens", "over_time"
]
"""How a rollout ended: by itself; at the limit of sampled tokens (`truncated`) or at another limit, which it did not go beyond.

`over_length` is the engine's longest sequence.
"""


@dataclass(frozen=True, slots=True)
class Given:
    """Tokens that the policy attends to but did not sample: the prompt, and what tools returned.

    `token_ids` are the learner's: an image takes as many placeholder tokens as its merged patches.
    """

    messages: tuple[Message, ...]
    token_ids: tuple[int, ...]

    @property
    def images(self) -> tuple[PIL.Image.Image, ...]:
        return tuple(image for message in self.messages for image in message.images)


@dataclass(frozen=True, slots=True)
class Sampled:
    """One assistant turn exactly as the engine sampled it, end token included.

    `logprobs` are natural logs under the sampling distribution (temperature applied), one for each token. `policy_version` is that of the
    weights
    which sampled the first token: the oldest of the turn.
    """

    message: Message
    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    policy_version: int

    def __post_init__(self) -> None:
        assert len(self.token_ids) == len(self.logprobs), (len(self.token_ids), len(self.logprobs))


Segment: TypeAlias = Given | Sampled


@dataclass(frozen=True, slots=True)
class Rollout:
    """One attempt at a problem. `index` is its place in its group. The first segment is the prompt.

    `executed_calls` are the tool calls that ran, `failed_calls` says what went wrong with which kind of call (`rollouts.tools.runner`),
    `tool_s` are the seconds in which it waited for tools.
    """

    problem: Problem
    index: int
    segments: tuple[Segment, ...]
    status: Status
    executed_calls: tuple[ExecutedCall, ...] = ()
    failed_calls: tuple[str, ...] = ()
    tool_s: float = 0.0

    @property
    def is_over_limit(self) -> bool:
        """Whether a limit ended it, and not the policy."""
        return self.status != "complete"

    @property
    def token_ids(self) -> tuple[int, ...]:
        return reduce(lambda ids, segment: ids + segment.token_ids, self.segments, ())

    @property
    def sampled_mask(self) -> tuple[bool, ...]:
        """True where the policy sampled the token: the only ones with a loss."""
        return tuple(isinstance(s, Sampled) for s in self.segments for _ in s.token_ids)

    @property
    def images(self) -> tuple[PIL.Image.Image, ...]:
        """All images in the order of their placeholder tokens."""
        return tuple(image for s in self.segments if isinstance(s, Given) for image in s.images)

    @property
    def turns(self) -> tuple[Sampled, ...]:
        return tuple(s for s in self.segments if isinstance(s, Sampled))

    @property
    def num_sampled(self) -> int:
        return sum(len(s.token_ids) for s in self.turns)

    @property
    def policy_version(self) -> int:
        """The oldest version that sampled any of it: what the lag is counted from."""
        return min(s.policy_version for s in self.turns)

    @property
    def response(self) -> tuple[Message, ...]:
        """All messages after the prompt."""
        return tuple(m for s in self.segments[1:] for m in ((s.message,) if isinstance(s, Sampled) else s.messages))


@dataclass(frozen=True, slots=True)
class RolloutGroup:
    """All attempts at one problem. `failures` says why an attempt gave no rollout at all, one text each."""

    problem: Problem
    rollouts: tuple[Rollout, ...]
    failures: tuple[str, ...] = ()
