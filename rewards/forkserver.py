"""Where worker processes come from: a server process that has imported sympy once and forks them in milliseconds.

multiprocessing's fork server, with two departures. The server is ours alone, so that it preloads what the verifiers need and ends with the
pool. And workers never import the caller's `__main__` (a script without a main guard would run again in each of them).
"""

import io
import os
import threading
from collections.abc import Callable
from multiprocessing import context, forkserver, popen_forkserver, process, reduction, spawn, util

PRELOAD = ["rewards.preload"]


class WorkerServer:
    """The server process. `close` ends it; its workers must have ended before."""

    def __init__(self) -> None:
        self._server = forkserver.ForkServer()
        self._server.set_forkserver_preload(PRELOAD)
        self._server.ensure_running()

    def start(self, target: Callable[..., None], args: tuple[object, ...]) -> process.BaseProcess:
        """A new process that runs `target(*args)`. It is killed when this program exits without having ended it."""
        worker = _Process(target=target, args=args, daemon=True)
        worker.server = self._server
        worker.start()
        return worker

    def close(self) -> None:
        self._server._stop()  # type: ignore[attr-defined]


class _Popen(popen_forkserver.Popen):
    def __init__(self, process_obj: "_Process") -> None:
        self._server = process_obj.server
        self._polling = threading.Lock()
        self._fds: list[int] = []
        super().__init__(process_obj)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """As usual, but for one thread at a time: the status can be read once, and every start of a process polls all the others."""
        with self._polling:
            return super().poll(flag)

    def _launch(self, process_obj: "_Process") -> None:
        preparation = spawn.get_preparation_data(process_obj.name)
        for key in ("init_main_from_name", "init_main_from_path"):
            preparation.pop(key, None)
        buffer = io.BytesIO()
        context.set_spawning_popen(self)
        try:
            reduction.dump(preparation, buffer)
            reduction.dump(process_obj, buffer)
        finally:
            context.set_spawning_popen(None)
        self.sentinel, writer = self._server.connect_to_new_process(self._fds)
        parent_writer = os.dup(writer)  # the child sees by it that this process has ended
        self.finalizer = util.Finalize(self, _close, (parent_writer, self.sentinel))
        with open(writer, "wb", closefd=True) as pipe:
            pipe.write(buffer.getbuffer())
        self.pid = forkserver.read_signed(self.sentinel)


class _Process(process.BaseProcess):
    _start_method = "forkserver"
    server: forkserver.ForkServer

    @staticmethod
    def _Popen(process_obj: "_Process") -> _Popen:
        return _Popen(process_obj)

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, ({key: value for key, value in self.__dict__.items() if key != "server"},)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _rebuild(state: dict[str, object]) -> _Process:
    instance = _Process.__new__(_Process)
    instance.__dict__.update(state)
    return instance
