"""Grading in killable worker processes: nothing that a reward does can stop the caller, harm its neighbours or turn into a number.

    await pool.grade_many([(reward, target, transcript), ...])
        asynchronous components -> the caller's event loop, same time limit (or their own: `own_limit`)
        the others              -> batches -> a thread for each worker process (rewards/supervisor.py, rewards/worker.py)
        a batch that dies       -> its calls again, one by one, so that only the culprit pays
        a batch that is slow    -> what its worker graded in a tenth of a second; the rest in new batches, for all workers
        all components of a call -> combine -> Grade | Ungraded

The time limit of a call starts when a worker starts that call; waiting in the queue costs nothing.
"""

import asyncio
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from types import TracebackType
from typing import TypeAlias

from rewards.errors import RewardError
from rewards.forkserver import WorkerServer
from rewards.grading import Timed, grade_once, without_images
from rewards.mixture import Component, RewardSpec, check_spec, combine, spec_of
from rewards.outcome import Outcome, Ungraded
from rewards.plugins import load_plugin
from rewards.registry import BUILT_IN, Reward, find, plugin_origins
from rewards.supervisor import Supervisor, WorkerDiedError, WorkerSilentError
from rewards.transcript import Transcript
from rewards.worker import SLICE_S, Batch, Results, WorkerCall
from tasks.problem import RewardNotation, Target

Call: TypeAlias = tuple[RewardNotation | RewardSpec, Target, Transcript]
Outcomes: TypeAlias = tuple[Timed, ...]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """An outcome, and what it was made of: each component by its key in the mixture, raw, whether or not it could be graded."""

    outcome: Outcome
    components: Mapping[str, Timed]


BATCH = 64
"""Calls in a batch at the most. Built-in rewards only: a user's code might stop the timer, so each call of it is a batch of its own."""
MISSING = Timed(Ungraded("missing-target"), 0.0)
IMPORT_S = 30.0


class RewardPool:
    """Worker processes that grade. Safe to use from any thread, several event loops and Ray actors at once.

    `timeout_s` is the limit of one call; `memory_mib` what a worker may allocate above its start; `plugins` as on the command line:
    `path/to/file.py`, `path/to/file.py:name` or `package.module`. Rewards that other imports registered are known to the workers too.
    The processes start in the background; `close` (or `async with`) ends them all.
    """

    def __init__(self, workers: int = 1, timeout_s: float = 10.0, memory_mib: int = 1024, plugins: Sequence[str] = ()) -> None:
        if workers < 1 or timeout_s <= 0 or memory_mib < 1:
            raise RewardError(f"workers={workers}, timeout_s={timeout_s}, memory_mib={memory_mib}: each must be above 0")
        for plugin in plugins:
            load_plugin(plugin)
        self._workers, self._timeout_s = workers, timeout_s
        self._loaded = plugin_origins()
        self._server = WorkerServer()
        self._supervisors = tuple(Supervisor(self._server, memory_mib, self._loaded) for _ in range(workers))
        self._idle: SimpleQueue[Supervisor] = SimpleQueue()
        for supervisor in self._supervisors:
            self._idle.put(supervisor)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="reward-worker")
        self._lock = threading.Lock()
        self._closed = False

    async def __aenter__(self) -> "RewardPool":
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Ends every process; calls in flight come back `Ungraded("closed")`."""
        with self._lock:
            self._closed = True
        for supervisor in self._supervisors:
            supervisor.stop()
        self._threads.shutdown()
        for supervisor in self._supervisors:
            supervisor.join()
        self._server.close()

    async def grade(self, reward: RewardNotation | RewardSpec, target: Target, transcript: Transcript) -> Outcome:
        return (await self.grade_many([(reward, target, transcript)]))[0]

    async def grade_many(self, calls: Sequence[Call]) -> list[Outcome]:
        """The outcomes, in order. Raises `RewardError` for an unknown reward or setting, and for a target that a reward does not grade."""
        return [breakdown.outcome for breakdown in await self.break_down(calls)]

    async def break_down(self, calls: Sequence[Call]) -> list[Breakdown]:
        """As `grade_many`, with what every component said and how long it took."""
        plans: dict[tuple[int, type], _Plan] = {}
        planned = [(_plan(reward, target, plans), target, transcript) for reward, target, transcript in calls]
        for_workers = [(plan, plan.worker_call(target, seen)) for plan, target, seen in planned if plan.has_sync]
        in_loop = asyncio.gather(*(plan.in_loop(target, seen, self._timeout_s) for plan, target, seen in planned if plan.has_async))
        workers, loop = map(iter, await asyncio.gather(self._in_workers(for_workers), in_loop))
        return [plan.combined(next(workers) if plan.has_sync else (), next(loop) if plan.has_async else ()) for plan, _, _ in planned]

    def grade_all(self, calls: Sequence[Call]) -> list[Outcome]:
        """`grade_many` for code without an event loop: scripts and plain threads."""
        return asyncio.run(self.grade_many(calls))

    async def _in_workers(self, calls: Sequence[tuple["_Plan", WorkerCall]]) -> list[Outcomes]:
        size = self._share(len(calls))
        batches: list[list[WorkerCall]] = []
        open_to_more = False
        for plan, call in calls:
            if open_to_more and plan.is_built_in and len(batches[-1]) < size:
                batches[-1].append(call)
            else:
                batches.append([call])
            open_to_more = plan.is_built_in
        return await self._run_all([tuple(batch) for batch in batches])

    async def _run_all(self, batches: Iterable[Batch]) -> list[Outcomes]:
        return [outcomes for results in await asyncio.gather(*map(self._run, batches)) for outcomes in results]

    async def _run(self, batch: Batch, *, again: bool = False) -> list[Outcomes]:
        try:
            done = list(await self._in_thread(batch))
        except (WorkerDiedError, WorkerSilentError) as error:
            if self._closed:
                return [_all(call, Timed(Ungraded("closed", "before the call was graded"), None)) for call in batch]
            if len(batch) > 1:
                return await self._run_all((call,) for call in batch)
            if not again and _may_be_blameless(error):
                return await self._run(batch, again=True)
            return [_all(batch[0], self._ungraded(error))]
        rest = batch[len(done) :]
        size = self._share(len(rest))
        return done + await self._run_all(rest[start : start + size] for start in range(0, len(rest), size))

    def _share(self, num_calls: int) -> int:
        """Calls in a batch where so many are to be graded by all workers."""
        return max(1, min(BATCH, -(-num_calls // self._workers)))

    async def _in_thread(self, batch: Batch) -> Results:
        """A cancelled call gives its worker back at once."""
        with self._lock:
            if self._closed:
                raise WorkerDiedError(0)
            future = self._threads.submit(self._work, batch)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            for supervisor in self._supervisors:
                supervisor.kill(batch)
            raise

    def _work(self, batch: Batch) -> Results:
        """Runs in one of as many threads as there are supervisors, so that one of these is always idle."""
        kinds = {id(call.components): call.components for call in batch}.values()
        names = {(origin, name) for components in kinds for origin, name, _ in components}
        imports = any(find(name).imports or (origin not in self._loaded and name not in BUILT_IN) for origin, name in names)
        limit_s = self._timeout_s + (SLICE_S if len(batch) > 1 else 0.0) + (IMPORT_S if imports else 0.0)
        supervisor = self._idle.get()
        try:
            return supervisor.run(batch, self._timeout_s, limit_s)
        finally:
            self._idle.put(supervisor)

    def _ungraded(self, error: WorkerDiedError | WorkerSilentError) -> Timed:
        if isinstance(error, WorkerSilentError) or error.exitcode == -signal.SIGALRM:
            return Timed(Ungraded("timeout", f"over {self._timeout_s:g} s"), self._timeout_s)
        return Timed(Ungraded("crash", str(error)), None)


def _may_be_blameless(error: WorkerDiedError | WorkerSilentError) -> bool:
    """On a machine too busy to give it a turn; or killed from outside, perhaps for another's memory."""
    return error.starved if isinstance(error, WorkerSilentError) else error.exitcode == -signal.SIGKILL


