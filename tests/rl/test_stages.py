"""Stages: each from the policy of the one before, none run twice, and one table at the end."""

import json
from pathlib import Path

import pytest
from made_run import write_made_run

from rl.config.configure import load, read_layers
from rl.config.error import ConfigError
from rl.config.settings import RunSettings
from rl.records.evaluation_record import Evaluation, ProblemScore
from rl.records.json_lines import append_line
from rl.records.run_folder import EVALUATION, RunFolder, RunFolderError
from rl.stages import run_stages, stage_settings

TAUGHT: dict[str, bool | int | float | str | None] = {
    "policy.path": None,
    "method": "off_policy_distill",
    "distillation.teachers.agent.path": "stage:a",
}
"""A fresh policy that imitates what stage `a` made."""


def settings(folder: Path, **stages: dict[str, bool | int | float | str | None]) -> RunSettings:
    tasks, records = {"algebra": {"family": "algebra"}}, {"report": False}
    own = stages or {"a": {"method": "sft"}, "b": {}}
    return RunSettings.model_validate({"name": "all", "runs": folder, "tasks": tasks, "records": records, "stages": own})


class Runs:
    """Stands for the program: notes what it was asked to run, and leaves a policy and evaluations."""

    def __init__(self, failing: str = "") -> None:
        self.seen: list[RunSettings] = []
        self._failing = failing

    def only_noted(self, stage: RunSettings) -> int:
        self.seen.append(stage)
        return 0

    def __call__(self, stage: RunSettings) -> int:
        self.seen.append(stage)
        if stage.name == self._failing:
            return 1
        folder = RunFolder(stage.runs / stage.name)
        with folder.claimed(stage.model_dump(mode="json")):
            (folder.path / "policy").mkdir()
        for step, when in enumerate(("before", "after")):
            right = len(self.seen) + step
            score = ProblemScore("p", "algebra", right, 4)
            append_line(folder.evaluations_path, EVALUATION.dump_json(Evaluation(step, when, 30.0 * step, (score,))))  # type: ignore[arg-type]
        return 0


def test_each_stage_starts_from_the_policy_of_the_one_before(tmp_path: Path) -> None:
    runs = Runs()
    assert run_stages(settings(tmp_path), runs) == 0
    first, second = runs.seen
    assert (first.policy.path, first.cold_start.enabled, first.method) == (None, True, "sft")
    assert (second.policy.path, second.cold_start.enabled, second.method) == (str(tmp_path / "all" / "a" / "policy"), False, "rl")
    assert second.runs / second.name == tmp_path / "all" / "b"


def test_a_stage_that_is_done_is_not_run_again(tmp_path: Path) -> None:
    failing = Runs("b")
    assert run_stages(settings(tmp_path), failing) == 1
    again = Runs()
    assert run_stages(settings(tmp_path), again) == 0
    assert [stage.name for stage in again.seen] == ["b"]


def test_a_stage_that_is_done_is_none_of_other_settings(tmp_path: Path) -> None:
    run_stages(settings(tmp_path), Runs())
    other = settings(tmp_path, a={"method": "sft", "cold_start.steps": 7}, b={})
    with pytest.raises(RunFolderError, match=r"(?s)cold_start.steps: \d+ there, 7 now.*\(a is a stage, and `name`, which is all,"):
        run_stages(other, Runs())
    assert run_stages(settings(tmp_path, a={"method": "sft"}, b={}, c={}), again := Runs()) == 0
    assert [stage.name for stage in again.seen] == ["c"]


def test_a_stage_that_was_killed_before_its_report_gets_one(tmp_path: Path) -> None:
    run = write_made_run(tmp_path / "all" / "a", steps=2)
    (run.path / "policy").mkdir()
    run.config_path.write_text(json.dumps(stage_settings(settings(tmp_path, a={}))["a"].model_dump(mode="json")))
    assert run_stages(settings(tmp_path, a={}), Runs()) == 0
    assert not run.report_path.exists()
    assert run_stages(settings(tmp_path, a={"records.report": True}), Runs()) == 0
    assert "<html" in run.report_path.read_text()


def test_the_table_holds_every_task_after_every_stage_and_what_it_took(tmp_path: Path) -> None:
    run_stages(settings(tmp_path), Runs())
    lines = (tmp_path / "all" / "stages.md").read_text().splitlines()
    assert lines == [
        "| stage | algebra | all tasks | training, s |",
        "| --- | --- | --- | --- |",
        "| before | 25.0% | 25.0% | 0 |",
        "| a | 50.0% | 50.0% | 30 |",
        "| b | 75.0% | 75.0% | 30 |",
    ]


def test_a_stages_own_keys_change_that_stage_alone(tmp_path: Path) -> None:
    found = stage_settings(settings(tmp_path, a={"loop.steps": 7, "learner.optimizer.lr": 0.5}, b={}))
    assert (found["a"].loop.steps, found["a"].learner.optimizer.lr) == (7, 0.5)
    assert (found["b"].loop.steps, found["b"].learner.optimizer.lr) == (100, 1e-4)


def test_only_the_first_stage_has_a_cold_start_unless_another_asks_for_one(tmp_path: Path) -> None:
    found = stage_settings(settings(tmp_path, a={}, b={}, c={"cold_start.enabled": True}))
    assert [stage.cold_start.enabled for stage in found.values()] == [True, False, True]


def test_a_stage_that_names_its_own_policy_starts_from_it_and_may_be_taught_by_an_earlier_one(tmp_path: Path) -> None:
    runs = Runs()
    assert run_stages(settings(tmp_path, a={"method": "sft"}, b=TAUGHT, c={}), runs) == 0
    _, afresh, last = runs.seen
    assert (afresh.policy.path, afresh.cold_start.enabled) == (None, False)
    assert afresh.distillation.teachers["agent"].path == str(tmp_path / "all" / "a" / "policy")
    assert last.policy.path == str(tmp_path / "all" / "b" / "policy")


