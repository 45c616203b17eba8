"""Hostile programs in the sandbox: what each of them reaches, and what is left of it afterwards."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from sandbox.interpreter import interpreter
from sandbox.isolation import STRICT, choose, failure
from sandbox.limits import Finished, Isolation, Limits, SandboxUnavailableError
from sandbox.run import run

LEVELS = [
    pytest.param(level, marks=pytest.mark.skipif(bool(failure(level)), reason=f"{level}: {failure(level)}"), id=level) for level in STRICT
]
each_level = pytest.mark.parametrize("level", LEVELS)
SHORT = Limits(wall_s=2.0, grace_s=10.0, memory_mib=256)


def last_line(finished: Finished) -> str:
    return finished.stderr.strip().rsplit("\n", 1)[-1]


@each_level
def test_a_program_reads_its_input_and_writes_its_output(level: Isolation) -> None:
    finished = run("print(sum(map(int, input().split())), '雪')\nexit()", "1 2 3\n", isolation=level)
    assert (finished.end, finished.status, finished.stdout) == ("exited", 0, "6 雪\n")


@each_level
@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.socket()",
        "import socket; socket.create_connection(('127.0.0.1', 22))",
        "import os; os.fork()",
        "import subprocess; subprocess.run(['/bin/true'])",
        "import os; os.execv('/bin/true', ['true'])",
        "import multiprocessing; p = multiprocessing.get_context('spawn').Process(target=print); p.start()",
        "open('/etc/passwd')",
        "open('/proc/self/environ')",
        "open('/proc/1/cmdline')",
        "open('/tmp/sandbox-was-here', 'w')",
        "open('../sandbox-was-here', 'w')",
        "open('/sandbox-was-here', 'w')",
        "open('/dev/shm/sandbox-was-here', 'w')",
        "import os; os.symlink('/etc/passwd', 'link'); open('link')",
        "import os; os.link('/etc/passwd', 'link'); open('link')",
        "import os; os.listdir('/root'); os.listdir('/home'); open('/var/tmp/x', 'w')",
        "import os; os.kill(os.getppid(), 9)",
        "import os; os.chmod('/tmp', 0o777)",
        "import os; os.setuid(0)",
        "import os; os.memfd_create('x')",
        "import ctypes; assert ctypes.CDLL(None).unshare(0x10000000) == 0",
        "import ctypes; assert ctypes.CDLL(None).ptrace(16, 1, 0, 0) == 0",
        "import ctypes; assert ctypes.CDLL(None).syscall(425, 1, 0) >= 0  # io_uring_setup",
        "import resource; resource.setrlimit(resource.RLIMIT_AS, (-1, -1))",
    ],
)
def test_what_is_outside_cannot_be_reached(level: Isolation, attempt: str) -> None:
    finished = run(f"{attempt}\nprint('reached')", isolation=level, limits=SHORT)
    assert "reached" not in finished.stdout
    assert finished.status != 0
    assert not Path("/tmp/sandbox-was-here").exists()


@each_level
def test_a_file_of_this_user_and_its_environment_are_out_of_reach(
    level: Isolation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("expected outputs")
    secret.chmod(0o644)
    monkeypatch.setenv("SECRET_VARIABLE", "expected outputs")
    program = f"import os\nprint(dict(os.environ))\nprint(open({str(secret)!r}).read())"
    finished = run(program, isolation=level, limits=SHORT)
    assert "expected outputs" not in finished.stdout
    assert "SECRET_VARIABLE" not in finished.stdout
    assert last_line(finished).startswith(("PermissionError", "FileNotFoundError"))


@each_level
@pytest.mark.parametrize(
    ("program", "end"),
    [
        ("while True: pass", "timeout"),
        ("import time; time.sleep(60)", "timeout"),
        (
            "import signal\nfor n in range(1, 32):\n    try: signal.signal(n, signal.SIG_IGN)\n    except OSError: pass\nwhile True: pass",
            "timeout",
        ),
        ("input()\nwhile True: pass", "timeout"),
        ("x = bytes(1 << 30)", "memory"),
        ("while True: print('x' * 10000)", "output"),
        ("import sys\nwhile True: sys.stderr.write('x' * 10000)", "output"),
        ("for i in range(10**6): open(str(i), 'w')", "scratch"),
        ("for i in range(10**6): open(str(i), 'wb').write(bytes(1 << 20))", "scratch"),
        ("import ctypes; ctypes.string_at(0)", "killed"),
        ("import os; os._exit(0)", "exited"),
        ("import sys; sys.exit(3)", "exited"),
        ("1/0", "exited"),
        ("this is no Python", "exited"),
    ],
)
def test_a_limit_ends_a_program_and_says_which(level: Isolation, program: str, end: str) -> None:
    finished = run(program, "line\n", isolation=level, limits=SHORT)
    killed_inside = level == "bubblewrap" and end == "killed"  # bwrap gives the signal as 128 + its number
    assert finished.end == ("exited" if killed_inside else end)
    assert finished.seconds < SHORT.wall_s + SHORT.grace_s + 5
    assert len(finished.stdout) + len(finished.stderr) < 2 * SHORT.output_bytes


@each_level
def test_threads_are_allowed(level: Isolation) -> None:
    program = "import threading\nt = threading.Thread(target=lambda: print('thread'))\nt.start(); t.join()"
    assert run(program, isolation=level).stdout == "thread\n"


@each_level
def test_installed_packages_can_be_imported(level: Isolation) -> None:
    if not interpreter().packages:
        pytest.skip("the confined user may not read the packages")
    assert run("import numpy\nprint(numpy.linalg.det(numpy.eye(3)))", isolation=level).stdout == "1.0\n"


@each_level
def test_files_are_handed_in_and_the_folder_is_gone_afterwards(level: Isolation) -> None:
    finished = run(
        "import os\nopen('new', 'w').write('x')\nprint(open('given').read(), os.getcwd())", isolation=level, files={"given": b"7"}
    )
    content, folder = finished.stdout.split()
    assert content == "7"
    assert not Path(folder).exists()


@each_level
def test_no_process_and_no_descriptor_is_left(level: Isolation) -> None:
    run("pass", isolation=level)
    before = set(os.listdir("/proc/self/fd")), set(psutil.Process().children())
    for program in ("pass", "while True: pass", "import os; os._exit(1)"):
        run(program, isolation=level, limits=Limits(wall_s=0.5))
    assert (set(os.listdir("/proc/self/fd")), set(psutil.Process().children())) == before


@each_level
def test_the_program_ends_with_the_process_that_runs_it(level: Isolation) -> None:
    code = f"from sandbox.run import run, Limits\nrun('import time; time.sleep(600)', isolation={level!r}, limits=Limits(wall_s=600))"
    parent = subprocess.Popen([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    child = wait_for(lambda: descendants(parent.pid, b"import builtins"))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}/cmdline").exists() and cmdline(pid) for pid in child))


def descendants(pid: int, mark: bytes) -> list[int]:
    found, queue = [], [pid]
    while queue:
        for task in Path(f"/proc/{queue.pop()}/task").glob("*/children"):
            children = [int(child) for child in task.read_text().split()]
            queue += children
            found += [child for child in children if mark in cmdline(child)]
    return found


def cmdline(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def wait_for(condition):  # type: ignore[no-untyped-def]
    end = time.monotonic() + 30
    while not (result := condition()):
        assert time.monotonic() < end
        time.sleep(0.1)
    return result


def test_without_isolation_it_refuses_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.isolation.failure", lambda level: "not here")
    with pytest.raises(SandboxUnavailableError, match=r"no isolation here \(bubblewrap: not here; landlock: not here\).*isolation=rlimits"):
        choose()
    with pytest.raises(SandboxUnavailableError, match="isolation 'landlock' does not hold here"):
        choose("landlock")


def test_limits_alone_are_taken_only_when_asked_for(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING"):
        finished = run(
            "import os\nprint(os.path.exists('/etc/passwd'), flush=True)\nopen('/etc/passwd')\nwhile True: pass",
            isolation="rlimits",
            limits=SHORT,
        )
    assert (finished.stdout, finished.end) == ("True\n", "timeout")


def test_a_level_that_lets_something_through_is_not_trusted() -> None:
    assert "read /etc" in failure("rlimits")
