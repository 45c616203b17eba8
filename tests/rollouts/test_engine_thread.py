"""The thread around an engine, with an engine that only counts."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest
import torch

from rollouts.engine_thread import EngineThread
from rollouts.generator import Continuation, Generated, Request, Sampling


class CountingEngine:
    """Answers a request after as many steps as its `max_tokens`, with the number of the step; a prompt of one id does not fit."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.left: dict[int, int] = {}
        self.steps = 0
        self.closed = False

    def add(self, ticket: int, request: Request) -> None:
        if len(request.prompt_ids) == 1:
            raise ValueError("too short")
        self.log.append(f"add {request.seed} before step {self.steps}")
        self.left[ticket] = request.sampling.max_tokens

    def cancel(self, ticket: int) -> None:
        self.log.append("cancel")
        self.left.pop(ticket, None)

    def busy(self) -> bool:
        return bool(self.left)

    def step(self) -> Sequence[tuple[int, Generated]]:
        self.steps += 1
        self.left = {ticket: left - 1 for ticket, left in self.left.items()}
        if min(self.left.values()) < -100:
            raise OSError("the engine is on fire")
        ended = [ticket for ticket, left in self.left.items() if left == 0]
        for ticket in ended:
            del self.left[ticket]
        return [(ticket, Generated((), (Continuation((self.steps,), (0.0,), "stop", 0),))) for ticket in ended]

    def publish(self, weights: Mapping[str, torch.Tensor], version: int) -> None:
        if not weights:
            raise ValueError("no weights")
        if "fire" in weights:
            self.left = dict.fromkeys(self.left, -(10**6))
        self.log.append(f"publish {version} before step {self.steps}")

    def close(self) -> None:
        self.closed = True


BURNS = -1


def request(seed: int, tokens: int = 3, prompt: tuple[int, ...] = (1, 2)) -> Request:
    return Request(prompt, (), Sampling(tokens), 1, seed)


def started() -> tuple[CountingEngine, EngineThread]:
    engine = CountingEngine()
    return engine, EngineThread(lambda: engine)


async def test_calls_of_one_pass_enter_in_one_turn_in_their_order() -> None:
    engine, thread = started()
    await asyncio.gather(*(thread.generate(request(seed)) for seed in range(5)))
    assert engine.log == [f"add {seed} before step 0" for seed in range(5)]
    assert engine.steps == 3
    await thread.close()


async def test_who_was_answered_asks_on_before_the_next_step() -> None:
    engine, thread = started()

    async def two_turns(seed: int) -> None:
        await thread.generate(request(seed, tokens=seed))
        await thread.generate(request(10 + seed, tokens=1))

    await asyncio.gather(two_turns(1), two_turns(2), thread.generate(request(0, tokens=9)))
    assert engine.log[3:] == ["add 11 before step 1", "add 12 before step 2"]
    await thread.close()


async def test_answers_stream_as_they_finish_and_errors_stand_in_their_place() -> None:
    _, thread = started()
    requests = [request(0, tokens=5), request(1, tokens=2), request(2, prompt=(1,)), request(3, tokens=2)]
    together = [answers async for answers in thread.generate_all(requests)]
    named = [[(index, str(answer) if isinstance(answer, ValueError) else "ok") for index, answer in answers] for answers in together]
    assert named == [[(2, "too short")], [(1, "ok"), (3, "ok")], [(0, "ok")]]
    await thread.close()


async def test_a_publish_keeps_its_place_between_requests() -> None:
    engine, thread = started()
    weights = {"w": torch.zeros(1)}
    await asyncio.gather(thread.generate(request(0)), thread.publish(weights, 7), thread.generate(request(1)))
    assert engine.log == ["add 0 before step 0", "publish 7 before step 0", "add 1 before step 0"]
    await thread.close()


async def test_a_refused_publish_is_its_callers_alone() -> None:
    _, thread = started()
    running = asyncio.create_task(thread.generate(request(0)))
    with pytest.raises(ValueError, match="no weights"):
        await thread.publish({}, 1)
    assert (await running).continuations[0].token_ids == (3,)
    await thread.close()


async def test_when_the_engine_dies_everybody_waiting_hears_of_it() -> None:
    engine, thread = started()
    results = await asyncio.gather(*(thread.generate(request(seed, tokens=BURNS)) for seed in range(3)), return_exceptions=True)
    assert [str(result) for result in results] == ["the engine has ended: OSError: the engine is on fire"] * 3
    with pytest.raises(RuntimeError, match="on fire"):
        await thread.publish({"w": torch.zeros(1)}, 1)
    with pytest.raises(RuntimeError, match="on fire"):
        await thread.generate(request(4))
    await thread.close()
    assert engine.closed


async def test_a_publish_of_the_turn_in_which_the_engine_dies_hears_of_it() -> None:
    _, thread = started()
    endless = asyncio.create_task(thread.generate(request(0, tokens=10**9)))
    await thread.generate(request(1))
    with pytest.raises(RuntimeError, match="on fire"):
        await asyncio.wait_for(thread.publish({"fire": torch.zeros(1)}, 1), timeout=10)
    with pytest.raises(RuntimeError, match="on fire"):
        await endless
    await thread.close()


async def test_a_cancelled_caller_frees_the_engine() -> None:
    engine, thread = started()
    endless = asyncio.create_task(thread.generate(request(0, tokens=10**9)))
    await thread.generate(request(1))
    endless.cancel()
    await thread.generate(request(2))
    assert sorted(engine.log[2:]) == ["add 2 before step 3", "cancel"]
    assert not engine.left
    await thread.close()


async def test_closing_in_flight_ends_every_wait() -> None:
    engine, thread = started()
    endless = asyncio.create_task(thread.generate(request(0, tokens=10**9)))
    await thread.generate(request(1))
    await thread.close()
    with pytest.raises(RuntimeError, match="closed"):
        await endless
    with pytest.raises(RuntimeError, match="closed"):
        await thread.generate(request(2))
    await thread.close()
    assert engine.closed


def test_an_engine_that_cannot_be_built_says_so_at_once() -> None:
    def broken() -> CountingEngine:
        raise ValueError("no such folder")

    with pytest.raises(ValueError, match="no such folder"):
        EngineThread(broken)
