"""What runs inside a worker process: limits at its start, then batches of calls, each under its own timer."""

import importlib
import pickle
import resource
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TypeAlias

from rewards.errors import RewardError
from rewards.grading import Timed, finish, grade_once
from rewards.outcome import Ungraded
from rewards.pickling import dumps
from rewards.plugins import load_origin
from rewards.registry import Reward, find
from rewards.transcript import Transcript
from tasks.message import Json
from tasks.plugins import Origin
from tasks.problem import Target

MIB = 1 << 20
SLICE_S = 0.1
"""A worker goes on to the next call of a batch for so long, and then gives back what it has: slow calls hold up no others."""
Components: TypeAlias = tuple[tuple[Origin, str, Mapping[str, Json]], ...]


@dataclass(frozen=True, slots=True)
class WorkerCall:
    """All components of one grading that a worker runs: (origin, reward name, settings) each. They share one time limit."""

    components: Components
    target: Target
    transcript: Transcript


Batch: TypeAlias = tuple[WorkerCall, ...]
Results: TypeAlias = tuple[tuple[Timed, ...], ...]
READY = "ready"


def serve(connection: Connection, memory_mib: int, origins: tuple[Origin, ...]) -> None:
    """Answers batches until the other end of the pipe is closed, be it because the program that graded has died."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _prepare(memory_mib, origins)
    try:
        connection.send(READY)
        while True:
            batch, timeout_s = pickle.loads(connection.recv_bytes())
            connection.send_bytes(dumps(run_batch(batch, timeout_s)))
    except (EOFError, BrokenPipeError):
        return


def _prepare(memory_mib: int, origins: tuple[Origin, ...]) -> None:
    """Loads the plug-ins, then forbids the process to grow by more than `memory_mib`."""
    for origin in origins:
        try:
            load_origin(origin)
        except RewardError:
            continue  # the call that needs it will say so
    limit = _data_bytes() + memory_mib * MIB
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run_batch(batch: Batch, timeout_s: float) -> Results:
    """The outcomes of each component of the first calls: of all that could start within `SLICE_S`, and of one at least.

    A call over its limit ends the process by SIGALRM, whose default action nothing can delay.
    """
    kinds = {id(call.components): call.components for call in batch}
    entries = {kind: _entries(components) for kind, components in kinds.items()}
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    results: list[tuple[Timed, ...]] = []
    end = time.perf_counter() + SLICE_S
    try:
        for call in batch:
            signal.setitimer(signal.ITIMER_REAL, timeout_s)
            results.append(_run(call, entries[id(call.components)]))
            if time.perf_counter() > end:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return tuple(results)


def _entries(components: Components) -> list[tuple[Reward, Mapping[str, Json]]] | Ungraded:
    """The rewards with their settings, and everything imported that they need."""
    try:
        for origin, _, _ in components:
            load_origin(origin)
        entries = [(find(name), settings) for _, name, settings in components]
        for module in {module for entry, _ in entries for module in entry.imports}:
            importlib.import_module(module)
    except (RewardError, ImportError) as error:
        return Ungraded("plug-in", str(error))
    return entries


def _run(call: WorkerCall, entries: list[tuple[Reward, Mapping[str, Json]]] | Ungraded) -> tuple[Timed, ...]:
    if isinstance(entries, Ungraded):
        return tuple(Timed(entries, 0.0) for _ in call.components)
    return tuple([_timed(entry, settings, call) for entry, settings in entries])


def _timed(entry: Reward, settings: Mapping[str, Json], call: WorkerCall) -> Timed:
    started = time.perf_counter()
    outcome = finish(grade_once(entry, settings, call.target, call.transcript))
    return Timed(outcome, time.perf_counter() - started)


def _data_bytes() -> int:
    """Private writable memory of this process: what RLIMIT_DATA counts. 0 where there is no /proc."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    line = next(line for line in status.read_text().splitlines() if line.startswith("VmData:"))
    return int(line.split()[1]) * 1024
