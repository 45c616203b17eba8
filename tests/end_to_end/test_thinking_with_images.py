"""Thinking with images as one command on the CPU: a cold start through the tool, real vLLM over turns, RL with its rewards, the report."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
# A dozen demonstrations, known by heart: every call that was shown is made, in scenes that were not.
SMALL = (
    "config=thinking_with_images",
    "name=agent",
    "cold_start.demonstrations=24",
    "cold_start.steps=200",
    "cold_start.batch_size=8",
    "cold_start.long_share=1.0",
    "cold_start.patience=100",
    "cold_start.optimizer={lr: 3e-3, warmup_steps: 10}",
    "tasks.details.options={none: 0.0, two: 0.5}",
    "tasks.details.heldout=8",
    "tasks.reading.heldout=4",
    "rollout.replicas=1",
    "loop.steps=2",
    "loop.groups_per_batch=8",
    "evaluation.final_samples=2",
    "checkpoint.every=2",
    "records.rollouts_every=1",
    "records.rollouts_per_task=4",
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("agent")
    command = [sys.executable, "-m", "rl.run", *SMALL, f"runs={folder / 'runs'}", f"cache={folder / 'cache'}"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return folder / "runs" / "agent"


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_tools_are_called_and_counted_by_how_many_calls_a_problem_takes(made: Path) -> None:
    steps = lines(made / "metrics.jsonl")
    assert len(steps) == 2
    for step in steps:
        assert step["rollout/calls_expected_1"] > 0
        assert step["rollout/calls_expected_2"] > 0
        assert step["rollout/turns_mean"] > 1
        assert step["rollout/tool_s_mean"] > 0
        assert {"reward_part/details/count", "reward_part/details/tool_calls", "reward_part/details/turn_rubric"} <= set(step)


def test_the_engine_and_the_learner_agree_over_turns_and_crops(made: Path) -> None:
    assert all(abs(step["learner/engine_kl"]) < 1e-6 for step in lines(made / "metrics.jsonl"))


def test_rollouts_are_recorded_with_their_calls_and_the_report_shows_crops(made: Path) -> None:
    recorded = [rollout for path in sorted((made / "rollouts").glob("*.jsonl")) for rollout in lines(path)]
    assert "image_zoom_in_tool" in json.dumps(recorded)
    page = (made / "report.html").read_text()
    assert "image_zoom_in_tool" in page
    assert [line["stage"] for line in lines(made / "evaluations.jsonl")] == ["before", "after"]
