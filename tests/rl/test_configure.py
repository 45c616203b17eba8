"""The command line and the presets: what is read, what is refused, and in which words."""

import io
import json
import uuid
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refused import TASK, refusal, write
from rich.console import Console

from rl.config.configure import load
from rl.config.error import ConfigError
from rl.config.keys import known_keys, slot_at
from rl.config.presets import presets
from rl.config.settings import RunSettings
from rl.config.usage import print_usage
from rl.records.run_folder import RunFolder


@pytest.mark.parametrize("name", [preset.name for preset in presets()])
def test_every_preset_loads_and_says_what_it_is_for(name: str) -> None:
    assert load([f"config={name}"]).name == name
    assert {preset.name: preset.summary for preset in presets()}[name]


def test_the_command_line_wins_over_the_file_and_the_file_over_what_it_extends(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "tasks: {sums: {family: algebra, weight: 2, pool: 10}}\nloop: {steps: 7, max_lag: 1}\n")
    write(tmp_path / "mine.yaml", "extends: base\ntasks: {sums: {weight: 3}}\nloop: {steps: 8}\n")
    found = load(["config=mine", "loop.steps=9"], tmp_path)
    assert (found.loop.steps, found.loop.max_lag) == (9, 1)
    assert (found.tasks["sums"].weight, found.tasks["sums"].pool, found.tasks["sums"].family) == (3.0, 10, "algebra")


def test_a_path_is_a_config_and_extends_is_seen_from_its_folder(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "tasks: {sums: {family: algebra}}\n")
    mine = write(tmp_path / "mine.yaml", "extends: ./base.yaml\nseed: 3\n")
    assert load([f"config={mine}"]).seed == 3


def test_tasks_merge_by_name_and_null_removes_one() -> None:
    found = load(["config=reasoning_rl", "tasks.counting=null", "tasks.more.family=order", "tasks.algebra.weight=2"])
    assert set(found.tasks) == {"algebra", "logic", "grounding", "more"}
    assert found.tasks["algebra"].weight == 2.0


PLUGIN = """
from rewards import Grade, reward

@reward("{name}", target="any")
def {name}(target, transcript):
    return Grade(1.0)
"""


def test_a_list_or_one_text_under_rewards_is_the_plug_ins_beside_the_other_keys(tmp_path: Path) -> None:
    file = write(tmp_path / "mine.py", PLUGIN.format(name="from_a_list"))
    spec = f"{file}:from_a_list"
    mine = write(tmp_path / "a.yaml", f"tasks: {{sums: {{family: algebra, reward: {{math: 1, from_a_list: 0.1}}}}}}\nrewards: [{spec}]\n")
    for arguments in (
        [f"config={mine}", "rewards.workers=2"],
        [TASK, f"rewards=[{spec}]", "rewards.workers=2", "tasks.sums.reward=from_a_list"],
        [TASK, f"rewards={spec}", "rewards.workers=2"],
        [TASK, f"rewards.plugins=[{spec}]", "rewards.workers=2"],
    ):
        found = load(arguments)
        assert (found.rewards.plugins, found.rewards.workers) == ((spec,), 2)
    assert load([f"config={mine}", "rewards=[]", "tasks.sums.reward=math"]).rewards.plugins == ()


def test_a_plug_in_that_does_not_load_is_told_with_the_line_of_the_settings_and_its_own(tmp_path: Path) -> None:
    file = write(tmp_path / "broken.py", "x = 1\nimport nothing_like_it\n")
    mine = write(tmp_path / "a.yaml", f"tasks: {{sums: {{family: algebra}}}}\nrewards:\n  - {file}\n")
    assert refusal(f"config={mine}") == (
        f"{mine}:2: rewards.plugins: plug-in {file} does not load: {file}, line 2: ModuleNotFoundError: No module named 'nothing_like_it'"
    )


def test_a_reward_that_is_called_by_its_file_is_told_the_way_out(tmp_path: Path) -> None:
    spec = f"{write(tmp_path / 'mine.py', PLUGIN.format(name='called_by_name'))}:called_by_name"
    assert f"name the file in rewards=[{spec}], and the reward as it is registered, such as called_by_name" in refusal(
        TASK, f"tasks.sums.reward={spec}"
    )


