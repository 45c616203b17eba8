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


@dataclass(frozen=True, slots=True)
class WorkerCall:
    """All components of one grading that a worker runs: (origin, reward name, settings) each. They share one time limit."""

    components: tuple[tuple[Origin, str, Mapping[str, Json]], ...]
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
    """The outcomes of each call's components. A call over its limit ends the process by SIGALRM, whose default action nothing can delay."""
    return tuple(_run(call, timeout_s) for call in batch)


def _run(call: WorkerCall, timeout_s: float) -> tuple[Timed, ...]:
    try:
        for origin, _, _ in call.components:
            load_origin(origin)
        entries = [(find(name), settings) for _, name, settings in call.components]
        for module in {module for entry, _ in entries for module in entry.imports}:
            importlib.import_module(module)
    except (RewardError, ImportError) as error:
        return tuple(Timed(Ungraded("plug-in", str(error)), 0.0) for _ in call.components)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, timeout_s)
    try:
        return tuple(_timed(entry, settings, call) for entry, settings in entries)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


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
