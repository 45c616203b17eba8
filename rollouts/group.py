"""One problem to a group of rollouts."""

import asyncio
from dataclasses import dataclass

from rollouts.generator import Continuation, Generator, Request, Sampling
from rollouts.render import Renderer, check_alignment
from rollouts.rollout import Given, Rollout, RolloutGroup, Sampled
from rollouts.seeds import request_seed
from rollouts.turns import Opening, TurnLoop
from tasks.problem import Problem


@dataclass(frozen=True, slots=True)
class GroupRunner:
    """Makes groups of rollouts by one way of sampling; `turns` for problems with tools."""

    generator: Generator
    renderer: Renderer
    sampling: Sampling
    turns: TurnLoop

    async def run(self, problem: Problem, size: int, stream: str) -> RolloutGroup:
        if problem.tools:
            return await run_tool_group(problem, size, self.turns, stream)
        return await run_group(problem, size, self.generator, self.renderer, self.sampling, stream)


async def run_group(problem: Problem, size: int, generator: Generator, renderer: Renderer, sampling: Sampling, stream: str) -> RolloutGroup:
    """`size` attempts at `problem` in one turn, from random streams that depend on `stream` and the problem's id alone.

    Whatever goes wrong is a failure of this group, in words, never the end of the run.
    """
    try:
        images = [image for message in problem.messages for image in message.images]
        compact = renderer.prompt_ids(problem.messages)
        request = Request(compact, renderer.seen(images), sampling, size, request_seed(stream, problem.id))
        generated = await generator.generate(request)
        check_alignment(generated.prompt_ids, renderer.expanded(compact, images), images)
        prompt = Given(problem.messages, generated.prompt_ids)
        rollouts = tuple(_rollout(problem, i, prompt, c, renderer) for i, c in enumerate(generated.continuations))
    except Exception as error:
        return RolloutGroup(problem, (), (_words(error),) * size)
    return RolloutGroup(problem, rollouts)


async def run_tool_group(problem: Problem, size: int, turns: TurnLoop, stream: str) -> RolloutGroup:
    """`size` attempts at a problem with tools, each at its own pace: some wait for tools while others are sampled.

    An attempt that goes wrong is a failure of its own.
    """
    try:
        opening = turns.opening(problem)
    except Exception as error:
        return RolloutGroup(problem, (), (_words(error),) * size)
    outcomes = await asyncio.gather(*(_attempt(opening, index, turns, stream) for index in range(size)))
    rollouts = tuple(outcome for outcome in outcomes if isinstance(outcome, Rollout))
    return RolloutGroup(problem, rollouts, tuple(outcome for outcome in outcomes if isinstance(outcome, str)))


async def _attempt(opening: Opening, index: int, turns: TurnLoop, stream: str) -> Rollout | str:
    try:
        return await turns.rollout(opening, index, stream)
    except Exception as error:
        return _words(error)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _rollout(problem: Problem, index: int, prompt: Given, continuation: Continuation, renderer: Renderer) -> Rollout:
    message = renderer.sampled_message(continuation.token_ids)
    sampled = Sampled(message, continuation.token_ids, continuation.logprobs, continuation.policy_version)
    return Rollout(problem, index, (prompt, sampled), "complete" if continuation.finish == "stop" else "truncated")
