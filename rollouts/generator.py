"""The seam between the loop and the engines: token ids in, sampled token ids out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

import PIL.Image

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Sampling:
    """How to sample. Log-probs that come back are those of exactly this distribution (temperature applied).

    `temperature` 0 is greedy, and log-probs are then those at temperature 1. Tokens in `banned_ids` are never sampled
    (vision placeholders: a stray one would break the alignment of images and tokens).
    """

    max_tokens: int
    temperature: float = 1.0
    banned_ids: tuple[int, ...] = ()
    stop_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """`count` continuations of one prompt.

    `prompt_ids` are compact: one image placeholder for each image, which the engine expands. Sample i draws from a random
    stream that depends on `seed` and i alone, never on what else is in flight. Requests of the same `affinity` begin alike: where there are
    several engines, the same one serves them, from its caches.
    """

    prompt_ids: tuple[int, ...]
    images: tuple[PIL.Image.Image, ...]
    sampling: Sampling
    count: int
    seed: int
    affinity: str = ""


@dataclass(frozen=True, slots=True)
class Continuation:
    """Sampled ids, the stop token included when there is one; `policy_version` is that of the first token."""

    token_ids: tuple[int, ...]
    logprobs: tuple[float, ...]
    finish: Literal["stop", "length"]
    policy_version: int


@dataclass(frozen=True, slots=True)
class Generated:
    """The answer to a `Request`. `prompt_ids` are expanded: what the learner must attend to."""

    prompt_ids: tuple[int, ...]
    continuations: tuple[Continuation, ...]


class Generator(Protocol):
    """An engine, or a handle on one. Many requests may be in flight at once."""

    async def generate(self, request: Request) -> Generated: ...

    async def publish(self, weights: Mapping[str, "torch.Tensor"], version: int) -> None:
        """Makes `weights` live, in place. They are named as in the Hugging Face checkpoint, on the CPU.

        When this returns, every token sampled from then on comes from the new weights, and no cache holds a state of the old ones.
        Requests in flight go on.
        """
        ...

    async def close(self) -> None: ...
