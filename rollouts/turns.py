"""The turn loop: the policy speaks, its tool calls run, it reads what they returned, until it answers or meets a limit.

Token in - token out: what was sampled stays as sampled, and what tools returned is appended once, whole. Two strands of ids grow side by
side: compact ones for the engine (a placeholder an image), expanded ones for the learner. That they say the same is checked at every turn.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import PIL.Image

from rollouts.generator import Continuation, Generator, Request, Sampling
from rollouts.render import Renderer, check_alignment
from rollouts.rollout import Given, Rollout, Sampled, Segment, Status
from rollouts.seeds import request_seed
from rollouts.tools.calls import MalformedCall, parse_calls
from rollouts.tools.registry import find
from rollouts.tools.runner import Response, ToolRunner, not_shown
from tasks.message import Message, ToolCall
from tasks.problem import Problem


@dataclass(frozen=True, slots=True)
class TurnLimits:
    """Limits of one rollout. Sampled tokens have theirs in `Sampling`, all turns together. A rollout that would go beyond ends before."""

    turns: int = 6
    calls: int = 8
    parallel_calls: int = 4
    image_tokens: int = 4096
    length: int = 1024
    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Opening:
    """How all rollouts of a problem begin. `seen` are its images as the engine gets them, `images` as tools do."""

    problem: Problem
    compact: tuple[int, ...]
    expanded: tuple[int, ...]
    images: tuple[PIL.Image.Image, ...]
    seen: tuple[PIL.Image.Image, ...]
    image_tokens: int


@dataclass(slots=True)
class _State:
    """A rollout on its way. `compact` and `expanded` hold the same conversation, `images` and `seen` the same images."""

    compact: tuple[int, ...]
    expanded: tuple[int, ...]
    segments: list[Segment]
    images: list[PIL.Image.Image]
    seen: list[PIL.Image.Image]
    image_tokens: int
    deadline: float
    num_sampled: int = 0
    num_calls: int = 0
    responses: list[Response] = field(default_factory=list)
    tool_s: float = 0.0


class TurnLoop:
    """Runs rollouts of problems with tools; any number at once. With `describe_tools` false the prompt does not show the tools' schemas."""

    def __init__(
        self,
        generator: Generator,
        renderer: Renderer,
        runner: ToolRunner,
        sampling: Sampling,
        limits: TurnLimits,
        *,
        describe_tools: bool = True,
    ) -> None:
        self._generator = generator
        self._renderer = renderer
        self._runner = runner
        self._sampling = sampling
        self._limits = limits
        self._describe_tools = describe_tools

    def opening(self, problem: Problem) -> Opening:
        """Raises `ValueError` where the prompt leaves no room."""
        images = tuple(image for message in problem.messages for image in message.images)
        schemas = [find(name).schema for name in problem.tools] if self._describe_tools else []
        compact = self._renderer.prompt_ids(problem.messages, schemas)
        expanded = self._renderer.expanded(compact, images)
        if len(expanded) >= self._limits.length:
            raise ValueError(
                f"a prompt of {len(expanded)} tokens (images and tools included) leaves no room in {self._limits.length}; "
                "raise rollout.max_model_len, or shrink the images"
            )
        tokens = sum(self._renderer.num_image_tokens(image) for image in images)
        if tokens > self._limits.image_tokens:
            raise ValueError(
                f"the {tokens} image tokens of a prompt are over the limit of {self._limits.image_tokens}, before any tool has shown "
                "more; raise rollout.limits.image_tokens, or shrink the images"
            )
        return Opening(problem, compact, expanded, images, self._renderer.seen(images), tokens)

    async def rollout(self, opening: Opening, index: int, stream: str) -> Rollout:
        """One attempt, from random streams that depend on `stream`, the problem's id, `index` and the turn alone."""
        problem = opening.problem
        deadline = time.monotonic() + self._limits.seconds
        said: list[Segment] = [Given(problem.messages, opening.expanded)]
        images, seen = list(opening.images), list(opening.seen)
        state = _State(opening.compact, opening.expanded, said, images, seen, opening.image_tokens, deadline)
        status = None
        while status is None:
            seed = request_seed(f"{stream}/{index}/{len(state.segments)}", problem.id)
            status = await self._speak(state, seed, problem.id) or await self._act(state, problem.tools)
        executed = tuple(response.executed for response in state.responses if response.executed is not None)
        failed = tuple(response.failure for response in state.responses if response.failure is not None)
        rollout = Rollout(problem, index, tuple(state.segments), status, executed, failed, state.tool_s)
        assert rollout.token_ids == state.expanded, "the learner's ids are not the engine's"
        return rollout

    async def _speak(self, state: _State, seed: int, affinity: str) -> Status | None:
        """Samples a turn. A status when the rollout ends with it, or before it."""
        room = min(self._sampling.max_tokens - state.num_sampled, self._limits.length - len(state.expanded))
        request = Request(state.compact, tuple(state.seen), replace(self._sampling, max_tokens=room), 1, seed, affinity)
        first = len(state.segments) == 1
        try:
            generated = await asyncio.wait_for(self._generator.generate(request), None if first else state.deadline - time.monotonic())
        except TimeoutError:
            # What tools returned stays out: nobody answered to it.
            state.expanded = state.expanded[: -len(state.segments.pop().token_ids)]
            return "over_time"
        check_alignment(generated.prompt_ids, state.expanded, state.images)
        (continuation,) = generated.continuations
        self._append_turn(state, continuation)
        if continuation.finish == "length":
            return "truncated" if state.num_sampled >= self._sampling.max_tokens else "over_length"
        return None

    def _append_turn(self, state: _State, continuation: Continuation) -> None:
        message = self._renderer.sampled_message(continuation.token_ids)
        calls = tuple(call for call in parse_calls(message.text) if isinstance(call, ToolCall))
        turn = replace(message, tool_calls=calls)
        state.segments.append(Sampled(turn, continuation.token_ids, continuation.logprobs, continuation.policy_version))
        state.compact += continuation.token_ids
        state.expanded += continuation.token_ids
        state.num_sampled += len(continuation.token_ids)

    async def _act(self, state: _State, offered: Sequence[str]) -> Status | None:
        """Runs the calls of the last turn and appends what they returned. A status when there are none, or a limit forbids to go on."""
        said = state.segments[-1]
        assert isinstance(said, Sampled)
        calls = parse_calls(said.message.text)
        forbidden = self._forbidden(state, len(calls))
        if forbidden is not None:
            return forbidden
        state.num_calls += len(calls)
        started = time.monotonic()
        responses = await self._responses(calls, state, offered)
        state.tool_s += time.monotonic() - started
        if responses is None:
            return "over_time"
        responses = tuple(self._shown(response) for response in responses)
        state.responses += responses
        return self._append_observation(state, [response.message for response in responses])

    def _forbidden(self, state: _State, num_calls: int) -> Status | None:
        limits = self._limits
        if not num_calls:
            return "complete"
        if sum(isinstance(segment, Sampled) for segment in state.segments) >= limits.turns:
            return "over_turns"
        if num_calls > limits.parallel_calls:
            return "over_parallel_calls"
        return "over_calls" if state.num_calls + num_calls > limits.calls else None

    async def _responses(
        self, calls: Sequence[ToolCall | MalformedCall], state: _State, offered: Sequence[str]
    ) -> tuple[Response, ...] | None:
        """In the order of the calls, which all see the images of before; None when time is up."""
        running = asyncio.gather(*(self._runner.run(call, state.images, offered) for call in calls))
        try:
            return tuple(await asyncio.wait_for(running, max(0.0, state.deadline - time.monotonic())))
        except TimeoutError:
            return None

    def _shown(self, response: Response) -> Response:
        """An image that the policy's processor refuses, such as one without height or 200 times as wide as high, becomes a text."""
        try:
            for image in response.message.images:
                self._renderer.num_image_tokens(image)
        except (ValueError, ZeroDivisionError) as error:
            return not_shown(response, str(error))
        return response

    def _append_observation(self, state: _State, messages: Sequence[Message]) -> Status | None:
        """All of it or nothing: an image's tokens are never cut."""
        images = [image for message in messages for image in message.images]
        compact = self._renderer.observation_ids(messages)
        expanded = self._renderer.expanded(compact, images)
        image_tokens = state.image_tokens + sum(self._renderer.num_image_tokens(image) for image in images)
        if image_tokens > self._limits.image_tokens:
            return "over_image_tokens"
        if len(state.expanded) + len(expanded) >= self._limits.length:
            return "over_length"
        if state.num_sampled >= self._sampling.max_tokens:
            return "truncated"
        state.segments.append(Given(tuple(messages), expanded))
        state.compact += compact
        state.expanded += expanded
        state.images += images
        state.seen += self._renderer.seen(images)
        state.image_tokens = image_tokens
        return None