def test_null_removes_an_option_and_a_component_too(tmp_path: Path) -> None:
    mine = write(tmp_path / "a.yaml", "tasks: {sums: {family: algebra, options: {terms: 2, largest: 5}, reward: {math: 1, format: 0.1}}}\n")
    found = load([f"config={mine}", "tasks.sums.options.terms=null", "tasks.sums.reward.format=null"])
    assert found.tasks["sums"].options == {"largest": 5}
    assert found.tasks["sums"].reward == {"math": 1.0}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("tasks.countng", "did you mean tasks.counting?"),
        ("tasks.nothing_like_it", "tasks has algebra, logic, grounding, counting"),
        ("tasks.logic.reward.overlng", "did you mean tasks.logic.reward.overlong?"),
        ("tasks.algebra.columns.prompt", "tasks.algebra.columns has no entries"),
    ],
)
def test_a_null_that_removes_nothing_is_told_the_nearest_name(key: str, words: str) -> None:
    told = refusal("config=reasoning_rl", f"{key}=null")
    assert told == f"command line: {key}=null removes nothing: there is no {key}; {words}"


def test_a_task_without_an_origin_is_told_which_one_was_meant() -> None:
    told = "command line: tasks.algebr: a task takes exactly one of `family` and `data`; did you mean tasks.algebra?"
    assert refusal("config=reasoning_rl", "tasks.algebr.weight=2") == told


def test_values_are_yaml() -> None:
    found = load(
        [
            TASK,
            "learner.optimizer.lr=3e-5",
            "learner.optimizer.betas=[0.8, 0]",
            "rewards.coin_flip=on",
            "query_filter.enabled=off",
            "objective.importance_cap=null",
            "tasks.sums.reward={math: 1, format: 0.1}",
            "records.trackers=[]",
        ]
    )
    assert found.learner.optimizer.lr == 3e-5
    assert found.learner.optimizer.betas == (0.8, 0.0)
    assert (found.rewards.coin_flip, found.query_filter.enabled) == (True, False)
    assert found.objective.importance_cap is None
    assert found.tasks["sums"].reward == {"math": 1.0, "format": 0.1}
    assert found.records.trackers == ()


def test_a_number_in_a_file_may_be_written_3e_5(tmp_path: Path) -> None:
    mine = write(tmp_path / "a.yaml", "tasks: {sums: {family: algebra}}\nlearner: {optimizer: {lr: 3e-5}}\n")
    assert load([f"config={mine}"]).learner.optimizer.lr == 3e-5


def test_a_number_is_text_where_only_text_is_taken() -> None:
    found = load([TASK, "name=007", "runs=2026"])
    assert (found.name, found.runs) == ("007", Path("2026"))


@pytest.mark.parametrize(
    ("argument", "meant"),
    [
        ("loop.step=4", "loop.steps"),
        ("learner.lr=3", "learner.optimizer.lr"),
        ("lerner.optimizer.lr=3", "learner"),
        ("tasks.sums.wieght=2", "tasks.sums.weight"),
        ("tau_neg=1", "objective.tau_neg"),
    ],
)
def test_an_unknown_key_names_the_nearest(argument: str, meant: str) -> None:
    key = argument.partition("=")[0].split(".")[0] if argument.startswith("lerner") else argument.partition("=")[0]
    assert f"command line: unknown key {key}; did you mean {meant}" in refusal(TASK, argument)


def test_equally_near_keys_are_all_named() -> None:
    assert "did you mean learner.optimizer.lr or cold_start.optimizer.lr?" in refusal(TASK, "lr=1")


def test_a_key_that_resembles_nothing_gets_the_keys_of_its_group() -> None:
    assert refusal(TASK, "checkpoint.zzz=1") == "command line: unknown key checkpoint.zzz; the keys of checkpoint: every, keep"


def test_all_mistakes_are_told_at_once_each_with_its_file_and_line(tmp_path: Path) -> None:
    mine = write(tmp_path / "a.yaml", "tasks:\n  sums:\n    family: algebra\nloop:\n  stepz: 3\n  groups_per_batch: 0\n")
    assert sorted(refusal(f"config={mine}", "objective.name=sap").splitlines()) == [
        f"{mine}:5: unknown key loop.stepz; did you mean loop.steps?",
        f"{mine}:6: loop.groups_per_batch is 0, but takes a whole number of at least 1",
        "command line: objective.name is 'sap', but takes one of sapo, grpo, gspo",
    ]


