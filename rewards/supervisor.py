"""One worker process and its life: started when first needed, given one batch at a time, killed when over its limit, replaced when dead.

A pipe and a process of the standard library, and nothing shared between workers. So the end of a worker is the end of its pipe: seen at
once, told apart from slowness, and charged to the one batch that it had. (pebble's pool has one channel for all: a worker that dies before
the pool has read which task it took breaks the pool, and what was queued never comes back.)
"""

import pickle
import threading
from multiprocessing.connection import Connection, Pipe
from multiprocessing.process import BaseProcess

import psutil

from rewards.forkserver import WorkerServer
from rewards.pickling import dumps
from rewards.worker import READY, Batch, Results, serve
from tasks.plugins import Origin

START_S = 60.0
"""For a worker to start, plug-ins imported, on the busiest machine. No call is waiting for its own limit meanwhile."""
BACKSTOP_S = 0.5
"""How long a worker may be silent when its timer is due. Reached by code that stops the timer, and on a machine so busy that the worker
had no turn."""
TURN_S = 0.05


class WorkerSilentError(Exception):
    """The worker gave no answer in time. `starved`: it waited for the processor, so that its timer could not end it."""

    def __init__(self, starved: bool) -> None:
        super().__init__("the worker was silent beyond its time limit")
        self.starved = starved


class WorkerDiedError(Exception):
    """The worker ended in the middle of a batch, by `exitcode` (of multiprocessing: -signal), or because the supervisor was stopped."""

    def __init__(self, exitcode: int) -> None:
        super().__init__(f"the worker was killed by signal {-exitcode}" if exitcode < 0 else f"the worker left with status {exitcode}")
        self.exitcode = exitcode


class Supervisor:
    """`run` is called by one thread at a time, `kill` and `stop` by any."""

    def __init__(self, server: WorkerServer, memory_mib: int, origins: tuple[Origin, ...]) -> None:
        self._server, self._settings = server, (memory_mib, origins)
        self._lock = threading.Lock()
        self._stopped = False
        self._batch: Batch | None = None
        self._worker: tuple[BaseProcess, Connection] | None = None

    def run(self, batch: Batch, timeout_s: float, limit_s: float) -> Results:
        """The outcomes of each call, each within `timeout_s` by the worker's own timer, and all within `limit_s`.

        Raises `WorkerSilentError` without an answer `BACKSTOP_S` after that, and `WorkerDiedError`. The next batch gets a new worker then.
        """
        message = dumps((batch, timeout_s))
        process, connection = self._started(batch)
        results: Results | None = None
        starved = False
        try:
            connection.send_bytes(message)
            answered = connection.poll(limit_s)
            if not answered:
                starved = _waits_for_the_processor(process.pid, connection)
            if answered or connection.poll():
                results = pickle.loads(connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise WorkerDiedError(self._bury()) from error
        finally:
            with self._lock:
                self._batch = None
        if results is None:
            self._bury()
            raise WorkerSilentError(starved)
        return results

    def kill(self, batch: Batch) -> None:
        """Ends that very batch, if it is in hand, by `WorkerDiedError`."""
        with self._lock:
            if self._worker is not None and self._batch is batch:
                self._worker[0].kill()

    def stop(self) -> None:
        """Ends the process for good; `join` waits for it."""
        with self._lock:
            self._stopped = True
            if self._worker is not None:
                self._worker[0].kill()

    def join(self) -> None:
        """Returns when no process is left. After `stop`, and when no thread is in `run`."""
        if self._worker is not None:
            self._bury()

    def _started(self, batch: Batch) -> tuple[BaseProcess, Connection]:
        if self._worker is not None and not self._worker[0].is_alive():
            self._bury()  # killed from outside while idle
        with self._lock:
            if self._stopped:
                raise WorkerDiedError(0)
            self._batch = batch
            if self._worker is not None:
                return self._worker
            connection, theirs = Pipe()
            process = self._server.start(serve, (theirs, *self._settings))
            theirs.close()
            self._worker = process, connection
        if not _is_ready(connection):
            raise WorkerDiedError(self._bury())
        return process, connection

    def _bury(self) -> int:
        """Returns the exit code of the process, which has ended by then, with nothing of it left open."""
        with self._lock:
            assert self._worker is not None, "no worker to bury"
            process, connection = self._worker
            self._worker = None
            process.kill()
            process.join()
            connection.close()
            exitcode = process.exitcode or 0
            process.close()
            return exitcode


def _waits_for_the_processor(pid: int | None, connection: Connection) -> bool:
    """Whether a worker that does not answer for `BACKSTOP_S` longer was ready to run meanwhile and hardly did."""
    try:
        worker = psutil.Process(pid)
        before = sum(worker.cpu_times()[:2])
        if connection.poll(BACKSTOP_S):
            return False
        ready = worker.status() in (psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP)
        return ready and sum(worker.cpu_times()[:2]) - before < TURN_S
    except psutil.NoSuchProcess:
        return False


def _is_ready(connection: Connection) -> bool:
    try:
        return connection.poll(START_S) and connection.recv() == READY
    except (EOFError, OSError):
        return False
