"""What cannot work is told before anything runs: names that name nothing, data, pools, places, and parts that do not go together."""

import re
from pathlib import Path

import pytest
from refused import TASK, refusal, write

from rl.config.configure import load
from rl.run import main


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("tasks.sums.family=algbra", "tasks.sums.family: unknown family 'algbra'; did you mean 'algebra'?"),
        ("tasks.sums.options.term=2", "tasks.sums.options: family 'algebra' has no option 'term'; did you mean 'terms'?"),
        ("tasks.sums.reward=mahts", "tasks.sums.reward: unknown reward 'mahts'; did you mean 'math'?"),
        ("rewards.plugins=[none.py]", "rewards.plugins: plug-in none.py: there is no file"),
        ("rewards=[none.py:mine]", "rewards.plugins: plug-in none.py: there is no file"),
        ("tasks.sums.reward=judge", "tasks.sums.reward: reward 'judge': set model=... to the name of the judge model"),
        ("cold_start.data=none.jsonl", "cold_start.data: there is no file none.jsonl"),
        ("policy.path=./none", "policy.path: there is no folder ./none seen from"),
        ("rollout.tools.plugins=[none.py]", "rollout.tools.plugins: plug-in none.py: there is no file"),
        (
            "rollout.tools.settings.image_zoom_tool.min_tokens=4",
            "rollout.tools.settings.image_zoom_tool: unknown tool 'image_zoom_tool'; did",
        ),
        (
            "rollout.tools.settings.image_zoom_in_tool.min_token=4",
            "rollout.tools.settings.image_zoom_in_tool: tool 'image_zoom_in_tool' has no setting 'min_token'; it has min_tokens",
        ),
        (
            "tasks.own={data: pyproject.toml, tools: [image_zoom]}",
            "tasks.own.tools: unknown tool 'image_zoom'; did you mean 'image_zoom_in_tool'?",
        ),
        ("tasks.sums.tools=[image_zoom_in_tool]", "tasks.sums: `tools` are those of `data`: a family brings its own"),
    ],
)
def test_a_name_that_names_nothing_is_told_with_its_place(argument: str, words: str) -> None:
    task = [] if argument.startswith("tasks.sums.family") else [TASK]
    assert refusal(*task, argument).startswith(f"command line: {words}")


def test_a_data_file_that_is_not_there_is_told_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "train.jsonl", "")
    mine = write(tmp_path / "a.yaml", f"tasks:\n  own:\n    data: {tmp_path}/trian.jsonl\n")
    assert refusal(f"config={mine}") == (
        f"{mine}:3: tasks.own.data: there is no file {tmp_path}/trian.jsonl; did you mean {tmp_path}/train.jsonl?"
    )


def test_tasks_that_are_all_only_evaluated_are_refused() -> None:
    assert "every task has weight 0, so that there is none to train on" in refusal(TASK, "tasks.sums.weight=0")
    benchmark = load([TASK, "tasks.benchmark={family: order, weight: 0}", "loop.groups_per_batch=1"])
    assert benchmark.weights == {"sums": 1.0}


@pytest.mark.parametrize("task", ["tasks.sums={data: sums.jsonl}", "tasks.sums={family: 'gym:chain_sum'}"])
def test_a_cold_start_without_worked_answers_is_told_before_anything_runs(
    task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "sums.jsonl", '{"prompt": "1 + 1", "target": 2}\n')
    assert main([task, "runs=here"]) == 2
    assert capsys.readouterr().err.startswith("cold_start: no task has worked answers to imitate")
    assert not (tmp_path / "here").exists()


@pytest.mark.parametrize(("config", "key"), [("dpo", "preferences.data"), ("sft", "cold_start.data")])
def test_rows_to_train_on_are_read_by_a_plan(config: str, key: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "rows.jsonl", '{"text": "nothing of either"}\n')
    assert main([f"config={config}", f"{key}={data}", "dry_run=true"]) == 2
    assert f"{data}:1: " in capsys.readouterr().err


def test_a_reward_that_cannot_grade_the_data_is_told_with_its_task(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write(tmp_path / "sums.jsonl", '{"prompt": "1 + 1", "target": 2}\n{"prompt": "1 + 2", "target": 3}\n')
    task = f"tasks.sums={{data: {data}, target: count, reward: boxes, heldout: 1}}"
    assert main([task, "cold_start.enabled=false", "dry_run=true"]) == 2
    assert capsys.readouterr().err == "tasks.sums: reward 'boxes' grades BoxesTarget, but the problem's target is a CountTarget\n"


def test_a_task_that_no_batch_holds_is_told_before_anything_runs() -> None:
    assert "a batch of 32 has no slot for 'rare'" in refusal(TASK, "tasks.rare.family=order", "tasks.rare.weight=0.001")


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("distillation.vocabulary=full", "distillation.teachers.big.engine=vllm gives log-probs of single tokens alone"),
        ("rollout.temperature=0.7", "distillation.teachers.big.engine=vllm scores at temperature 1, and rollout.temperature is 0.7"),
    ],
)
def test_what_a_teacher_on_vllm_cannot_say_is_refused(argument: str, words: str) -> None:
    choice = [] if "vocabulary" in argument else ["distillation.vocabulary=top_k"]
    assert words in refusal("config=on_policy_distill", *choice, "distillation.teachers.big.engine=vllm", argument)


@pytest.mark.parametrize("name", ["../../x", "/tmp/x", "a/../../x", ".", "''"])
def test_a_name_that_leaves_the_folder_of_runs_is_refused(name: str) -> None:
    assert "names no folder below `runs`" in refusal(TASK, f"name={name}")


def test_the_control_of_equal_compute_is_refused_for_what_it_would_drop() -> None:
    assert "would drop method=dpo: further_supervised_s=null, or method=rl" in refusal("config=dpo", "further_supervised_s=3")


def test_a_tracker_that_is_not_installed_is_told_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rl.records.trackers.find_spec", lambda package: None)
    assert refusal(TASK, "records.trackers=[wandb]").startswith("command line: records.trackers: 'wandb' is not installed: `pip install")


@pytest.mark.parametrize("dry_run", ["true", "false"])
def test_a_pool_that_a_family_cannot_fill_is_told_before_anything_starts(
    dry_run: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = "tasks.sums={family: algebra, pool: 1000000, heldout: 1, options: {largest: 2}}"
    assert main([few, f"dry_run={dry_run}", f"runs={tmp_path}"]) == 2
    assert re.search(r"task 'sums' has only about \d+ different problems, not 1000000: lower its `pool`", capsys.readouterr().err)
