"""An engine that is stepped on a thread of its own, behind the asynchronous generator protocol.

    generate ─┐                    ┌─ add, add, publish, ...   in the order of the calls       one thread
    generate ─┼─> calls ── turn ──>┤                                                           owns the engine
    publish  ─┘                    └─ one step ──> finished requests ──> futures

Calls made in the same pass of the event loop enter the engine in the same turn. After each turn the loop makes one pass, so that whoever
was given an answer can ask on before the next step: the same calls give the same batches, and so the same numbers.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Protocol

from rollouts.generator import Generated, Request

if TYPE_CHECKING:
    import torch


class StepEngine(Protocol):
    """An engine as its thread sees it. A ValueError concerns one call alone; any other error is the end of the engine."""

    def add(self, ticket: int, request: Request) -> None: ...

    def cancel(self, ticket: int) -> None:
        """Forgets a request; does nothing if it is not there any more."""
        ...

    def busy(self) -> bool: ...

    def step(self) -> Sequence[tuple[int, Generated]]:
        """Samples one token of every sequence that has its turn; returns the requests that are finished now, by ticket."""
        ...

    def publish(self, weights: Mapping[str, "torch.Tensor"], version: int) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class _Call:
    """Something for the engine's thread to do. `future` gets its ValueError; `answers` says that it also gets its end as the result."""

    run: Callable[[], None]
    future: "asyncio.Future[None] | asyncio.Future[Generated]"
    answers: bool


@dataclass(frozen=True, slots=True)
class _Turn:
    outcomes: Sequence[tuple[_Call, ValueError | None]]
    finished: Sequence[tuple[int, Generated]]
    busy: bool


class EngineThread:
    """Implements `Generator`. Belongs to one event loop at a time."""

    def __init__(self, build: Callable[[], StepEngine]) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="engine")
        self._engine = self._thread.submit(build).result()
        self._tickets = count()
        self._calls: list[_Call] = []
        self._in_hand: list[_Call] = []
        self._waiting: dict[int, asyncio.Future[Generated]] = {}
        self._pump: asyncio.Task[None] | None = None
        self._ended: str | None = None

    async def generate(self, request: Request) -> Generated:
        return await self._submit(request)

    async def generate_all(self, requests: Sequence[Request]) -> AsyncIterator[list[tuple[int, Generated | ValueError]]]:
        """All requests enter the engine in one turn; yields (index, answer) of those that finish together, in the order of the requests.

        The answer is the error where a request cannot be served.
        """
        index_of = {self._submit(request): index for index, request in enumerate(requests)}
        pending = set(index_of)
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                answers: list[tuple[int, Generated | ValueError]] = []
                for future in sorted(done, key=index_of.__getitem__):
                    error = future.exception()
                    if error is not None and not isinstance(error, ValueError):
                        raise error
                    answers.append((index_of[future], error if error is not None else future.result()))
                yield answers
        finally:
            for future in pending:
                future.cancel()

    async def publish(self, weights: Mapping[str, "torch.Tensor"], version: int) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._call(_Call(lambda: self._engine.publish(weights, version), future, answers=True))
        await future

    async def close(self) -> None:
        """Ends the engine and frees what it holds; requests in flight get a RuntimeError. A second call does nothing."""
        if self._ended == "closed":
            return
        self._end("closed")
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()
            await asyncio.wait([self._pump])
        await asyncio.get_running_loop().run_in_executor(self._thread, self._engine.close)
        self._thread.shutdown()

    def _submit(self, request: Request) -> "asyncio.Future[Generated]":
        ticket = next(self._tickets)
        future: asyncio.Future[Generated] = asyncio.get_running_loop().create_future()
        self._call(_Call(lambda: self._engine.add(ticket, request), future, answers=False))
        self._waiting[ticket] = future
        future.add_done_callback(lambda done: self._answered(ticket, done))
        return future

    def _answered(self, ticket: int, future: "asyncio.Future[Generated]") -> None:
        self._waiting.pop(ticket, None)
        if future.cancelled() and self._ended is None:
            self._call(_Call(lambda: self._engine.cancel(ticket), asyncio.get_running_loop().create_future(), answers=True))

    def _call(self, call: _Call) -> None:
        if self._ended is not None:
            raise RuntimeError(f"the engine has ended: {self._ended}")
        self._calls.append(call)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._run())
            self._pump.add_done_callback(self._pump_ended)

    async def _run(self) -> None:
        busy = False
        while self._calls or busy:
            self._in_hand, self._calls = self._calls, []
            turn = await asyncio.get_running_loop().run_in_executor(self._thread, self._turn, self._in_hand)
            busy = turn.busy
            for call, error in turn.outcomes:
                if error is not None and not call.future.done():
                    call.future.set_exception(error)
                elif call.answers and not call.future.done():
                    call.future.set_result(None)  # type: ignore[arg-type]
            for ticket, generated in turn.finished:
                if ticket in self._waiting and not self._waiting[ticket].done():
                    self._waiting[ticket].set_result(generated)
            await asyncio.sleep(0)

    def _turn(self, calls: Sequence[_Call]) -> _Turn:
        outcomes: list[tuple[_Call, ValueError | None]] = []
        for call in calls:
            try:
                call.run()
            except ValueError as error:
                outcomes.append((call, error))
            else:
                outcomes.append((call, None))
        finished = self._engine.step() if self._engine.busy() else ()
        return _Turn(outcomes, finished, self._engine.busy())

    def _pump_ended(self, pump: "asyncio.Task[None]") -> None:
        error = None if pump.cancelled() else pump.exception()
        if error is not None:
            self._end(f"{type(error).__name__}: {error}", error)

    def _end(self, reason: str, cause: BaseException | None = None) -> None:
        """Nobody waits for ever: every open call gets an error that says why."""
        self._ended = reason
        for future in (*self._waiting.values(), *(call.future for call in (*self._in_hand, *self._calls))):
            if not future.done():
                failure = RuntimeError(f"the engine has ended: {reason}")
                failure.__cause__ = cause
                future.set_exception(failure)
        self._calls = []
