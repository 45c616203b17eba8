"""One problem to a group of rollouts."""

import hashlib

from rollouts.generator import Continuation, Generator, Request, Sampling
from rollouts.render import Renderer
from rollouts.rollout import Given, Rollout, RolloutGroup, Sampled
from tasks.problem import Problem


async def run_group(problem: Problem, size: int, generator: Generator, renderer: Renderer, sampling: Sampling, stream: str) -> RolloutGroup:
    """`size` attempts at `problem`, from random streams that depend on `stream` and the problem's id alone.

    Whatever goes wrong is a failure of this group, in words, never the end of the run.
    """
    images = tuple(image for message in problem.messages for image in message.images)
    try:
        request = Request(renderer.prompt_ids(problem.messages), images, sampling, size, request_seed(stream, problem.id))
        generated = await generator.generate(request)
        prompt = Given(problem.messages, generated.prompt_ids)
        rollouts = tuple(_rollout(problem, i, prompt, c, renderer) for i, c in enumerate(generated.continuations))
    except Exception as error:
        return RolloutGroup(problem, (), (f"{type(error).__name__}: {error}",) * size)
    return RolloutGroup(problem, rollouts)


def request_seed(stream: str, problem_id: str) -> int:
    """A seed in [0, 2^62), the same for the same stream and problem on every machine."""
    digest = hashlib.blake2b(f"{stream}/{problem_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 2


def _rollout(problem: Problem, index: int, prompt: Given, continuation: Continuation, renderer: Renderer) -> Rollout:
    message = renderer.sampled_message(continuation.token_ids)
    sampled = Sampled(message, continuation.token_ids, continuation.logprobs, continuation.policy_version)
    return Rollout(problem, index, (prompt, sampled), "complete" if continuation.finish == "stop" else "truncated")
