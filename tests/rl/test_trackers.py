import importlib.util
from pathlib import Path

import pytest

from rl.records.trackers import TrackedRun, TrackerName, check_trackers, open_trackers


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_a_tracker_that_is_not_installed_says_what_to_do(name: TrackerName):
    if importlib.util.find_spec(name) is not None:
        pytest.skip(f"{name} is installed here")
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