def test_a_dry_run_shows_each_stage_from_the_policy_that_an_earlier_one_will_make(tmp_path: Path) -> None:
    runs = Runs()
    planned = settings(tmp_path, a={"method": "sft"}, b=TAUGHT, c={}).model_copy(update={"dry_run": True})
    assert run_stages(planned, runs.only_noted) == 0
    shown = runs.seen
    assert [stage.policy.path for stage in shown] == [None, None, "stage:b"]
    assert shown[1].distillation.teachers["agent"].path == "stage:a"
    assert not (tmp_path / "all").exists()


def test_a_stage_that_is_not_before_cannot_be_referred_to(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"stages\.a: stage:b is no earlier stage"):
        stage_settings(settings(tmp_path, a={"policy.path": "stage:b"}, b={}))


def test_a_task_that_is_null_is_none_of_the_stage(tmp_path: Path) -> None:
    written = tmp_path / "mine.yaml"
    written.write_text("stages: {a: {tasks.logic: null}, b: {}}\ntasks: {algebra: {family: algebra}, logic: {family: order}}\n")
    found = stage_settings(load([f"config={written}"]))
    assert [list(stage.tasks) for stage in found.values()] == [["algebra"], ["algebra", "logic"]]


def test_a_server_that_writes_answers_may_teach_one_stage_of_several(tmp_path: Path) -> None:
    written = tmp_path / "mine.yaml"
    teachers = "distillation: {teachers: {big: {path: accounts/fireworks/models/q, server: 'http://127.0.0.1:1/v1'}}}"
    stages = "stages: {a: {method: sft}, b: {method: off_policy_distill}, c: {distillation.teachers.big: null}}"
    written.write_text("\n".join(("tasks: {algebra: {family: algebra}}", stages, teachers)))
    found = stage_settings(load([f"config={written}"]))
    assert [stage.method for stage in found.values()] == ["sft", "off_policy_distill", "rl"]
    written.write_text("\n".join(("tasks: {algebra: {family: algebra}}", "stages: {c: {}}", teachers)))
    with pytest.raises(ConfigError, match=r"stages\.c: distillation\.teachers\.big\.server .*distillation\.teachers\.big=null"):
        stage_settings(load([f"config={written}"]))


def test_a_teacher_that_is_null_does_not_teach_in_that_stage(tmp_path: Path) -> None:
    written = tmp_path / "mine.yaml"
    teachers = "distillation: {teachers: {big: {path: x}, small: {path: y}}}"
    stages = "stages: {a: {}, b: {distillation.teachers.big: null}}"
    written.write_text("\n".join(("tasks: {algebra: {family: algebra}}", "loop: {refill: false}", stages, teachers)))
    found = stage_settings(load([f"config={written}"]))
    assert [list(stage.distillation.teachers) for stage in found.values()] == [["big", "small"], ["small"]]


def test_mistakes_of_all_stages_are_named_with_their_keys(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        stage_settings(settings(tmp_path, a={"loop.stepz": 7}, b={"method": "magic"}))
    assert "stages.a: unknown key loop.stepz; did you mean loop.steps?" in str(error.value)
    assert "stages.b: method" in str(error.value)


def test_a_mistake_in_a_stage_is_told_with_its_file_and_line(tmp_path: Path) -> None:
    written = tmp_path / "mine.yaml"
    written.write_text("tasks: {sums: {family: algebra}}\nstages:\n  a:\n    loop.stepz: 7\n  b:\n    tasks.sums.reward: mahts\n")
    arguments = [f"config={written}"]
    with pytest.raises(ConfigError) as error:
        stage_settings(load(arguments), read_layers(arguments))
    first, second = str(error.value).splitlines()
    assert first == f"{written}:4: stages.a: unknown key loop.stepz; did you mean loop.steps?"
    assert second.startswith(f"{written}:6: stages.b: tasks.sums.reward: unknown reward 'mahts'")


def test_what_a_stage_alone_names_is_looked_up_before_the_first_one_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        stage_settings(settings(tmp_path, a={"method": "sft"}, b={"tasks.algebra.reward": "mahts"}))
    assert "stages.b: tasks.algebra.reward: " in str(error.value)
    assert "did you mean" in str(error.value)


def test_the_preset_of_the_whole_recipe_has_stages_that_are_valid() -> None:
    found = stage_settings(load(["config=qwen3_vl_tiny"]))
    assert [stage.method for stage in found.values()] == ["sft", "off_policy_distill", "rl", "rl", "sft", "rl"]
    assert [name for name, stage in found.items() if stage.uses_loop and stage.uses_rewards] == ["4_reasoning_rl", "6_thinking_with_images"]
    assert len({frozenset(stage.tasks) for stage in found.values()}) == 1  # so that the table holds every task after every stage
    assert [len(stage.weights) for stage in found.values()] == [4, 4, 4, 4, 6, 6]


def test_the_comparison_starts_every_alternative_from_the_same_cold_start() -> None:
    found = stage_settings(load(["config=distillation_comparison"]))
    assert {stage.policy.path for name, stage in found.items() if name[0] in "2346"} == {"stage:1_cold_start"}
    assert found["5_off_then_on_policy"].policy.path == "stage:3_off_policy"
    assert [name for name, stage in found.items() if stage.uses_teachers and stage.distillation.teachers and stage.method != "sft"] == [
        "3_off_policy",
        "4_on_policy",
        "5_off_then_on_policy",
    ]
