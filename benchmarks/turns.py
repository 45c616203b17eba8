"""What turns cost on vLLM: `python benchmarks/turns.py policy=<folder> [key=value ...]`, with a policy that has learnt to call tools.

Plays the held-out problems of `config` twice, alternately: interleaved, every rollout at its own pace, and in lockstep, where no turn
starts before all of the one before are back. Keys, with defaults:
config=thinking_with_images  problems=32  samples=8  rounds=3  tool_ms=0 (added to every call: the mean of an exponential)
"""

import asyncio
import random
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl.assembly import build_turns, sampling
from rl.config.configure import load
from rl.config.settings import RunSettings
from rl.stages import stage_settings
from rollouts.generator import Generated, Generator, Request
from rollouts.render import Renderer
from rollouts.rollout import Rollout
from rollouts.tools.calls import MalformedCall
from rollouts.tools.runner import Response, ToolRunner
from rollouts.turns import Opening, TurnLoop
from rollouts.vllm_engine import VllmGenerator, VllmSettings
from tasks.build import build_task
from tasks.message import ToolCall
from tasks.problem import Problem

DEFAULTS = {"config": "thinking_with_images", "policy": "", "problems": "32", "samples": "8", "rounds": "3", "tool_ms": "0"}


class Lockstep:
    """A generator that lets requests through only when every rollout that still runs has one."""

    def __init__(self, generator: Generator, rollouts: int) -> None:
        self._generator = generator
        self._running = rollouts
        self._waiting: list[asyncio.Future[None]] = []

    async def generate(self, request: Request) -> Generated:
        gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(gate)
        self._open()
        await gate
        return await self._generator.generate(request)

    def ended(self) -> None:
        """One rollout fewer."""
        self._running -= 1
        self._open()

    def _open(self) -> None:
        if len(self._waiting) == self._running:
            for gate in self._waiting:
                gate.set_result(None)
            self._waiting = []

    async def publish(self, weights: Mapping[str, Any], version: int) -> None:
        raise AssertionError("nothing is trained here")

    async def close(self) -> None:
        return


class SlowRunner(ToolRunner):
    """Tools that take longer, by a time drawn anew for every call."""

    def __init__(self, mean_s: float, settings: Mapping[str, Mapping[str, Any]]) -> None:
        super().__init__(settings=settings)
        self._mean_s = mean_s
        self._rng = random.Random(0)

    async def run(self, call: ToolCall | MalformedCall, images: Sequence[Any], offered: Sequence[str]) -> Response:
        if self._mean_s:
            await asyncio.sleep(self._rng.expovariate(1 / self._mean_s))
        return await super().run(call, images, offered)


@dataclass
class CachedTokens:
    """Prompt tokens of all requests, and those that the engine had in its prefix cache, for first turns and for later ones."""

    prompt: list[int]
    cached: list[int]

    @classmethod
    def watching(cls, llm: Any, is_later: Callable[[Sequence[int]], bool]) -> "CachedTokens":
        counts, step = cls([0, 0], [0, 0]), llm.step

        def counted() -> Any:
            outputs = step()
            for output in outputs:
                if output.finished:
                    later = is_later(output.prompt_token_ids)
                    counts.prompt[later] += len(output.prompt_token_ids)
                    counts.cached[later] += output.num_cached_tokens or 0
            return outputs

        llm.step = counted
        return counts


async def play(
    turns: TurnLoop, problems: Sequence[Problem], samples: int, stream: str, ended: Callable[[], None]
) -> tuple[float, list[Rollout]]:
    async def one(opening: Opening, index: int) -> Rollout:
        try:
            return await turns.rollout(opening, index, stream)
        finally:
            ended()

    started = time.perf_counter()
    rollouts = await asyncio.gather(*(one(opening, index) for opening in map(turns.opening, problems) for index in range(samples)))
    return time.perf_counter() - started, rollouts


async def measure(settings: RunSettings, policy: Path, values: Mapping[str, str]) -> None:
    rollout, samples = settings.rollout, int(values["samples"])
    task, name = next((task, name) for name, task in settings.tasks.items())
    problems = list(build_task(name, task, settings.seed).heldout)[: int(values["problems"])]
    images = 1 + rollout.limits.calls
    engine = VllmSettings(policy, rollout.max_model_len, images, rollout.max_num_seqs, kv_cache_mib=rollout.kv_cache_mib)
    generator = VllmGenerator(engine)
    renderer = Renderer(policy)
    response = renderer.text_ids("<tool_response>")[0]
    counts = CachedTokens.watching(generator._engine._llm, lambda ids: response in ids)  # type: ignore[attr-defined]
    seconds: dict[str, list[float]] = {"interleaved": [], "lockstep": []}
    played: list[Rollout] = []
    async with SlowRunner(int(values["tool_ms"]) / 1000, rollout.tools.settings) as runner:
        for number in range(int(values["rounds"]) + 1):
            for mode in seconds:
                lockstep = Lockstep(generator, len(problems) * samples) if mode == "lockstep" else None
                turns = build_turns(settings, lockstep or generator, renderer, runner, sampling(settings, renderer))
                wall, rollouts = await play(turns, problems, samples, f"{number}", lockstep.ended if lockstep else lambda: None)
                if number:
                    seconds[mode].append(wall)
                    played += rollouts
    await generator.close()
    report(seconds, played, len(problems) * samples, counts)


def report(seconds: Mapping[str, Sequence[float]], played: Sequence[Rollout], rollouts: int, counts: CachedTokens) -> None:
    calls, num_turns = (statistics.fmean(of(r) for r in played) for of in (lambda r: len(r.executed_calls), lambda r: len(r.turns)))
    print(f"{rollouts} rollouts at one time, {num_turns:.2f} turns and {calls:.2f} calls each, {len(played)} played")
    for mode, walls in seconds.items():
        rate = rollouts / statistics.median(walls)
        print(f"{mode:12} {rate:8.1f} rollouts a second   ({', '.join(f'{wall:.2f}' for wall in walls)} s)")
    running, waiting = sum(call.seconds for r in played for call in r.executed_calls), sum(r.tool_s for r in played)
    each = 1000 * running / max(1, sum(len(r.executed_calls) for r in played))
    print(f"tools: {each:.2f} ms a call; a rollout waits {1000 * waiting / len(played):.1f} ms")
    print(f"       {100 * running / sum(map(sum, seconds.values())):.1f} % of the time, all calls one after the other")
    for place, turn in enumerate(("first turns", "later turns")):
        share = counts.cached[place] / max(1, counts.prompt[place])
        print(f"prefix cache, {turn}: {100 * share:.1f} % of {counts.prompt[place]} prompt tokens")


def main(arguments: list[str]) -> None:
    values = DEFAULTS | dict(argument.split("=", 1) for argument in arguments)
    if unknown := values.keys() - DEFAULTS.keys():
        raise SystemExit(f"unknown key {', '.join(unknown)}; known: {', '.join(DEFAULTS)}")
    if not values["policy"]:
        raise SystemExit("policy=<folder>: a checkpoint that calls tools, such as runs/<name>/<stage>/checkpoints/step_*/policy")
    settings = load([f"config={values['config']}"])
    if settings.stages:
        settings = next(iter(stage_settings(settings).values()))
    asyncio.run(measure(settings, Path(values["policy"]), values))


if __name__ == "__main__":
    main(sys.argv[1:])
