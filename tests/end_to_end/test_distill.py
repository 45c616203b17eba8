"""Each way of distilling and of supervised training, from the command line to the last evaluation, on a tiny student and teacher."""

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from rl.config.supervised_settings import TinyPolicySettings
from rl.policy import build_tiny_policy

ROOT = Path(__file__).resolve().parent.parent.parent
SMALL = [
    "tasks.algebra.heldout=4",
    "tasks.logic=null",
    "cold_start.demonstrations=96",
    "cold_start.steps=20",
    "cold_start.validate_every=10",
    "rollout.engine=torch",
    "evaluation.final_samples=2",
    "records.trackers=[]",
]
TEACHER = [
    "tasks.grounding=null",
    "distillation.teachers.big.tiny.num_layers=2",
    "distillation.teachers.big.cold_start.demonstrations=96",
    "distillation.teachers.big.cold_start.steps=20",
    "distillation.teachers.big.cold_start.validate_every=10",
]
LOOP = ["loop.steps=2", "loop.groups_per_batch=4"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distill")


def command(folder: Path, name: str, *arguments: str, cache: str = "cache") -> list[str]:
    given = {argument.split("=")[0] for argument in arguments}
    small = [argument for argument in SMALL if argument.split("=")[0] not in given]
    return [sys.executable, "-m", "rl.run", *small, *arguments, f"name={name}", f"runs={folder / 'runs'}", f"cache={folder / cache}"]


def finished(command: list[str]) -> str:
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
    return result.stdout


def run(folder: Path, name: str, *arguments: str) -> Path:
    finished(command(folder, name, *arguments))
    return folder / "runs" / name


def lines(path: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def stages(path: Path) -> list[object]:
    return [line["stage"] for line in lines(path / "evaluations.jsonl")]


@pytest.mark.parametrize(("vocabulary", "engine"), [("full", "torch"), ("top_k", "vllm"), ("sampled", "torch")])
def test_on_policy_distillation_trains_on_what_the_teacher_says(folder: Path, vocabulary: str, engine: str) -> None:
    choice = [f"distillation.vocabulary={vocabulary}", f"distillation.teachers.big.engine={engine}"]
    made = run(folder, vocabulary, "config=on_policy_distill", *choice, *TEACHER, *LOOP)
    steps = lines(made / "metrics.jsonl")
    assert len(steps) == 2
    assert all(step["learner/grad_norm"] > 0 for step in steps)
    assert all("learner/divergence" in step for step in steps)
    assert ("learner/teacher_outside_mass" in steps[0]) == (vocabulary != "sampled")


def test_a_teacher_with_another_tokenizer_is_refused_before_anything_is_trained(folder: Path) -> None:
    other = build_tiny_policy(TinyPolicySettings(), ["quite other words"] * 8, 0, folder / "cache")
    asked = ["config=on_policy_distill", f"distillation.teachers.big.path={other}", *LOOP]
    result = subprocess.run(command(folder, "refused", *asked), cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert (result.returncode, "has another tokenizer" in result.stderr) == (2, True)
    assert "cold start" not in result.stdout


def test_preferences_are_made_of_the_policys_own_answers(folder: Path) -> None:
    few = ["preferences.problems=8", "preferences.steps=4", "preferences.batch_size=2", "tasks.grounding=null"]
    made = run(
        folder,
        "dpo",
        "config=dpo",
        *few,
        "tasks.counting.heldout=4",
        "tasks.counting.reward={count: 1, length: {weight: 0.5, settings: {least: 1, most: 9}}}",
    )
    reports = lines(made / "preferences.jsonl")
    assert [report["step"] for report in reports] == [1, 2, 3, 4]
    assert all(0 < report["preference/loss"] < 2 for report in reports)
    assert stages(made) == ["before", "after"]
    assert (made / "policy" / "model.safetensors").exists()


def test_off_policy_distillation_imitates_what_the_filters_keep(folder: Path) -> None:
    off = ["distillation.off_policy.problems=8", "distillation.off_policy.samples=2", "distillation.off_policy.filters=[]"]
    student = ["distillation.off_policy.supervised.steps=4", "distillation.off_policy.supervised.validate_every=2"]
    modes = ["distillation.off_policy.max_tokens=16", "distillation.off_policy.modes=[thinking,non_thinking]"]
    made = run(folder, "off", "config=off_policy_distill", *TEACHER, *off, *student, *modes)
    rows = lines(made / "teacher_answers.jsonl")
    assert Counter(row["mode"] for row in rows) == {"thinking": 16, "non_thinking": 16}
    assert stages(made) == ["before", "after"]
    assert (made / "policy" / "model.safetensors").exists()


def conversations(folder: Path) -> Path:
    turns = [{"role": "user", "content": "What is 1 + 2?"}, {"role": "assistant", "content": "3"}]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps({"messages": turns * (1 + i % 2)}) for i in range(24)))
    return folder / "rows.jsonl"


def test_supervised_training_on_a_file_of_conversations(folder: Path) -> None:
    made = run(folder, "sft", "config=sft", "tasks.counting=null", f"cold_start.data={conversations(folder)}")
    losses = [line["cold_start/validation_loss"] for line in lines(made / "cold_start.jsonl")]
    assert losses[-1] < losses[0]
    assert stages(made) == ["before", "after"]


def test_supervised_training_that_is_killed_goes_on_to_exactly_the_uninterrupted_end(folder: Path) -> None:
    long = ["cold_start.steps=60", "cold_start.validate_every=4", "cold_start.patience=15", "checkpoint.every=4"]
    sft = ["config=sft", "tasks.counting=null", f"cold_start.data={conversations(folder)}", *long]
    whole = run(folder, "whole", *sft)
    killed = command(folder, "killed", *sft, cache="other")
    process = subprocess.Popen(killed, cwd=ROOT, start_new_session=True, stdout=subprocess.DEVNULL)
    unfinished = folder / "runs" / "killed" / "unfinished"
    deadline = time.monotonic() + 400
    while not list(unfinished.glob("*/step_*")):
        assert process.poll() is None, "the run ended before its checkpoint"
        assert time.monotonic() < deadline, "the checkpoint never came"
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert "continues from" in finished(killed)
    assert lines(unfinished.parent / "cold_start.jsonl") == lines(whole / "cold_start.jsonl")
    assert [line["scores"] for line in lines(unfinished.parent / "evaluations.jsonl")] == [
        line["scores"] for line in lines(whole / "evaluations.jsonl")
    ]
    assert not list(unfinished.glob("*"))