class _Plan:
    """How the calls of one mixture on one kind of target are graded: their rewards looked up once, split between workers and event loop.

    Components that cannot grade this kind of target say `missing-target` without being called.
    """

    def __init__(self, notation: RewardNotation | RewardSpec, target: Target) -> None:
        spec = spec_of(notation)
        entries = check_spec(spec, target)
        self._notation, self._spec = notation, spec
        graded = [pair for pair in zip(entries, spec.components, strict=True) if pair[0].can_grade(target)]
        self._loop = [(entry, component) for entry, component in graded if entry.is_async]
        worker = [(entry, component) for entry, component in graded if not entry.is_async]
        self._worker = tuple((entry.origin, entry.name, component.settings) for entry, component in worker)
        self._with_images = any(entry.images for entry, _ in worker)
        self._keys = [component.key for _, component in (*worker, *self._loop)]
        self._missing = {component.key: MISSING for component in spec.components}
        self.has_sync, self.has_async = bool(worker), bool(self._loop)
        self.is_built_in = all(entry.name in BUILT_IN for entry, _ in worker)

    def worker_call(self, target: Target, transcript: Transcript) -> WorkerCall:
        return WorkerCall(self._worker, target, transcript if self._with_images else without_images(transcript))

    async def in_loop(self, target: Target, transcript: Transcript, timeout_s: float) -> Outcomes:
        return tuple(await asyncio.gather(*(_in_time(e, c, target, transcript, timeout_s) for e, c in self._loop)))

    def combined(self, from_workers: Outcomes, from_loop: Outcomes) -> Breakdown:
        timings = self._missing | dict(zip(self._keys, (*from_workers, *from_loop), strict=True))
        return Breakdown(combine(self._spec, tuple([timed.outcome for timed in timings.values()])), timings)


def _plan(reward: RewardNotation | RewardSpec, target: Target, plans: dict[tuple[int, type], _Plan]) -> _Plan:
    """From `plans`, by what object the notation is: a plan holds its own, so that no other has its identity."""
    key = id(reward), type(target)
    if key not in plans:
        plans[key] = _Plan(reward, target)
    return plans[key]


async def _in_time(entry: Reward, component: Component, target: Target, transcript: Transcript, timeout_s: float) -> Timed:
    started = time.perf_counter()
    outcome = await grade_once(entry, component.settings, target, transcript, None if entry.own_limit else timeout_s)
    return Timed(outcome, time.perf_counter() - started)


def _all(call: WorkerCall, outcome: Timed) -> Outcomes:
    return tuple(outcome for _ in call.components)
