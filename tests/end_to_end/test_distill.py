"""Each way of distilling and of supervised training, from the command line to the last evaluation, on a tiny student and teacher."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

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


def run(folder: Path, name: str, *arguments: str) -> Path:
    places = [f"name={name}", f"runs={folder / 'runs'}", f"cache={folder / 'cache'}"]
    command = [sys.executable, "-m", "rl.run", *SMALL, *arguments, *places]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-4000:]
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


def test_supervised_training_on_a_file_of_conversations(folder: Path) -> None:
    turns = [{"role": "user", "content": "What is 1 + 2?"}, {"role": "assistant", "content": "3"}]
    (folder / "rows.jsonl").write_text("\n".join(json.dumps({"messages": turns * (1 + i % 2)}) for i in range(24)))
    made = run(folder, "sft", "config=sft", "tasks.counting=null", f"cold_start.data={folder / 'rows.jsonl'}")
    losses = [line["cold_start/validation_loss"] for line in lines(made / "cold_start.jsonl")]
    assert losses[-1] < losses[0]
    assert stages(made) == ["before", "after"]