@pytest.mark.parametrize(
    ("argument", "words"),
    [
        ("loop.steps=ten", "loop.steps is 'ten', but takes a whole number of at least 1"),
        ("loop.steps=2.5", "loop.steps is 2.5, but takes a whole number of at least 1"),
        ("loop.steps=true", "loop.steps is true, but takes a whole number of at least 1"),
        ("learner.optimizer.lr=.nan", "learner.optimizer.lr is nan, but takes a number above 0"),
        ("learner.optimizer.lr=.inf", "learner.optimizer.lr is inf, but takes a number above 0"),
        ("query_filter.max_pass_rate=1.5", "query_filter.max_pass_rate is 1.5, but takes a number from 0 to 1"),
        ("objective.importance_cap=0.5", "objective.importance_cap is 0.5, but takes a number of at least 1 or null"),
        ("rewards.plugins=a.py", "rewards.plugins is 'a.py', but takes a list [text, ...]"),
        (
            "learner.optimizer.betas=[0.9]",
            "learner.optimizer.betas is [0.9], but takes a list [a number of at least 0 and below 1, a number of at least 0 and below 1]",
        ),
        ("cold_start.validation_share=1.0", "cold_start.validation_share is 1.0, but takes a number of at least 0 and below 1"),
        ("tasks.sums.reward={math: much}", "tasks.sums.reward.math is 'much', but takes a number or a mapping {name: any value}"),
        ("checkpoint=null", "checkpoint is null, but takes a group of keys (every, keep)"),
        ("policy.tiny.num_kv_heads=2", "policy.tiny: num_heads=3 is no multiple of num_kv_heads=2, which they share"),
        ("tasks.sums.target=count", "tasks.sums: `columns` and `target` say how `data` is read: a family has neither"),
        ("tasks.sums.columns.promt=x", "tasks.sums: `columns` and `target` say how `data` is read: a family has neither"),
        ("tasks.sums.data=x.jsonl", "tasks.sums: a task takes exactly one of `family` and `data`"),
    ],
)
def test_an_impossible_value_is_told_what_is_allowed(argument: str, words: str) -> None:
    assert refusal(TASK, argument) == f"command line: {words}"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["loop.steps"], "loop.steps: there is no `=`, every argument is key=value; write loop.steps=<value>"),
        (["--loop.steps=3"], "--loop.steps=3: there are no flags, every argument is key=value; write loop.steps=3"),
        (["-v"], "-v: there are no flags, every argument is key=value; write v=<value>"),
        (["loop.steps="], "loop.steps=: the value is missing; write loop.steps=null for none"),
        (["loop..steps=3"], "loop..steps=3: 'loop..steps' is not a dotted key such as loop.steps"),
        (["loop.steps=3", "loop.steps=4"], "two values for loop.steps on the command line: loop.steps=3 and loop.steps=4"),
        (["loop.steps=3", "loop={steps: 4}"], "two values for loop.steps on the command line: loop.steps=3 and loop={steps: 4}"),
        (["tasks.a=null", "tasks.a.weight=2"], "two values for tasks.a on the command line: tasks.a=null and tasks.a.weight=2"),
        (["runs=${HOME}/x"], "runs=${HOME}/x: `${...}` is not expanded here; write the value itself"),
        (["config=3"], "config=3: takes the name of a preset, or the path of a YAML file"),
    ],
)
def test_an_argument_that_is_no_key_value_is_told_how_to_be_one(arguments: list[str], words: str) -> None:
    assert refusal(*arguments) == words


def test_a_value_that_is_no_yaml_is_told_to_take_quotes() -> None:
    assert refusal("name=[1").endswith("put it in quotes: name='\"[1\"'")
    assert load([TASK, "name='[1'"]).name == "[1"


def test_a_mode_that_is_named_twice_is_refused() -> None:
    assert "distillation.off_policy.modes: [thinking, thinking] names a mode twice" in refusal(
        TASK, "distillation.off_policy.modes=[thinking,thinking]"
    )
    assert load([TASK, "distillation.off_policy.modes=[thinking,non_thinking]"]).distillation.off_policy.modes[1] == "non_thinking"


def test_supervised_training_without_its_cold_start_is_refused() -> None:
    assert "method=sft is the cold start alone, and cold_start.enabled=false" in refusal(TASK, "method=sft", "cold_start.enabled=false")


def test_two_ranks_on_one_gpu_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"gpu_share=0.5 would put two of learner.ranks=2 on one GPU"):
        load(["config=reasoning_rl", "gpu_share=0.5", "learner.ranks=2"])
    assert load(["config=reasoning_rl", "gpu_share=0.5"]).gpu_share == 0.5


def test_an_unknown_preset_names_the_nearest() -> None:
    assert refusal("config=reasonning_rl").startswith("unknown preset 'reasonning_rl'; did you mean 'reasoning_rl'?")


def test_a_path_that_is_a_preset_without_its_folder_is_told_the_name() -> None:
    assert refusal("config=quickstart.yaml") == "no file quickstart.yaml; the preset is config=quickstart"


