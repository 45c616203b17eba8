import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl.records.json_lines import append_line, read_lines
from rl.records.step_log import StepLog, StepMetrics, read_step_log, rewind_step_log


def written(path: Path, steps: range) -> Path:
    log = StepLog(path)
    for step in steps:
        log.append(step, {"reward/mean": step / 10})
    return path


@given(st.dictionaries(st.text().filter(lambda name: name != "step"), st.floats(allow_nan=False)))
def test_what_is_read_is_what_was_written(tmp_path_factory, values: dict[str, float]):
    path = tmp_path_factory.mktemp("log") / "metrics.jsonl"
    StepLog(path).append(1, values)
    assert list(read_step_log(path)) == [StepMetrics(1, values)]


def test_numbers_that_are_not_finite_stay_valid_json_and_come_back(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    StepLog(path).append(1, {"a": math.nan, "b": math.inf, "c": -math.inf})
    assert json.loads(path.read_text(), parse_constant=pytest.fail) == {"step": 1, "a": "NaN", "b": "Infinity", "c": "-Infinity"}
    (read,) = read_step_log(path)
    assert math.isnan(read.values["a"])
    assert (read.values["b"], read.values["c"]) == (math.inf, -math.inf)


@pytest.mark.parametrize("cut", range(1, 30, 4))
def test_a_half_last_line_is_not_read_and_the_next_line_takes_its_place(tmp_path: Path, cut: int):
    path = written(tmp_path / "metrics.jsonl", range(1, 4))
    path.write_bytes(path.read_bytes()[: -min(cut, len(path.read_bytes().splitlines()[-1]))])
    assert [read.step for read in read_step_log(path)] == [1, 2]
    StepLog(path).append(3, {"reward/mean": 0.5})
    assert [read.step for read in read_step_log(path)] == [1, 2, 3]


def test_a_half_line_alone_is_cut_off(tmp_path: Path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1, "rew')
    append_line(path, b"{}")
    assert list(read_lines(path)) == [b"{}"]


def test_rewinding_takes_back_later_steps_only(tmp_path: Path):
    path = written(tmp_path / "metrics.jsonl", range(1, 8))
    rewind_step_log(path, 4)
    assert [read.step for read in read_step_log(path)] == [1, 2, 3, 4]


def test_a_step_that_is_done_again_replaces_the_earlier_ones(tmp_path: Path):
    path = written(tmp_path / "metrics.jsonl", range(1, 8))
    StepLog(path).append(5, {"reward/mean": 9.0})
    assert [(read.step, read.values["reward/mean"]) for read in read_step_log(path)][-2:] == [(4, 0.4), (5, 9.0)]


def test_steps_never_go_back_within_a_process(tmp_path: Path):
    log = StepLog(tmp_path / "metrics.jsonl")
    log.append(2, {})
    with pytest.raises(ValueError, match="step 2 comes after step 2"):
        log.append(2, {})


def test_a_missing_file_has_no_steps(tmp_path: Path):
    assert list(read_step_log(tmp_path / "none.jsonl")) == []
