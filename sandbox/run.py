"""A program from start to end, with what it wrote."""

import os
import selectors
import subprocess
import time
from dataclasses import dataclass, field

from sandbox.isolation import choose
from sandbox.limits import End, Finished, Isolation, Limits
from sandbox.process import Confined

LOOK_S = 0.05
"""How often the scratch folder is measured."""
CHUNK = 1 << 16


def run(
    program: str,
    stdin: str = "",
    *,
    limits: Limits | None = None,
    isolation: Isolation = "auto",
    files: dict[str, bytes] | None = None,
) -> Finished:
    """Runs Python source confined, and gives how it ended and what it wrote; `files` stand in its working folder.

    Blocks for at most `limits.wall_s + limits.grace_s` and a moment. Raises `SandboxUnavailableError` when this machine cannot confine it
    as asked.
    """
    limits = limits or Limits()
    level = choose(isolation)
    pipes = [subprocess.PIPE] * 3
    start = time.monotonic()
    with Confined(program, level, limits, stdin=pipes[0], stdout=pipes[1], stderr=pipes[2], files=files) as confined:
        with _Watch(confined, stdin.encode("utf-8", "replace"), limits, start + limits.wall_s) as watch:
            end = watch.until_end()
        confined.kill()
        status = confined.process.returncode
    stdout, stderr = (bytes(watch.written[name]).decode("utf-8", "replace") for name in ("stdout", "stderr"))
    return Finished(_named(end, status, stderr), status, stdout, stderr, time.monotonic() - start)


def _named(end: End, status: int, stderr: str) -> End:
    if end == "exited" and status:
        lines = stderr.rstrip().rsplit("\n", 1)
        return "memory" if lines[-1].startswith("MemoryError") else "killed" if status < 0 else end
    return end


@dataclass
class _Watch:
    """Feeds the program and reads it until it ends or breaks a limit."""

    confined: Confined
    stdin: bytes
    limits: Limits
    deadline: float
    written: dict[str, bytearray] = field(default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()})

    def __enter__(self) -> "_Watch":
        process = self.confined.process
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._ended = os.pidfd_open(process.pid)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._ended, selectors.EVENT_READ, "end")
        for name, stream in (("stdout", process.stdout), ("stderr", process.stderr), ("stdin", process.stdin)):
            os.set_blocking(stream.fileno(), False)
            self._selector.register(stream, selectors.EVENT_WRITE if name == "stdin" else selectors.EVENT_READ, name)
        return self

    def __exit__(self, *_: object) -> None:
        self._selector.close()
        os.close(self._ended)
        process = self.confined.process
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream:
                try:
                    stream.close()
                except BrokenPipeError:
                    continue

    def until_end(self) -> End:
        measured = time.monotonic()
        while True:
            left = self.deadline - time.monotonic()
            names = {key.data for key, _ in self._selector.select(LOOK_S if left <= 0 else min(left, LOOK_S))}
            for name in sorted(names - {"end"}):
                self._feed() if name == "stdin" else self._read(name)
            if sum(map(len, self.written.values())) > self.limits.output_bytes:
                return "output"
            if "end" in names and names <= {"end", "stdin"}:
                return "exited"  # nothing is left in its pipes: no process that it left behind is waited for
            now = time.monotonic()
            if now - measured >= LOOK_S:
                measured = now
                if self.confined.over_scratch():
                    return "scratch"
            if now >= self.deadline and (now >= self.deadline + self.limits.grace_s or self.confined.had_its_time()):
                return "timeout"

    def _feed(self) -> None:
        stream = self.confined.process.stdin
        assert stream
        try:
            sent = os.write(stream.fileno(), self.stdin[:CHUNK]) if self.stdin else 0
        except BrokenPipeError:
            self.stdin = b""
        else:
            self.stdin = self.stdin[sent:]
        if not self.stdin:
            self._selector.unregister(stream)
            stream.close()

    def _read(self, name: str) -> None:
        stream = getattr(self.confined.process, name)
        chunk = os.read(stream.fileno(), CHUNK)
        self.written[name] += chunk
        if not chunk:
            self._selector.unregister(stream)
