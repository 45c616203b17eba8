"""One confined process: started under an isolation, killed with all its threads, its scratch folder removed."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
from importlib import resources
from pathlib import Path
from types import TracebackType

from sandbox.interpreter import Interpreter, interpreter
from sandbox.limits import Isolation, Limits
from sandbox.syscalls import seccomp_filter

MIB = 1 << 20
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONHASHSEED": "0", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
INSIDE = resources.files("sandbox").joinpath("inside.py").read_text()


class Confined:
    """A running program, and its scratch folder until `close`. `isolation` is one that holds here: see `sandbox.isolation.choose`.

    Standard input, output and error are file descriptors, as for `subprocess.Popen`; `files` stand in the scratch folder from the start;
    `data` is the program's global `DATA`; `pass_fds` stay open in it.
    """

    def __init__(
        self,
        program: str,
        isolation: Isolation,
        limits: Limits,
        *,
        stdin: int,
        stdout: int,
        stderr: int,
        data: object = None,
        files: "dict[str, bytes] | None" = None,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        assert isolation != "auto", "choose() says which isolation holds here"
        python = interpreter()
        self._limits = limits
        self.scratch = Path(tempfile.mkdtemp(prefix="sandbox-"))
        try:
            for name, content in (files or {}).items():
                (self.scratch / name).write_bytes(content)
                os.chmod(self.scratch / name, 0o644)
            if python.uid is not None:
                os.chown(self.scratch, python.uid, python.uid)
            job = os.memfd_create("job")
            try:
                with open(job, "w", encoding="utf-8", errors="surrogatepass", closefd=False) as file:
                    json.dump(self._job(program, data, isolation, python), file)
                os.lseek(job, 0, os.SEEK_SET)
                command = [python.path, "-I", "-S", "-c", INSIDE, str(job)]
                outer = isolation == "bubblewrap"
                self.process = subprocess.Popen(
                    [*bubblewrap(python, self.scratch), *command] if outer else command,
                    stdin=stdin,
                    stdout=stdout,
                    stderr=stderr,
                    cwd="/",
                    env=ENVIRONMENT,
                    pass_fds=(job, *pass_fds),
                    start_new_session=True,
                    user=python.uid if outer else None,
                    group=python.uid if outer else None,
                    extra_groups=[] if outer and python.uid is not None else None,
                )
            finally:
                os.close(job)
        except BaseException:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise

    def _job(self, program: str, data: object, isolation: Isolation, python: Interpreter) -> dict[str, object]:
        limits, direct = self._limits, isolation != "bubblewrap"
        rlimits = {
            "RLIMIT_AS": limits.memory_mib * MIB,
            "RLIMIT_CPU": int(limits.wall_s + limits.grace_s) + 2,
            "RLIMIT_FSIZE": limits.scratch_mib * MIB,
            "RLIMIT_NOFILE": 128,
            "RLIMIT_CORE": 0,
        }
        return {
            "program": program,
            "data": data,
            "scratch": str(self.scratch) if direct else "/scratch",
            "rlimits": rlimits,
            "uid": python.uid if direct else None,
            "parent": os.getpid() if direct else None,
            "landlock": isolation == "landlock",
            "readable": list(python.readable),
            "packages": python.packages,
            "filter": "" if isolation == "rlimits" else seccomp_filter().hex(),
        }

    def over_scratch(self) -> bool:
        """Whether the scratch folder holds more than it may."""
        num_files, num_bytes = 0, 0
        for folder, folders, files in os.walk(self.scratch):
            num_files += len(folders) + len(files)
            for name in files:
                try:
                    num_bytes += os.lstat(os.path.join(folder, name)).st_blocks * 512
                except OSError:
                    continue
            if num_files > self._limits.scratch_files or num_bytes > self._limits.scratch_mib * MIB:
                return True
        return False

    def had_its_time(self) -> bool:
        """Whether it has been on a processor for nearly `wall_s`: if not, it slept, or a busy machine kept it waiting."""
        ticks, processes = 0, [self.process.pid]
        while processes:
            folder = Path(f"/proc/{processes.pop()}")
            try:
                ticks += sum(map(int, (folder / "stat").read_text().rpartition(")")[2].split()[11:13]))
                processes += [int(child) for task in folder.glob("task/*/children") for child in task.read_text().split()]
            except OSError:
                continue
        return ticks / os.sysconf("SC_CLK_TCK") >= 0.9 * self._limits.wall_s

    def kill(self) -> None:
        """Ends the process and its group at once; returns when it is gone."""
        if self.process.returncode is not None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self.process.kill()
        self.process.wait()

    def __enter__(self) -> "Confined":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()
        shutil.rmtree(self.scratch, ignore_errors=True)


def bubblewrap(python: Interpreter, scratch: Path) -> list[str]:
    """The command in front: own namespaces of every kind, the readable folders, an empty /dev and the scratch folder; nothing else.

    The root and /dev are file systems in memory, whose size nobody limits: they become read-only once everything is in its place.
    """
    program = shutil.which("bwrap") or "bwrap"
    command = [program, "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--dev", "/dev"]
    for path in dict.fromkeys((*python.readable, python.path)):
        if os.path.exists(path) and not path.startswith("/dev/"):
            command += ["--ro-bind", path, path]
    for name in ("/lib", "/lib64"):  # where the loader is looked for
        if os.path.islink(name):
            command += ["--symlink", os.readlink(name), name]
    command += ["--bind", str(scratch), "/scratch", "--remount-ro", "/dev", "--remount-ro", "/"]
    return [*command, "--chdir", "/scratch", "--"]