def test_only_one_level_of_extends(tmp_path: Path) -> None:
    write(tmp_path / "a.yaml", "seed: 1\n")
    write(tmp_path / "b.yaml", "extends: a\n")
    write(tmp_path / "c.yaml", "seed: 2\nextends: b\n")
    told = refusal("config=c", folder=tmp_path)
    assert told == f"{tmp_path / 'c.yaml'}:2: b itself extends a, and one level is all there is; extend a and copy the keys of b"


def test_an_unknown_preset_in_extends_is_told_with_its_line(tmp_path: Path) -> None:
    write(tmp_path / "base.yaml", "seed: 1\n")
    write(tmp_path / "c.yaml", "seed: 2\nextends: bass\n")
    assert refusal("config=c", folder=tmp_path).startswith(f"{tmp_path / 'c.yaml'}:2: extends: unknown preset 'bass'; did you mean 'base'?")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("loop:\n  steps: 3\n  steps: 4\n", ":3: found duplicate key steps"),
        ("loop: [1\n", ":2: expected ',' or ']', but got '<stream end>'"),
        ("- 1\n- 2\n", ": a settings file holds `key: value` lines, not [1, 2]"),
        ("name: ${oc.env:HOME}\n", ": `${...}` is not expanded here; write the value itself"),
    ],
)
def test_a_file_that_is_no_settings_file_is_told_why(tmp_path: Path, text: str, words: str) -> None:
    mine = write(tmp_path / "a.yaml", text)
    assert refusal(f"config={mine}") == f"{mine}{words}"


def test_help_says_every_key_whole_on_a_narrow_screen() -> None:
    console = Console(width=60, file=io.StringIO())
    assert print_usage(["help=keys"], console)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line.partition("=")[0] for line in lines if not line.startswith(" ")] == [".".join(key.path) for key in known_keys()]


def test_every_key_has_a_description_and_says_what_it_takes() -> None:
    keys = known_keys()
    assert len(keys) > 60
    assert all(key.description and key.allowed for key in keys)
    assert {".".join(key.path): key.default for key in keys}["cold_start.optimizer.lr"] == "0.002"
    assert all(slot_at(key.path) for key in keys)


TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=8).filter(lambda text: "${" not in text)
OVERRIDES = st.fixed_dictionaries(
    {},
    optional={
        "name": TEXTS.filter(lambda text: "/" not in text and text not in (".", ".."))
        | st.sampled_from(["3e-5", "on", "null", "1_0", "1:30", "~", "0x1", "=", "2026-01-01"]),
        "seed": st.integers(0, 2**63),
        "dry_run": st.booleans(),
        "learner.optimizer.lr": st.floats(1e-300, 1e300),
        "learner.optimizer.betas": st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2).map(list),
        "objective.importance_cap": st.none() | st.floats(1, 1e9),
        "records.trackers": st.lists(st.just("tensorboard")),
        "tasks.sums.options": st.fixed_dictionaries({}, optional={"terms": st.integers(2, 9)}),
        "tasks.sums.reward": st.dictionaries(st.sampled_from(["math", "format"]), st.floats(0.1, 1e9), min_size=1),
    },
)


def written_by_a_run(found: RunSettings, tmp_path: Path) -> Path:
    folder = RunFolder(tmp_path / uuid.uuid4().hex)
    with folder.claimed(found.model_dump(mode="json")):
        return folder.config_path


@given(OVERRIDES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_loading_the_resolved_file_gives_the_same_settings(tmp_path: Path, overrides: dict[str, object]) -> None:
    written = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in overrides.items()]
    found = load([TASK, *written])
    assert load([f"config={written_by_a_run(found, tmp_path)}"]) == found
    assert found.name == overrides.get("name", "run")


def test_the_resolved_file_holds_every_key(tmp_path: Path) -> None:
    resolved = yaml.safe_load(written_by_a_run(load(["config=quickstart"]), tmp_path).read_text())
    assert set(resolved) == set(RunSettings.model_fields)
    assert resolved["learner"]["old_logprobs"] == "behavior"


@pytest.mark.parametrize("name", ["mean", "a/b"])
def test_a_task_whose_metrics_would_collide_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"tasks.{name}: metrics are named"):
        load([f"tasks.{name}.family=algebra"])


@pytest.mark.parametrize("path", ["/models/Q", "accounts/fireworks/models/q"])
def test_the_model_of_a_server_is_no_folder_here(path: str) -> None:
    server = ["distillation.teachers.big.server=http://127.0.0.1:1/v1", f"distillation.teachers.big.path={path}"]
    assert load([TASK, "method=off_policy_distill", *server]).distillation.teachers["big"].path == path
