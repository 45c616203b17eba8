"""Runs inside the sandbox, as `python -I -S -c <this file> <fd of the job>`: gives up every right, then runs the program of the job.

Standard library only, and nothing of this project: the process sees neither its files nor its environment.
"""

import builtins
import ctypes
import json
import os
import resource
import sys
import types

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, SIGKILL = 1, 38, 22, 2, 9
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
READ = 1 << 2 | 1 << 3
FILE_RIGHTS = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14


def main() -> None:
    with open(int(sys.argv[1]), encoding="utf-8", errors="surrogatepass") as file:
        job = json.load(file)
    os.chdir(job["scratch"])
    for name, value in job["rlimits"].items():
        kind = getattr(resource, name)
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))
    if job["uid"] is not None:
        os.setgroups([])
        os.setresgid(job["uid"], job["uid"], job["uid"])
        os.setresuid(job["uid"], job["uid"], job["uid"])
    libc = ctypes.CDLL(None, use_errno=True)
    if job["parent"] is not None:
        check(libc.prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "PR_SET_PDEATHSIG")
        if os.getppid() != job["parent"]:
            sys.exit("the parent has ended")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS")
    if job["landlock"]:
        restrict_files(libc, job["readable"], job["scratch"])
    if job["filter"]:
        install_filter(libc, bytes.fromhex(job["filter"]))
    if job["packages"]:
        sys.path.append(job["packages"])
    run(job["program"], job["data"])


def restrict_files(libc: ctypes.CDLL, readable: "list[str]", scratch: str) -> None:
    """Landlock: reads below `readable`, reads and writes below `scratch`, nothing else; no TCP, no signals or sockets to the outside."""
    abi = libc.syscall(LANDLOCK_CREATE, None, 0, 1)
    every = (1 << 13) - 1 | (1 << 13 if abi >= 2 else 0) | (1 << 14 if abi >= 3 else 0) | (1 << 15 if abi >= 5 else 0)
    words = [every, 3 if abi >= 4 else 0, 3 if abi >= 6 else 0][: 3 if abi >= 6 else 2 if abi >= 4 else 1]
    attributes = (ctypes.c_uint64 * len(words))(*words)
    ruleset = check(libc.syscall(LANDLOCK_CREATE, attributes, ctypes.c_size_t(ctypes.sizeof(attributes)), 0), "landlock")
    for path, rights in [*((path, READ) for path in readable), (scratch, every & ~1), ("/dev/null", 1 << 1 | 1 << 2)]:
        if not os.path.exists(path):
            continue
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
        if not os.path.isdir(path):
            rights &= FILE_RIGHTS
        rule = (ctypes.c_byte * 12)(*(rights & every).to_bytes(8, sys.byteorder), *place.to_bytes(4, sys.byteorder))
        check(libc.syscall(LANDLOCK_ADD, ruleset, 1, rule, 0), f"landlock {path}")
        os.close(place)
    check(libc.syscall(LANDLOCK_RESTRICT, ruleset, 0), "landlock")
    os.close(ruleset)


def install_filter(libc: ctypes.CDLL, code: bytes) -> None:
    """A seccomp program as the kernel reads it, 8 bytes an instruction."""

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))

    program = Program(len(code) // 8, code)
    check(libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0), "seccomp")


def check(result: int, what: str) -> int:
    if result < 0:
        sys.exit(f"{what}: {os.strerror(ctypes.get_errno())}")
    return result


def run(program: str, data: object) -> None:
    """Runs the program as `__main__`; `DATA` is there for programs of ours."""
    for name in ("exit", "quit"):  # without `site` there is neither
        setattr(builtins, name, sys.exit)
    module = types.ModuleType("__main__")
    if data is not None:
        module.__dict__["DATA"] = data
    sys.dont_write_bytecode = True
    sys.argv = ["answer.py"]
    sys.modules["__main__"] = module
    source = program.encode("utf-8", "replace").decode()
    code = compile(source, "answer.py", "exec", dont_inherit=True)
    exec(code, module.__dict__)


main()
