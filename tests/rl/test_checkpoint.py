"""Checkpoints survive whatever moment the process is killed at."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rl.checkpoint import MANIFEST, Checkpoint, Progress, newest_checkpoint, write_checkpoint


def contents(step: int) -> dict[str, str]:
    return {"policy/model.safetensors": f"weights {step}" * 20, "policy/config.json": "{}", "version.json": str(step)}


async def save(folder: Path, step: int) -> None:
    for name, text in contents(step).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)


def write(root: Path, step: int, keep: int = 2) -> Checkpoint:
    return asyncio.run(write_checkpoint(root, Progress(step, {"algebra": 10 * step}, 1.5 * step), lambda folder: save(folder, step), keep))


def newest(root: Path) -> tuple[Checkpoint | None, list[str]]:
    warnings: list[str] = []
    return newest_checkpoint(root, warnings.append), warnings


def test_what_is_written_is_found_again(tmp_path: Path) -> None:
    written = write(tmp_path, 3)
    assert newest(tmp_path) == (written, [])
    assert written.progress == Progress(3, {"algebra": 30}, 4.5)
    assert (written.policy / "model.safetensors").read_text() == contents(3)["policy/model.safetensors"]


def test_the_newest_of_several_is_found_and_only_the_newest_are_kept(tmp_path: Path) -> None:
    for step in (1, 2, 9, 10):
        write(tmp_path, step, keep=2)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["step_000009", "step_000010"]
    found, _ = newest(tmp_path)
    assert found is not None
    assert found.progress.next_step == 10


def test_no_checkpoint_is_none_without_a_warning(tmp_path: Path) -> None:
    assert newest(tmp_path) == (None, [])
    assert newest(tmp_path / "never") == (None, [])


def truncate_weights(folder: Path) -> None:
    file = folder / "policy" / "model.safetensors"
    file.write_text(file.read_text()[:-1])


def flip_a_byte(folder: Path) -> None:
    file = folder / "policy" / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[7] ^= 1
    file.write_bytes(content)


def remove_weights(folder: Path) -> None:
    (folder / "policy" / "model.safetensors").unlink()


def truncate_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text()[:40])


def remove_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()


def foreign_manifest(folder: Path) -> None:
    (folder / MANIFEST).write_text(json.dumps({"progress": {"other": 1}, "sizes": {}}))


def list_of_sizes(folder: Path) -> None:
    manifest = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(manifest | {"sizes": list(manifest["sizes"])}))


def text_for_a_step(folder: Path) -> None:
    (folder / MANIFEST).write_text((folder / MANIFEST).read_text().replace('"next_step": 5', '"next_step": "five"'))


DAMAGES = [
    truncate_weights,
    flip_a_byte,
    remove_weights,
    truncate_manifest,
    remove_manifest,
    foreign_manifest,
    list_of_sizes,
    text_for_a_step,
]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_newest_is_skipped_with_a_warning_that_names_it(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    older, broken = write(tmp_path, 4), write(tmp_path, 5)
    damage(broken.folder)
    found, warnings = newest(tmp_path)
    assert found == older
    assert len(warnings) == 1
    assert str(broken.folder) in warnings[0]


def test_a_checkpoint_of_before_there_were_checksums_is_usable(tmp_path: Path) -> None:
    written = write(tmp_path, 4)
    manifest = json.loads((written.folder / MANIFEST).read_text())
    del manifest["sha256"]
    (written.folder / MANIFEST).write_text(json.dumps(manifest))
    assert newest(tmp_path) == (written, [])


def test_a_broken_newer_one_never_costs_the_one_just_written(tmp_path: Path) -> None:
    write(tmp_path, 4, keep=1)
    shutil.copytree(tmp_path / "step_000004", tmp_path / "step_000008")
    truncate_weights(tmp_path / "step_000008")
    written = write(tmp_path, 6, keep=1)
    assert newest(tmp_path)[0] == written
    assert not (tmp_path / "step_000004").exists()
    replaced = write(tmp_path, 8, keep=1)
    assert newest(tmp_path) == (replaced, [])


def test_a_failed_save_leaves_nothing_that_looks_like_a_checkpoint(tmp_path: Path) -> None:
    older = write(tmp_path, 1)

    async def full(folder: Path) -> None:
        await save(folder, 2)
        raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space left"):
        asyncio.run(write_checkpoint(tmp_path, Progress(2, {}, 0.0), full, 2))
    assert newest(tmp_path) == (older, [])
    write(tmp_path, 3)
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["step_000001", "step_000003"]


# Every opening, renaming and removing of a file is an event that an audit hook sees: the child dies at the n-th.
KILLED_EVERYWHERE = """
import os, shutil, signal, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoint import contents, newest, write

def attempt(root, fatal):
    events = 0
    def count(event, arguments):
        nonlocal events
        if event == "open" or event.startswith(("os.", "shutil.")):
            events += 1
            if events == fatal:
                os.kill(os.getpid(), signal.SIGKILL)
    sys.addaudithook(count)
    write(root, 3)
    os._exit(0)

fatal = 0
while True:
    fatal += 1
    root = Path(sys.argv[1]) / str(fatal)
    write(root, 1)
    write(root, 2)
    child = os.fork()
    if child == 0:
        attempt(root, fatal)
    status = os.waitpid(child, 0)[1]
    found, warnings = newest(root)
    step = found.progress.next_step
    complete = all((found.folder / name).read_text() == text for name, text in contents(step).items())
    print(fatal, os.WIFSIGNALED(status), step, complete, len(warnings))
    write(root, 4)
    assert newest(root)[0].progress.next_step == 4 and not list(root.glob(".*")), root
    shutil.rmtree(root)
    if not os.WIFSIGNALED(status):
        break
"""


def test_killed_at_any_moment_of_writing_a_usable_one_is_left(tmp_path: Path) -> None:
    arguments = [sys.executable, "-c", KILLED_EVERYWHERE, str(tmp_path), str(Path(__file__).parent)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    rows = [line.split() for line in done.stdout.splitlines()]
    assert len(rows) > 20
    assert all(complete == "True" and warnings == "0" for _, _, _, complete, warnings in rows)
    steps = [int(step) for _, _, step, _, _ in rows]
    assert steps == sorted(steps)
    assert set(steps) == {2, 3}
    assert [killed for _, killed, _, _, _ in rows] == ["True"] * (len(rows) - 1) + ["False"]
