"""Checkpoints: complete or not there, the newest usable one found again."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a run stands besides its weights: the next step, how far each task's source has been consumed, seconds of training so far."""

    next_step: int
    positions: Mapping[str, int]
    train_s: float


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`folder/policy` is a Hugging Face checkpoint; the learner's other state lies in `folder`."""

    folder: Path
    progress: Progress

    @property
    def policy(self) -> Path:
        return self.folder / "policy"


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The size and SHA-256 of every file, by its path; checkpoints of older versions lack the latter."""

    progress: Progress
    sizes: Mapping[str, int]
    sha256: Mapping[str, str] = field(default_factory=dict)


_MANIFEST = TypeAdapter(_Manifest)


async def write_checkpoint(root: Path, progress: Progress, save: Callable[[Path], Awaitable[None]], keep: int) -> Checkpoint:
    """Writes beside the others and renames when all is on disk, then removes older ones beyond the newest `keep`.

    A newer one that is there is broken, or the run would have gone on from it: it stays for whoever wants to look, and counts for nothing.
    """
    name = f"step_{progress.next_step:06d}"
    for left_over in root.glob(".step_*.unfinished"):
        shutil.rmtree(left_over)
    unfinished = root / f".{name}.unfinished"
    unfinished.mkdir(parents=True)
    await save(unfinished)
    files = {str(file.relative_to(unfinished)): file for file in sorted(unfinished.rglob("*")) if file.is_file()}
    sizes = {name: file.stat().st_size for name, file in files.items()}
    # About a second a gigabyte, beside the event loop: engines that sample ahead are served meanwhile.
    digests = {name: await asyncio.to_thread(_sha256, file) for name, file in files.items()}
    (unfinished / MANIFEST).write_bytes(_MANIFEST.dump_json(_Manifest(progress, sizes, digests), indent=1))
    for path in (*unfinished.rglob("*"), unfinished):
        _sync(path)
    final = root / name
    shutil.rmtree(final, ignore_errors=True)
    unfinished.rename(final)
    _sync(root)
    upto = [folder for folder in sorted(root.glob("step_*")) if folder.name <= name]
    for old in upto[:-keep]:
        shutil.rmtree(old)
    return Checkpoint(final, progress)


def newest_checkpoint(root: Path, warn: Callable[[str], None]) -> Checkpoint | None:
    """The newest checkpoint whose files are as they were written; each broken one on the way is skipped with a warning.

    Those older than what it gives are not read.
    """
    for folder in sorted(root.glob("step_*"), reverse=True):
        try:
            manifest = _MANIFEST.validate_json((folder / MANIFEST).read_bytes())
            fault = _fault(folder, manifest)
        except ValidationError as error:
            fault = f"its {MANIFEST} is malformed ({error.errors()[0]['msg']})"
        except OSError as error:
            fault = str(error)
        if not fault:
            return Checkpoint(folder, manifest.progress)
        warn(f"skipped the broken checkpoint {folder}: {fault}")
    return None


def _fault(folder: Path, manifest: _Manifest) -> str:
    """Sizes first: they cost nothing."""
    for name, size in manifest.sizes.items():
        if (folder / name).stat().st_size != size:
            return f"{name} has not the size it was written with"
    for name, digest in manifest.sha256.items():
        if _sha256(folder / name) != digest:
            return f"{name} has not the content it was written with"
    return ""


def _sha256(file: Path) -> str:
    with open(file, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
