"""Files of one JSON value a line that outlive a kill: appended whole, read without a half last line."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path


def append_line(path: Path, line: bytes) -> None:
    """Appends one line in a single write. A half line that a kill left before it is cut off first."""
    assert b"\n" not in line, "a line holds no line break"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab+", buffering=0) as file:
        _cut_half_line(path, file.fileno())
        file.write(line + b"\n")


def read_lines(path: Path) -> Iterator[bytes]:
    """The complete lines, without their line break. A missing file has none."""
    if not path.exists():
        return
    with open(path, "rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line[:-1]


def replace_lines(path: Path, lines: Iterable[bytes]) -> None:
    """Writes the file anew: a reader sees the old lines or the new ones, whatever happens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_bytes(path, b"".join(line + b"\n" for line in lines))


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file through a temporary one beside it, so that it is never half there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.write_bytes(content)
    os.replace(temporary, path)


def _cut_half_line(path: Path, descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    if size == 0 or os.pread(descriptor, 1, size - 1) == b"\n":
        return
    os.ftruncate(descriptor, path.read_bytes().rfind(b"\n") + 1)
