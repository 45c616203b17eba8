"""The Python that confined code runs on: one that an unprivileged user may read, with the folders that it needs."""

import functools
import json
import os
import stat
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from sandbox.limits import SandboxUnavailableError

NOBODY = 65534
SYSTEM = ("/etc/ld.so.cache", "/etc/localtime", "/usr/share/zoneinfo", "/dev/null", "/dev/zero", "/dev/random", "/dev/urandom")


@dataclass(frozen=True, slots=True)
class Interpreter:
    """`readable`: its standard library, the system's shared libraries, and the packages installed beside this project.

    `packages` is their folder, empty where another version of Python made them or the user may not read them. `uid`: whom it runs as, None
    for the user of this process.
    """

    path: str
    readable: tuple[str, ...]
    packages: str
    uid: int | None


@functools.cache
def interpreter() -> Interpreter:
    """This Python if the confined user may read it, else the system's. Raises `SandboxUnavailableError` when there is none."""
    uid = NOBODY if os.geteuid() == 0 else None
    own = os.path.realpath(sys.executable)
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = dict.fromkeys([own, *(f"{folder}/{name}" for name in (version, "python3") for folder in ("/usr/bin", "/usr/local/bin"))])
    for candidate in candidates:
        if os.path.exists(candidate) and (uid is None or _open_to_all(candidate)):
            made_for, folders = _version_and_folders(candidate)
            if uid is None or all(_open_to_all(folder) for folder in folders):
                packages = sysconfig.get_path("purelib")
                if made_for != version or not (uid is None or _open_to_all(packages)):
                    packages = ""
                readable = (*folders, *_shared_libraries(), *SYSTEM, *([packages] if packages else []))
                return Interpreter(candidate, readable, packages, uid)
    raise SandboxUnavailableError(
        f"this process is root and runs confined code as uid {NOBODY}, which may read none of {', '.join(candidates)}; "
        f"install one (Debian: apt-get install python3)"
    )


def _version_and_folders(path: str) -> tuple[str, tuple[str, ...]]:
    """`python3.11`, and where its standard library stands."""
    code = (
        "import json, sys, sysconfig; "
        "print(json.dumps(['python%d.%d' % sys.version_info[:2], *map(sysconfig.get_path, ('stdlib', 'platstdlib'))]))"
    )
    result = subprocess.run([path, "-I", "-S", "-c", code], capture_output=True, text=True, check=True)
    version, *folders = json.loads(result.stdout)
    return version, tuple(dict.fromkeys(os.path.realpath(folder) for folder in folders))


def _shared_libraries() -> tuple[str, ...]:
    multiarch = sysconfig.get_config_var("MULTIARCH") or ""
    folders = [folder for name in ("/lib", "/usr/lib") for folder in (f"{name}/{multiarch}",) if multiarch and os.path.isdir(folder)]
    return tuple(dict.fromkeys(os.path.realpath(folder) for folder in (*folders, "/lib64", "/usr/lib64") if os.path.isdir(folder)))


def _open_to_all(path: str) -> bool:
    """Whether everybody may read it and pass every folder above it."""
    above = all(os.stat(folder).st_mode & stat.S_IXOTH for folder in Path(path).parents)
    return bool(above and os.stat(path).st_mode & stat.S_IROTH)
