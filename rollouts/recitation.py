"""Worked turns as a rollout: demonstrations go through the same turn loop, tools and tokens as what a policy samples."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rollouts.generator import Continuation, Generated, Request
from rollouts.render import Renderer

if TYPE_CHECKING:
    import torch


class Recitation:
    """Implements `Generator`: says `turns`, one a request, with log-prob 0. A turn that finds no room is cut, as an engine would."""

    def __init__(self, renderer: Renderer, turns: Sequence[str]) -> None:
        self._renderer = renderer
        self._left = iter(turns)

    async def generate(self, request: Request) -> Generated:
        said = self._renderer.turn_ids(next(self._left))
        token_ids = said[: request.sampling.max_tokens]
        continuation = Continuation(token_ids, (0.0,) * len(token_ids), "stop" if token_ids == said else "length", 0)
        return Generated(self._renderer.expanded(request.prompt_ids, request.images), (continuation,))

    async def publish(self, weights: Mapping[str, "torch.Tensor"], version: int) -> None:
        raise AssertionError("a recitation has no weights")

    async def close(self) -> None:
        return
