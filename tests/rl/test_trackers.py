import sys
from pathlib import Path

import pytest

from rl.records.trackers import TrackedRun, TrackerName, check_trackers, open_trackers


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_that_is_not_installed_says_what_to_do(name: TrackerName, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rl.records.trackers.find_spec", lambda package: None)
    with pytest.raises(ModuleNotFoundError, match=f"pip install {name}.*records.trackers"):
        check_trackers((name,))


def test_tensorboard_writes_no_file_before_the_first_value(tmp_path: Path):
    (tracker,) = open_trackers(("tensorboard",), TrackedRun(tmp_path, {}, 0))
    assert not list(tmp_path.iterdir())
    tracker.log(1, {"reward/mean": 0.5})
    tracker.close()
    assert len(list((tmp_path / "tensorboard").iterdir())) == 1


def test_runs_of_one_name_in_two_places_are_two_runs(tmp_path: Path):
    ids = {TrackedRun(tmp_path / place / "run", {}, 0).id for place in ("a", "b")}
    assert len(ids) == 2


FAKE = """
calls = []

def init(**given):
    calls.append(("init", given))
    return Run()

def log(metrics, step):
    calls.append(("log", metrics, step))

def finish():
    calls.append(("finish",))

class Run:
    log = staticmethod(log)
    finish = staticmethod(finish)
"""


@pytest.mark.parametrize(("name", "shown"), [("wandb", "run"), ("trackio", None)])
def test_a_tracker_is_given_the_run_its_values_and_its_end(
    name: TrackerName, shown: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / f"{name}.py").write_text(FAKE)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, name, raising=False)
    run = TrackedRun(tmp_path / "run", {"seed": 1}, 3)
    (tracker,) = open_trackers((name,), run)
    tracker.log(4, {"reward/mean": 0.5})
    tracker.log(4, {"accuracy/mean": 0.25})
    tracker.close()
    (_, given), *rest = sys.modules[name].calls
    monkeypatch.delitem(sys.modules, name)
    assert (given["project"], given["name"], given["resume"], given["config"]) == ("posttrain", shown or run.id, "allow", {"seed": 1})
    assert given.get("id", run.id) == run.id
    assert rest == [("log", {"reward/mean": 0.5}, 4), ("log", {"accuracy/mean": 0.25}, 4), ("finish",)]
