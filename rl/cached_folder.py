"""Folders that are made once for equal content, and that several runs may share."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

MARK = "complete"


def is_complete(folder: Path) -> bool:
    return (folder / MARK).exists()


@contextmanager
def made_once(folder: Path) -> Iterator[Path]:
    """A new folder to work in, which becomes `folder` when the work is done: nobody ever sees a part of it.

    Where another run was sooner, what that one made stays. Where the work fails, nothing is left; what killed runs left beside it goes at
    the next call. Raises `ValueError` if nothing was made.
    """
    work = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}")
    work.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_over(work.parent)
    with open(work.with_name(f"{work.name}.lock"), "wb") as lock:
        with suppress(OSError):  # A file system without locks: then nobody removes what is left.
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield work
            if not work.exists():
                raise ValueError(f"nothing was made for {folder}")
            (work / MARK).touch()
            if folder.exists() and not is_complete(folder):
                shutil.rmtree(folder)
            try:
                work.rename(folder)
            except OSError:
                if not is_complete(folder):
                    raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
            Path(lock.name).unlink(missing_ok=True)


def _remove_left_over(parent: Path) -> None:
    """Work whose lock nobody holds: the kernel releases that of a process which was killed."""
    for lock in parent.glob(".*.lock"):
        with suppress(OSError), open(lock, "rb") as held:  # An error: someone works there, or has just finished.
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()
