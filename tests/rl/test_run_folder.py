import multiprocessing
import re
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
from made_run import config_of, made_evaluation

from rl.config.settings import RunSettings
from rl.records.run_folder import RunFolder, RunFolderError
from rl.records.run_records import Records


def test_the_same_settings_continue_the_folder(tmp_path: Path):
    folder = RunFolder(tmp_path / "one")
    for _ in range(2):
        with folder.claimed(config_of("one")):
            assert folder.config() == config_of("one")


def test_other_settings_are_refused_with_the_keys_that_differ_and_a_free_name(tmp_path: Path):
    folder = RunFolder(tmp_path / "one")
    (tmp_path / "one-2").mkdir()
    with folder.claimed(config_of("one")):
        pass
    message = re.escape("learner.optimizer.lr: 0.0001 there, 0.0003 now")
    with (
        pytest.raises(RunFolderError, match=f"(?s){message}.*clip: \\(absent\\) there, 0.2 now.*name=one-3"),
        folder.claimed(config_of("one", learner={"optimizer": {"lr": 3e-4}}, clip=0.2)),
    ):
        pass
    assert folder.config() == config_of("one")


def test_more_steps_are_refused_with_the_way_to_go_on_from_the_policy_that_is_there(tmp_path: Path):
    folder = RunFolder(tmp_path / "one")
    with folder.claimed(config_of("one", loop={"steps": 4})):
        (folder.path / "checkpoints" / "step_000004" / "policy").mkdir(parents=True)
    way_out = re.escape(f"policy.path={folder.path}/checkpoints/step_000004/policy cold_start.enabled=false")
    with pytest.raises(RunFolderError, match=f"(?s)name=one-2.*{way_out}"), folder.claimed(config_of("one", loop={"steps": 8})):
        pass


def test_settings_that_change_nothing_computed_may_change(tmp_path: Path):
    folder = RunFolder(tmp_path / "one")
    with folder.claimed(config_of("one", records={"report": True})):
        pass
    with folder.claimed(config_of("one", records={"report": False}, runs="elsewhere")):
        assert folder.config()["runs"] == "elsewhere"


def hold(path: Path, ready: Connection) -> None:
    with RunFolder(path).claimed(config_of("one")):
        ready.send(True)
        ready.recv()


def test_a_folder_from_before_a_key_goes_on_with_its_default(tmp_path: Path):
    now = RunSettings.model_validate({"name": "one", "tasks": {"sums": {"family": "algebra"}}}).model_dump(mode="json")
    before = {**now, "evaluation": {**now["evaluation"]}, "tasks": {"sums": {**now["tasks"]["sums"]}}}
    del before["evaluation"]["temperature"], before["tasks"]["sums"]["weight"], before["objective"]
    folder = RunFolder(tmp_path / "one")
    for config in (before, now):
        with folder.claimed(config):
            pass
    now["evaluation"]["temperature"] = 0.5
    with pytest.raises(RunFolderError, match=r"evaluation\.temperature: null there, 0\.5 now"), folder.claimed(now):
        pass


def test_a_folder_in_use_by_another_process_is_refused_and_free_after_a_kill(tmp_path: Path):
    folder = RunFolder(tmp_path / "one")
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=hold, args=(folder.path, there))
    process.start()
    assert here.recv()
    with pytest.raises(RunFolderError, match=f"in use by process {process.pid}"), folder.claimed(config_of("one")):
        pass
    process.kill()
    process.join()
    with folder.claimed(config_of("one")):
        pass


def test_a_place_where_nothing_can_be_written_is_named_with_the_key_to_change(tmp_path: Path):
    (tmp_path / "runs").write_text("a file, not a folder")
    message = re.escape(f"{tmp_path / 'runs' / 'one'} cannot be written: Not a directory; choose another place: runs=")
    with pytest.raises(RunFolderError, match=message), RunFolder(tmp_path / "runs" / "one").claimed(config_of("one")):
        pass


def test_a_folder_without_config_is_no_run(tmp_path: Path):
    with pytest.raises(RunFolderError, match="no run folder"):
        RunFolder(tmp_path).config()


def test_an_evaluation_that_was_made_again_is_read_once(tmp_path: Path):
    folder = RunFolder(tmp_path / "one")
    again = made_evaluation(20, "during", 0.2, seed=1)
    with folder.claimed(config_of("one")), Records(folder, ()) as records:
        records.log_evaluation(made_evaluation(20, "during", 0.0, seed=0))
        records.log_evaluation(made_evaluation(0, "before", 0.0, seed=0))
        records.log_evaluation(again)
    assert folder.evaluations() == (made_evaluation(0, "before", 0.0, seed=0), again)
