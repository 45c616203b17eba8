"""The whole program on the CPU: real vLLM, real Ray, a tiny policy. Minutes, not seconds; everything else is tested without it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest

SMALL = (
    "config=quickstart",
    "cold_start.demonstrations=96",
    "cold_start.steps=60",
    "cold_start.validate_every=20",
    "query_filter.samples=2",
    "tasks.algebra.pool=16",
    "tasks.algebra.heldout=4",
    "tasks.counting={family: counting, pool: 16, heldout: 4, options: {colors: 2}}",
    "loop.steps=4",
    "loop.groups_per_batch=4",
    "loop.refill=false",
    "evaluation.every=2",
    "evaluation.samples=2",
    "evaluation.final_samples=2",
    "checkpoint.every=1",
    "records.rollouts_every=2",
)


def command(folder: Path, *more: str) -> list[str]:
    given = {argument.split("=")[0] for argument in more}
    small = [argument for argument in SMALL if argument.split("=")[0] not in given]
    return [sys.executable, "-m", "rl.run", *small, f"runs={folder / 'runs'}", f"cache={folder / 'cache'}", *more]


def finish(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(folder, *more), capture_output=True, text=True, timeout=600, check=False)


def metrics(folder: Path, name: str) -> list[dict[str, float]]:
    """Metrics of every step but those of the clock."""
    lines = (folder / "runs" / name / "metrics.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if not k.startswith("time/") and not k.endswith("_s")} for line in lines]


def evaluations(folder: Path, name: str) -> list[tuple[int, str, list[dict[str, Any]]]]:
    lines = (folder / "runs" / name / "evaluations.jsonl").read_text().splitlines()
    return [(e["step"], e["stage"], e["scores"]) for e in map(json.loads, lines)]


def wait_for_step(folder: Path, name: str, step: int, process: subprocess.Popen[bytes]) -> None:
    checkpoint = folder / "runs" / name / "checkpoints" / f"step_{step:06d}"
    deadline = time.monotonic() + 400
    while not checkpoint.exists():
        assert process.poll() is None, "the run ended before the step"
        assert time.monotonic() < deadline, "the step never came"
        time.sleep(0.05)


def left_of(processes: Sequence[psutil.Process]) -> Sequence[psutil.Process]:
    return [process for process in processes if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    result = finish(folder, "name=whole")
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    (folder / "printed.txt").write_text(result.stdout)
    return folder


def test_a_run_leaves_metrics_evaluations_rollouts_checkpoints_and_a_report(uninterrupted: Path) -> None:
    run = uninterrupted / "runs" / "whole"
    assert [line["step"] for line in metrics(uninterrupted, "whole")] == [1, 2, 3, 4]
    assert [stage for _, stage, _ in evaluations(uninterrupted, "whole")] == ["before", "during", "after"]
    assert (run / "rollouts" / "step_000002.jsonl").stat().st_size > 0
    assert (run / "checkpoints" / "step_000004" / "policy" / "model.safetensors").exists()
    assert "<html" in (run / "report.html").read_text()
    assert (uninterrupted / "printed.txt").read_text().rstrip().endswith(f"report {run}/report.html")


def test_a_synchronous_run_has_no_lag_and_its_log_probs_agree_with_the_engines(uninterrupted: Path) -> None:
    for step in metrics(uninterrupted, "whole"):
        assert step["rollout/lag_max"] == 0
        assert 0 <= step["learner/engine_kl"] < 1e-6


def test_the_same_seed_gives_the_same_run(uninterrupted: Path) -> None:
    result = finish(uninterrupted, "name=again")
    assert result.returncode == 0, result.stderr[-4000:]
    assert metrics(uninterrupted, "again") == metrics(uninterrupted, "whole")
    assert evaluations(uninterrupted, "again") == evaluations(uninterrupted, "whole")


def test_a_killed_run_continues_to_exactly_the_uninterrupted_end(uninterrupted: Path) -> None:
    process = subprocess.Popen(command(uninterrupted, "name=killed"), start_new_session=True, stdout=subprocess.DEVNULL)
    wait_for_step(uninterrupted, "killed", 2, process)
    process.send_signal(signal.SIGKILL)
    process.wait()
    tables = uninterrupted / "cache" / "pass_rates"
    shutil.rmtree(tables)
    result = finish(uninterrupted, "name=killed")
    assert result.returncode == 0, result.stderr[-4000:]
    assert not tables.exists(), "the trained policy was sampled for the starting one's table"
    assert metrics(uninterrupted, "killed") == metrics(uninterrupted, "whole")
    assert evaluations(uninterrupted, "killed") == evaluations(uninterrupted, "whole")


def test_ctrl_c_saves_and_leaves_no_process_and_no_shared_memory(uninterrupted: Path) -> None:
    before = set(Path("/dev/shm").iterdir())
    process = subprocess.Popen(command(uninterrupted, "name=stopped", "loop.steps=100"), start_new_session=True, stdout=subprocess.DEVNULL)
    wait_for_step(uninterrupted, "stopped", 1, process)
    started = psutil.Process(process.pid).children(recursive=True)  # Ray's own are in sessions of their own.
    assert {"raylet", "gcs_server"} <= {child.name() for child in started}
    os.killpg(process.pid, signal.SIGINT)  # As a terminal does.
    assert process.wait(timeout=120) == 130
    deadline = time.monotonic() + 20
    while left_of(started) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert not left_of(started)
    assert set(Path("/dev/shm").iterdir()) <= before
    steps = len(metrics(uninterrupted, "stopped"))
    assert (uninterrupted / "runs" / "stopped" / "checkpoints" / f"step_{steps:06d}").exists()


def test_overlapped_sampling_stays_within_its_lag(uninterrupted: Path) -> None:
    result = finish(uninterrupted, "name=overlapped", "loop.max_lag=1", "loop.steps=6")
    assert result.returncode == 0, result.stderr[-4000:]
    lags = [step["rollout/lag_max"] for step in metrics(uninterrupted, "overlapped")]
    assert max(lags) == 1


def test_a_reference_term_starts_at_zero_and_stays_behind_the_policy(uninterrupted: Path) -> None:
    result = finish(uninterrupted, "name=reference", "objective.reference.coefficient=0.1", "loop.steps=2", "learner.mini_batches=1")
    assert result.returncode == 0, result.stderr[-4000:]
    first, second = (step["learner/reference_kl"] for step in metrics(uninterrupted, "reference"))
    # Of two computations of one policy it is some 1e-12.
    assert abs(first) < 1e-10 < second


def test_an_evaluation_may_be_greedy_where_training_is_not(uninterrupted: Path) -> None:
    result = finish(uninterrupted, "name=greedy", "loop.steps=1", "evaluation.temperature=0", "evaluation.final_samples=8")
    assert result.returncode == 0, result.stderr[-4000:]
    for _, _, scores in evaluations(uninterrupted, "greedy"):
        assert all(score["num_right"] in (0, 8) for score in scores)
    records = (uninterrupted / "runs" / "greedy" / "rollouts" / "step_000001.jsonl").read_text().splitlines()
    said = {(record["problem_id"], record["answer_text"] + record["thinking"]) for record in map(json.loads, records)}
    assert len(said) > len({problem for problem, _ in said})


def test_a_task_without_weight_is_evaluated_and_not_trained_on(uninterrupted: Path) -> None:
    result = finish(uninterrupted, "name=benchmark", "loop.steps=1", "tasks.counting.weight=0")
    assert result.returncode == 0, result.stderr[-4000:]
    for _, _, scores in evaluations(uninterrupted, "benchmark"):
        assert {score["task"] for score in scores} == {"algebra", "counting"}
    (step,) = metrics(uninterrupted, "benchmark")
    assert {key.split("/")[1] for key in step if key.startswith("reward_part/")} == {"algebra"}
    filtered = (uninterrupted / "runs" / "benchmark" / "pass_rates.jsonl").read_text().splitlines()
    assert {json.loads(line)["task"] for line in filtered} == {"algebra"}


def test_the_control_trains_on_the_demonstrations_instead(uninterrupted: Path) -> None:
    result = finish(uninterrupted, "name=control", "further_supervised_s=2")
    assert result.returncode == 0, result.stderr[-4000:]
    assert [stage for _, stage, _ in evaluations(uninterrupted, "control")] == ["before", "after"]


PLUGIN = """
from rewards import Grade, reward

@reward("brief", target="any")
def brief(target, transcript):
    return Grade(float(len(transcript.final_text) < 1000))
"""


def test_the_example_of_own_data_trains_with_a_reward_of_ones_own_beside_it(uninterrupted: Path) -> None:
    (uninterrupted / "brief.py").write_text(PLUGIN)
    own = [f"rewards=[{uninterrupted / 'brief.py'}:brief]", "tasks.tiles.reward={count: 1, brief: 0.1}"]
    small = [argument for argument in SMALL if not argument.startswith(("config=", "tasks.", "loop.steps="))]
    folders = [f"runs={uninterrupted / 'runs'}", f"cache={uninterrupted / 'cache'}"]
    program = [sys.executable, "-m", "rl.run", "config=examples/own_data/train.yaml", *small, *folders, *own, "loop.steps=1"]
    result = subprocess.run(program, capture_output=True, text=True, timeout=600, check=False, cwd=Path(__file__).parents[2])
    assert result.returncode == 0, result.stderr[-4000:]
    (step,) = metrics(uninterrupted, "own_data")
    assert {"reward/tiles", "reward/counting"} <= step.keys()
    assert step["reward_part/tiles/brief"] == 1.0
