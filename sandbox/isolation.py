"""Which isolation holds on this machine: each is tried with a hostile program before it is trusted."""

import functools
import json
import logging
import os
import shutil
import subprocess
from collections.abc import Mapping

from sandbox.interpreter import interpreter
from sandbox.limits import Isolation, Limits, SandboxUnavailableError
from sandbox.process import Confined

STRICT: tuple[Isolation, ...] = ("bubblewrap", "landlock")
"""Strongest first. `auto` takes the first that holds and refuses when none does."""
PROBE_S = 20.0

_logger = logging.getLogger(__name__)

# What confined code must not be able to do; prints what it could.
PROBE = """
import json, os, socket
open("own", "w").write("x")
could = []
def attempt(name, action):
    try:
        action()
    except (OSError, BlockingIOError):
        return
    could.append(name)
attempt("read a file outside", lambda: open(DATA["secret"]).read())
attempt("read /etc", lambda: os.listdir("/etc") and open("/etc/passwd").read())
attempt("read the environment of another process", lambda: open("/proc/%d/environ" % os.getppid()).read())
attempt("write a file outside", lambda: open(DATA["outside"], "w"))
attempt("write beside its scratch folder", lambda: open("../sandbox-probe", "w"))
attempt("write to /dev/shm", lambda: open("/dev/shm/sandbox-probe", "w"))
attempt("open a socket", lambda: socket.socket())
attempt("start a process", lambda: os.fork() or os._exit(0))
attempt("run a program", lambda: os.posix_spawn("/bin/true", ["true"], {}))
attempt("signal a process", lambda: os.kill(os.getppid(), 0))
attempt("become another user", lambda: os.setuid(0))
print(json.dumps(could))
"""


def choose(isolation: Isolation = "auto") -> Isolation:
    """The isolation to run under. Raises `SandboxUnavailableError` for one that does not hold here, and for `auto` when none does."""
    if isolation == "rlimits":
        _say("rlimits", logging.WARNING)
        return isolation
    for level in STRICT if isolation == "auto" else (isolation,):
        if level in STRICT and not failure(level):
            _say(level, logging.INFO)
            return level
    reasons = "; ".join(f"{level}: {failure(level)}" for level in STRICT)
    asked = "no isolation" if isolation == "auto" else f"isolation {isolation!r} does not hold"
    raise SandboxUnavailableError(
        f"{asked} here ({reasons}). Install bubblewrap or libseccomp2 on a kernel with Landlock, or accept code that can read and write "
        "this user's files with isolation=rlimits"
    )


def report() -> Mapping[Isolation, str]:
    """Why each isolation does not hold here; empty for one that does."""
    return {level: failure(level) for level in STRICT}


@functools.cache
def failure(level: Isolation) -> str:
    """What a hostile program could do under this isolation, or why it did not start; empty when it holds."""
    if level == "bubblewrap" and shutil.which("bwrap") is None:
        return "bwrap is not installed"
    reading, writing = os.pipe()
    try:
        data = {"secret": __file__, "outside": "/var/tmp/sandbox-probe"}
        with Confined(PROBE, level, Limits(), stdin=subprocess.DEVNULL, stdout=writing, stderr=writing, data=data) as confined:
            os.close(writing)
            writing = -1
            confined.process.wait(PROBE_S)
            text = os.read(reading, 1 << 16).decode("utf-8", "replace")
    except (OSError, ImportError, SandboxUnavailableError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)
    try:
        could = json.loads(text)
    except ValueError:
        return f"it does not start: {text.strip()[-300:]}"
    return f"code in it can {', '.join(could)}" if could else ""


@functools.cache
def _say(level: Isolation, importance: int) -> None:
    python = interpreter()
    user = "this user" if python.uid is None else f"uid {python.uid}"
    _logger.log(importance, "confined code runs under %s as %s on %s", level, user, python.path)
