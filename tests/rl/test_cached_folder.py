"""Folders that are made once, by whoever is the first."""

import subprocess
import sys
from pathlib import Path

import pytest

from rl.cached_folder import is_complete, made_once


def make(folder: Path, content: str) -> None:
    with made_once(folder) as work:
        work.mkdir()
        (work / "weights").write_text(content)
        assert not folder.exists() or is_complete(folder)


def test_a_folder_is_there_when_all_of_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "abc"
    make(folder, "one")
    assert is_complete(folder)
    assert [path.name for path in folder.parent.iterdir()] == ["abc"]


def test_what_another_run_made_sooner_stays(tmp_path: Path) -> None:
    folder = tmp_path / "abc"
    with made_once(folder) as work:
        work.mkdir()
        (work / "weights").write_text("later")
        make(folder, "sooner")
    assert (folder / "weights").read_text() == "sooner"
    assert [path.name for path in tmp_path.iterdir()] == ["abc"]


def test_work_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def interrupted() -> None:
        with made_once(tmp_path / "abc") as work:
            work.mkdir()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from rl.cached_folder import made_once

with made_once(Path(sys.argv[1]) / "other") as work:
    work.mkdir()
    (work / "weights").write_text("half")
    print("working", flush=True)
    sys.stdin.readline()
"""


def test_what_a_killed_run_left_goes_and_what_another_works_on_stays(tmp_path: Path) -> None:
    working = [
        subprocess.Popen([sys.executable, "-c", KILLED, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in working:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
    killed, alive = working
    killed.kill()
    killed.wait()
    assert len([path for path in tmp_path.iterdir() if path.is_dir()]) == 2
    make(tmp_path / "abc", "mine")
    assert len([path for path in tmp_path.iterdir() if path.is_dir() and path.name.startswith(".other.")]) == 1
    assert alive.communicate("done\n", timeout=60) == ("", None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["abc", "other"]
    assert (tmp_path / "other" / "weights").read_text() == "half"


def test_half_a_folder_of_a_killed_run_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "abc"
    folder.mkdir()
    (folder / "half").touch()
    with made_once(folder) as work:
        work.mkdir()
        (work / "weights").write_text("whole")
    assert sorted(path.name for path in folder.iterdir()) == ["complete", "weights"]


def test_nothing_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nothing was made for"), made_once(tmp_path / "abc"):
        pass
