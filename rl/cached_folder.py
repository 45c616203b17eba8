"""Folders that are made once for equal content, and that several runs may share."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

MARK = "complete"


def is_complete(folder: Path) -> bool:
    return (folder / MARK).exists()


@contextmanager
def made_once(folder: Path) -> Iterator[Path]:
    """A new folder to work in, which becomes `folder` when the work is done: nobody ever sees a part of it.

    Where another run was sooner, what that one made stays. Where the work fails, nothing is left. Raises `ValueError` if nothing was made.
    """
    work = folder.with_name(f".{folder.name}.{uuid4().hex[:8]}")
    work.parent.mkdir(parents=True, exist_ok=True)
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
