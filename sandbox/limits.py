"""What a program may use, and how it ended."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

End: TypeAlias = Literal["exited", "killed", "timeout", "memory", "output", "scratch"]
Isolation: TypeAlias = Literal["auto", "bubblewrap", "landlock", "rlimits"]


class SandboxUnavailableError(RuntimeError):
    """This machine cannot confine code as asked; the message says what is missing and the way out."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. It may start threads, but no process.

    `wall_s` of time, and up to `grace_s` more while it has not had that much of a processor; `memory_mib` of address space;
    `output_bytes` of standard output and error together; `scratch_mib` and `scratch_files` in its folder.
    """

    wall_s: float = 5.0
    grace_s: float = 0.0
    memory_mib: int = 512
    output_bytes: int = 1 << 20
    scratch_mib: int = 32
    scratch_files: int = 256


@dataclass(frozen=True, slots=True)
class Finished:
    """`status` is the exit status, or minus the signal that ended it. Nothing here is proof of anything: the program wrote it all."""

    end: End
    status: int
    stdout: str
    stderr: str
    seconds: float
