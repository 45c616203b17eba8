"""Where worker processes come from: a server process that has imported sympy once and forks them in milliseconds.

multiprocessing's fork server, with two departures. The server is ours alone, so that it preloads what the verifiers need and ends with the
pool. And workers never import the caller's `__main__` (a script without a main guard would run again in each of them).
"""

import io
import os
from multiprocessing import context, forkserver, popen_forkserver, process, reduction, spawn, util

PRELOAD = ["rewards.preload"]


class WorkerServer:
    """The server process and the context that starts workers from it. `close` ends the server; its workers must have ended before."""

    def __init__(self) -> None:
        self._server = forkserver.ForkServer()
        self._server.set_forkserver_preload(PRELOAD)
        self._server.ensure_running()
        self.context = _Context(self._server)

    def close(self) -> None:
        self._server._stop()  # type: ignore[attr-defined]


class _Popen(popen_forkserver.Popen):
    def __init__(self, process_obj: "_Process") -> None:
        self._server = process_obj.server
        self._fds: list[int] = []
        super().__init__(process_obj)

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

    @property
    def exitcode(self) -> int | None:
        """As usual, but a worker that leaves with status 0 in the middle of a call has crashed too; pebble takes 0 for a good end."""
        code = super().exitcode
        return EXIT_0 if code == 0 else code

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, ({key: value for key, value in self.__dict__.items() if key != "server"},)


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


EXIT_0 = 256


def _rebuild(state: dict[str, object]) -> _Process:
    instance = _Process.__new__(_Process)
    instance.__dict__.update(state)
    return instance


class _Context(context.ForkServerContext):
    _name = "forkserver"

    def __init__(self, server: forkserver.ForkServer) -> None:
        self._server = server

    def get_context(self, method: str | None = None) -> "_Context":  # type: ignore[override]
        return self

    def Process(self, *args: object, **kwargs: object) -> _Process:  # type: ignore[override]
        instance = _Process(*args, **kwargs)  # type: ignore[arg-type]
        instance.server = self._server
        return instance
