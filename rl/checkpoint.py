"""Checkpoints: complete or not there, the newest usable one found again."""

import json
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

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
    sizes = {str(file.relative_to(unfinished)): file.stat().st_size for file in sorted(unfinished.rglob("*")) if file.is_file()}
    (unfinished / MANIFEST).write_text(json.dumps({"progress": asdict(progress), "sizes": sizes}, indent=1))
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
    """The newest checkpoint whose files are all there; each broken one on the way is skipped with a warning."""
    for folder in sorted(root.glob("step_*"), reverse=True):
        try:
            manifest = json.loads((folder / MANIFEST).read_text())
            broken = [file for file, size in manifest["sizes"].items() if (folder / file).stat().st_size != size]
            progress = Progress(**manifest["progress"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            warn(f"skipped the broken checkpoint {folder}: {error}")
            continue
        if broken:
            warn(f"skipped the broken checkpoint {folder}: {broken[0]} has not the size it was written with")
            continue
        return Checkpoint(folder, progress)
    return None


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
