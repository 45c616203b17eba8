"""The plan of a run: sizes against real models, counts by hand, and what it warns of."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from omegaconf import OmegaConf
from rich.console import Console
from tiny_checkpoints import VOCABULARY
from transformers import AutoModelForImageTextToText, Qwen3Config, Qwen3ForCausalLM

from rl.config.configure import load
from rl.config.error import ConfigError
from rl.config.plan import plan
from rl.config.plan_display import print_plan
from rl.config.policy_shape import policy_shape, tiny_shape
from rl.config.processes import Machine
from rl.config.settings import RunSettings
from rl.config.supervised_settings import PolicySettings, TinyPolicySettings
from rl.policy import build_tiny_policy
from tasks.mixture import slots

LAPTOP = Machine(cores=2, gpus=0, memory_gib=16.0)


BASE = (
    "tasks={algebra: {family: algebra}, logic: {family: order}, grounding: {family: grounding}, counting: {family: counting}}",
    "cold_start={steps: 100}",
    "cold_start.optimizer.warmup_steps=50",
    "rollout={group_size: 8, max_tokens: 128, max_model_len: 1024, kv_cache_mib: 64}",
    "learner.mini_batches=2",
    "loop={steps: 100, groups_per_batch: 32, max_lag: 0}",
    "evaluation.every=20",
    "checkpoint.every=20",
)


IMITATING = ("method=off_policy_distill", "distillation.teachers.big.path=big", "loop.refill=false")


def settings(*arguments: str) -> RunSettings:
    """A fixed run, with these arguments on top; independent of what the presets are tuned to."""
    merged = OmegaConf.merge(OmegaConf.from_dotlist(list(BASE)), OmegaConf.from_dotlist(list(arguments)))
    return RunSettings.model_validate(OmegaConf.to_container(merged))


@pytest.mark.parametrize("tiny", [TinyPolicySettings(vocab_size=300), TinyPolicySettings(vocab_size=280, vision_depth=1, num_kv_heads=3)])
def test_the_tiny_policy_has_as_many_parameters_as_planned(tiny: TinyPolicySettings, tmp_path: Path) -> None:
    corpus = ["the red tile is left of the green tile, count them: 1 2 3", "what is the answer, think step by step " * 3]
    folder = build_tiny_policy(tiny, corpus, 0, tmp_path)
    model = AutoModelForImageTextToText.from_pretrained(folder)
    assert model.get_input_embeddings().num_embeddings == tiny.vocab_size
    planned = tiny_shape(tiny)
    assert planned.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert planned.vision_parameters == sum(parameter.numel() for parameter in model.model.visual.parameters())
    assert policy_shape(PolicySettings(path=str(folder))) == planned


def test_a_checkpoint_without_weights_has_the_size_of_its_config(tmp_path: Path) -> None:
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
    )
    config.save_pretrained(tmp_path)
    found = policy_shape(PolicySettings(path=str(tmp_path)))
    assert found is not None
    assert found.parameters == sum(parameter.numel() for parameter in Qwen3ForCausalLM(config).parameters())
    assert (found.vision_parameters, found.kv_heads, found.head_dim) == (0, 2, 8)
    # keys and values, 2 layers, 2 heads of 8, 4 bytes
    assert found.kv_bytes_per_token(4) == 2 * 2 * 2 * 8 * 4


def test_the_headers_of_all_weight_files_are_added_up(tmp_path: Path) -> None:
    text = {"num_attention_heads": 2, "num_hidden_layers": 1, "hidden_size": 8, "intermediate_size": 9, "vocab_size": 11}
    (tmp_path / "config.json").write_text(json.dumps({"text_config": text}))
    safetensors.torch.save_file({"model.visual.a": torch.zeros(3, 5)}, tmp_path / "model-1.safetensors", metadata={"format": "pt"})
    safetensors.torch.save_file({"model.language_model.b": torch.zeros(7)}, tmp_path / "model-2.safetensors")
    found = policy_shape(PolicySettings(path=str(tmp_path)))
    assert found is not None
    assert (found.parameters, found.vision_parameters, found.kv_heads, found.head_dim) == (22, 15, 2, 4)


def test_a_folder_without_a_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds no config"):
        policy_shape(PolicySettings(path=str(tmp_path)))


def test_a_policy_that_is_not_here_has_no_known_size() -> None:
    found = plan(settings("policy.path=Qwen/Qwen3-VL-2B-Instruct"), LAPTOP)
    assert (found.shape, found.memory_gib) == (None, None)


def test_stages_count_rollouts_and_tokens() -> None:
    chosen = settings(
        "tasks.algebra={pool: 10, heldout: 1}",
        "tasks.logic={pool: 18, heldout: 2}",
        "tasks.grounding={pool: 1, heldout: 3}",
        "tasks.counting={pool: 1, heldout: 5}",
        "loop={steps: 10, groups_per_batch: 4}",
        "rollout={group_size: 8, max_tokens: 100}",
        "query_filter.samples=16",
        "evaluation={every: 5, samples: 2, final_samples: 3}",
    )
    stages = {stage.name: (stage.rollouts, stage.max_tokens) for stage in plan(chosen, LAPTOP).stages}
    assert stages == {
        "cold start": (0, 0),
        "evaluation before": (11 * 3, 3300),
        "query filter": (30 * 16, 48000),
        "reinforcement learning": (10 * 4 * 8, 32000),
        # After step 5; the one after step 10 is the last.
        "evaluation during": (11 * 2, 2200),
        "evaluation after": (11 * 3, 3300),
    }


def test_the_plan_says_how_many_problems_there_are_to_train_on(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("")
    chosen = ["tasks.algebra.pool=10", f"tasks.mine={{data: {tmp_path}/rows.jsonl}}"]
    filtered, unfiltered = (plan(settings(*chosen, f"query_filter.enabled={on}"), LAPTOP) for on in ("true", "false"))
    assert [task.problems for task in filtered.tasks] == ["10", "256", "256", "256", "all rows"]
    assert [task.problems for task in unfiltered.tasks] == [*["ever new ones"] * 4, "all rows"]
    assert [stage.amount for stage in filtered.stages if stage.name == "query filter"] == ["778 problems x 16 and all rows of mine"]


def test_the_supervised_control_has_no_stage_of_reinforcement_learning() -> None:
    names = [stage.name for stage in plan(load(["config=reasoning_rl_further_supervised"]), LAPTOP).stages]
    assert names == ["cold start", "evaluation before", "further supervised training", "evaluation after"]


def test_a_reference_actor_is_planned_only_with_a_coefficient() -> None:
    roles = [[actor.role for actor in plan(settings(*extra), LAPTOP).actors] for extra in ([], ["objective.reference.coefficient=0.1"])]
    assert roles == [["driver", "generator", "learner", "reward worker"], ["driver", "generator", "learner", "reference", "reward worker"]]


def test_groups_of_a_batch_are_those_of_the_mixture() -> None:
    chosen = settings("tasks.algebra.weight=3", "tasks.counting.weight=0")
    assert {task.name: task.groups for task in plan(chosen, LAPTOP).tasks} == slots({"algebra": 3, "logic": 1, "grounding": 1}, 32) | {
        "counting": 0
    }


def test_adam_in_float32_takes_sixteen_bytes_a_parameter() -> None:
    small, large = (
        plan(settings("learner.micro_batch_tokens=1", "learner.logits_chunk=1", f"learner.ranks={ranks}"), LAPTOP) for ranks in (2, 1)
    )
    assert small.shape is not None
    memory = [next(actor.memory_gib for actor in found.actors if actor.role == "learner") for found in (small, large)]
    assert memory[0] is not None
    assert memory[1] is not None
    assert (memory[1] - memory[0]) * 2**30 == pytest.approx(8 * small.shape.parameters)


def test_the_default_preset_has_nothing_to_warn_of() -> None:
    assert plan(load(["config=reasoning_rl"]), LAPTOP).warnings == ()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["rollout.replicas=3"], "generators or learner run 3 threads at one time on 2 cores"),
        (["loop.max_lag=1", "learner.threads=2"], "with loop.max_lag=1 generators and learner run 3 threads"),
        (["learner.micro_batch_tokens=3000000"], "GiB and the machine has 16.0: lower learner.micro_batch_tokens=3000000"),
        (["rollout.kv_cache_mib=1", "rollout.max_model_len=4096"], "rollout.kv_cache_mib=1 cannot hold one sequence"),
        (["rollout.max_model_len=140", "rollout.max_tokens=128"], "rollout.max_model_len=140 is short of a prompt of tasks.algebra"),
        (["learner.mini_batches=1"], "learner.mini_batches=1 with loop.max_lag=0 never leaves the policy that sampled"),
        (["objective.tau_neg=0.95"], "objective.tau_neg=0.95 is below objective.tau_pos=1.0"),
        (["objective.name=gspo"], "GSPO's ratio is of a whole sequence"),
        (["rollout.group_size=2"], "rollout.group_size=2: the baseline is a mean of so few"),
        (["evaluation.temperature=0"], "evaluation.temperature=0 gives the same answer to each of evaluation's 16 samples"),
        (["loop.groups_per_batch=4"], "tasks.algebra has 1 of 4 groups in a batch, too few for one in each of learner.mini_batches=2"),
        (["tasks.logic.pool=7"], "tasks.logic.pool=7 is smaller than its 8 groups in a batch"),
        (["loop.steps=10"], "checkpoint.every=20 is more than loop.steps=10"),
        (["evaluation.every=100"], "evaluation.every=100 is not below loop.steps=100"),
        (["learner.optimizer.warmup_steps=200"], "learner.optimizer.warmup_steps=200 is all of the 200 optimizer steps"),
        (["cold_start.steps=50"], "cold_start.optimizer.warmup_steps=50 is all of cold_start.steps=50"),
        (["policy.path=Qwen/some-name", "learner.optimizer.lr=1e-4"], "learner.optimizer.lr=0.0001 is a rate for a tiny policy"),
        (
            ["policy.path=Qwen/some-name", "method=sft", "cold_start.optimizer.lr=1e-3"],
            "cold_start.optimizer.lr=0.001 is a rate for a tiny",
        ),
        (
            ["policy.path=Qwen/some-name", "method=dpo", "learner.optimizer.lr=1e-4"],
            "learner.optimizer.lr=0.0001 is a rate for a tiny policy",
        ),
        (
            ["policy.path=Qwen/some-name", *IMITATING, "cold_start.enabled=false"],
            "distillation.off_policy.supervised.optimizer.lr=0.002 is a rate for a tiny policy; for Qwen/some-name 1e-5 is usual",
        ),
        (["method=sft", "learner.freeze_vision=true"], "cold_start.freeze_vision=true freezes it there too"),
        ([*IMITATING, "learner.freeze_vision=true"], "distillation.off_policy.supervised.freeze_vision=true freezes it there too"),
        (
            ["method=sft", "learner.micro_batch_tokens=512"],
            "learner.micro_batch_tokens=512 does not count in supervised training: cold_start.",
        ),
        (
            ["tasks.logic.reward={text: 1.0, overlong: {settings: {limit: 127, slope: 8}}}"],
            "tasks.logic.reward: overlong punishes more than 127",
        ),
        (["cold_start.enabled=false"], "cold_start.enabled=false with a policy that was just built"),
    ],
)
def test_what_is_rarely_meant_is_warned_of(arguments: list[str], words: str) -> None:
    assert any(words in warning for warning in plan(settings(*arguments), LAPTOP).warnings)


def test_images_count_as_a_tiny_policy_sees_them() -> None:
    assert plan(load(["config=thinking_with_images"]), LAPTOP).warnings == ()
    seen_whole = plan(load(["config=thinking_with_images", "policy.tiny.max_image_pixels=1048576"]), LAPTOP).warnings
    assert any("short of a prompt of tasks.details" in warning for warning in seen_whole)


@pytest.mark.parametrize(("pixels", "warned"), [(9216, False), (1048576, True)])
def test_images_count_as_a_checkpoint_here_sees_them(pixels: int, warned: bool, tmp_path: Path) -> None:
    folder = build_tiny_policy(TinyPolicySettings(max_image_pixels=pixels), ["the red tile"], 0, tmp_path)
    warnings = plan(load(["config=thinking_with_images", f"policy.path={folder}"]), LAPTOP).warnings
    assert any("short of a prompt of tasks.details" in warning for warning in warnings) == warned


def test_rates_and_lengths_that_fit_are_no_warning() -> None:
    fitting = [
        "policy.path=Qwen/some-name",
        "learner.optimizer.lr=1e-6",
        "cold_start.optimizer.lr=1e-5",
        "tasks.logic.reward={text: 1.0, overlong: {settings: {limit: 128, slope: 8}}}",
    ]
    assert not any("tiny policy" in warning or "overlong" in warning for warning in plan(settings(*fitting), LAPTOP).warnings)


def test_a_fresh_policy_that_is_only_to_imitate_is_no_warning() -> None:
    imitating = settings("cold_start.enabled=false", "method=off_policy_distill", "distillation.teachers.big.path=big", "loop.refill=false")
    assert not any("just built" in warning for warning in plan(imitating, LAPTOP).warnings)


def test_teachers_answers_that_no_rollout_holds_are_warned_of() -> None:
    imitating = ["cold_start.enabled=false", "method=off_policy_distill", "distillation.teachers.big.path=big", "loop.refill=false"]
    room = ["rollout.max_model_len=256", "rollout.max_tokens=64"]
    said = "rollout.max_model_len=256 is short of distillation.off_policy.max_tokens=4096"
    for tokens, warned in ((4096, True), (64, False)):
        made = settings(*imitating, *room, f"distillation.off_policy.max_tokens={tokens}")
        assert any(said in warning for warning in plan(made, LAPTOP).warnings) == warned


def test_answers_in_both_modes_are_counted_in_both() -> None:
    asked = ["distillation.off_policy.problems=8", "distillation.off_policy.samples=3"]
    imitating = ["method=off_policy_distill", "distillation.teachers.big.path=big", "loop.refill=false", *asked]
    one, both = (settings(*imitating, *modes) for modes in ([], ["distillation.off_policy.modes=[thinking,non_thinking]"]))
    counts = [next(stage.rollouts for stage in plan(made, LAPTOP).stages if stage.name == "teachers' answers") for made in (one, both)]
    assert counts == [3 * 8 * len(one.tasks), 6 * 8 * len(one.tasks)]


def test_one_mini_batch_is_no_warning_where_rollouts_lag() -> None:
    found = plan(settings("learner.mini_batches=1", "loop.max_lag=1"), LAPTOP).warnings
    assert not any("mini_batches=1 with" in warning for warning in found)


def gpus_told(gpus: int, *more: str) -> list[str]:
    found = plan(settings(*more), Machine(cores=16, gpus=gpus, memory_gib=128.0))
    return [warning for warning in found.warnings if "of a GPU each" in warning]


@pytest.mark.parametrize(
    ("gpus", "more", "way_out"),
    [
        (1, ("rollout.replicas=2",), "rollout.replicas=1 gpu_share=0.5 rollout.gpu_memory_utilization=0.4"),
        (2, ("rollout.replicas=2",), "rollout.replicas=1"),
        (2, ("rollout.replicas=2", "learner.ranks=2"), "rollout.replicas=1 learner.ranks=1"),
        (1, ("objective.reference.coefficient=0.1",), "gpu_share=0.33 rollout.gpu_memory_utilization=0.26"),
        (1, ("rollout.replicas=1", "gpu_share=0.6"), "gpu_share=0.5 rollout.gpu_memory_utilization=0.4"),
    ],
)
def test_too_few_gpus_are_told_with_the_keys_that_fit(gpus: int, more: tuple[str, ...], way_out: str) -> None:
    (told,) = gpus_told(gpus, *more)
    assert f"add `{way_out}`" in told
    changed = {key.split("=")[0] for key in way_out.split()}
    assert not gpus_told(gpus, *(key for key in more if key.split("=")[0] not in changed), *way_out.split())


def test_processes_that_share_a_gpu_are_no_reason_to_warn() -> None:
    shared = plan(settings("rollout.replicas=1", "gpu_share=0.5"), Machine(cores=16, gpus=1, memory_gib=128.0))
    assert not any("GPUs" in warning for warning in shared.warnings)
    assert [actor.gpus for actor in shared.actors if actor.role in ("generator", "learner")] == [0.5, 0.5]


@pytest.mark.parametrize("width", [72, 80, 160])
def test_the_printed_plan_names_actors_stages_and_warnings(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), record=True)
    print_plan(plan(settings("learner.mini_batches=1"), LAPTOP), console)
    text = console.export_text()
    assert all(len(line) <= width for line in text.splitlines())
    words = " ".join(text.split())
    for expected in ("generator", "grounding", "warning: learner.mini_batches=1", "2 cores"):
        assert expected in words


@pytest.mark.parametrize(
    ("arguments", "spoken_of"),
    [(["loop.refill=true"], True), (["loop.refill=false"], False), (["loop.refill=true", "method=sft"], False)],
)
def test_the_printed_plan_speaks_of_refilled_groups_only_where_there_are_some(arguments: list[str], spoken_of: bool) -> None:
    console = Console(width=160, file=io.StringIO(), record=True)
    print_plan(plan(settings(*arguments), LAPTOP), console)
    assert ("sampled anew" in console.export_text()) is spoken_of


def test_a_run_prints_the_warnings_of_its_plan_too(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_text("no row\n")
    arguments = ["tasks.sums={data: bad.jsonl, heldout: 1}", "cold_start.enabled=false", "rollout.max_tokens=64"]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-m", "rl.run", *arguments], capture_output=True, text=True, cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == 2
    assert "warning: cold_start.enabled=false with a policy that was just built: it is untrained, and no reward will come" in done.stderr
    assert done.stderr.index("warning: ") < done.stderr.index("bad.jsonl cannot be read")


def test_a_plan_needs_no_heavy_import() -> None:
    code = (
        "import sys\nfrom rl.config.configure import load\nfrom rl.config.plan import plan\nimport rl.run\n"
        "plan(load(['config=reasoning_rl']))\n"
        "print([name for name in ('torch', 'ray', 'vllm', 'transformers', 'sympy') if name in sys.modules])"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout.strip() == "[]"
