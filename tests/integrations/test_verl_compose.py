"""verl's configuration from our settings, checked by verl's own schema."""

import os
from pathlib import Path

import pytest
from omegaconf import DictConfig, OmegaConf

from rl.config.configure import load
from rl.config.error import ConfigError
from rl.config.presets import presets
from rl.config.settings import RunSettings
from rl.config.task_settings import TaskSettings
from rl.integrations.verl.compose import DataFiles, added, compose, values, with_values
from rl.integrations.verl.environment import run_environment
from rl.integrations.verl.launch import check_rewards
from tasks.build import build_task

FILES = DataFiles(Path("/data/train.parquet"), Path("/data/heldout.parquet"))
TRAINABLE = ("backend=verl", "policy.path=/models/cold", "cold_start.enabled=false", "query_filter.enabled=false")
ONE_TASK = ("tasks.algebra.family=algebra",)


def settings_of(*arguments: str) -> RunSettings:
    return load([*TRAINABLE, *ONE_TASK, *arguments])


# Without a GPU verl asks its platform what there is, at import.
os.environ.update(run_environment(settings_of(), on_cpu=True))


def composed(*arguments: str, on_cpu: bool = False) -> DictConfig:
    return compose(settings_of(*arguments), FILES, on_cpu=on_cpu)


def refusal(*arguments: str, on_cpu: bool = False) -> str:
    with pytest.raises(ConfigError) as caught:
        compose(load(["backend=verl", *ONE_TASK, *arguments]), FILES, on_cpu=on_cpu)
    return str(caught.value)


def is_for_verl(preset: str) -> bool:
    settings = load([f"config={preset}"])
    return settings.method == "rl" and not settings.distillation.teachers and not settings.stages


@pytest.mark.parametrize("preset", [preset.name for preset in presets() if is_for_verl(preset.name)])
@pytest.mark.parametrize("on_cpu", [False, True])
def test_every_preset_is_a_configuration_of_verl(preset: str, on_cpu: bool) -> None:
    settings = load([f"config={preset}", *TRAINABLE, "rewards.coin_flip=false", "further_supervised_s=null"])
    config = compose(settings, FILES, on_cpu=on_cpu)
    assert config.data.train_batch_size == settings.loop.groups_per_batch
    assert config.actor_rollout_ref.rollout.n == settings.rollout.group_size
    assert config.actor_rollout_ref.actor.ppo_mini_batch_size * settings.learner.mini_batches == settings.loop.groups_per_batch


def test_sapo_temperatures_are_the_actors_and_not_the_policy_losss() -> None:
    actor = composed("objective.tau_pos=1.25", "objective.tau_neg=1.5").actor_rollout_ref.actor
    assert (actor.policy_loss.loss_mode, actor.tau_pos, actor.tau_neg) == ("sapo", 1.25, 1.5)
    assert "tau_pos" not in actor.policy_loss
    assert actor.loss_agg_mode == "seq-mean-token-mean"


@pytest.mark.parametrize(("given", "samples", "temperature"), [((), True, 0.8), (("evaluation.temperature=0",), False, 0.0)])
def test_evaluations_have_a_temperature_of_their_own(given: tuple[str, ...], samples: bool, temperature: float) -> None:
    rollout = composed("rollout.temperature=0.8", *given).actor_rollout_ref.rollout
    assert rollout.temperature == 0.8
    assert (rollout.val_kwargs.do_sample, rollout.val_kwargs.temperature) == (samples, temperature)


def test_grpo_clips_as_ours_does_without_the_dual_clip() -> None:
    actor = composed("objective.name=grpo", "objective.clip_low=0.1", "objective.clip_high=0.3").actor_rollout_ref.actor
    assert (actor.policy_loss.loss_mode, actor.clip_ratio_low, actor.clip_ratio_high) == ("vanilla", 0.1, 0.3)
    assert actor.clip_ratio_c >= 1e6


def test_gspo_is_verls_gspo() -> None:
    assert composed("objective.name=gspo").actor_rollout_ref.actor.policy_loss.loss_mode == "gspo"


@pytest.mark.parametrize(
    ("ours", "theirs"), [("sequence", "seq-mean-token-mean"), ("token", "token-mean"), ("constant", "seq-mean-token-sum-norm")]
)
def test_aggregations_correspond(ours: str, theirs: str) -> None:
    actor = composed("objective.name=grpo", f"objective.aggregation={ours}", "rollout.max_tokens=96").actor_rollout_ref.actor
    assert (actor.loss_agg_mode, actor.loss_scale_factor) == (theirs, 96)


@pytest.mark.parametrize(
    ("ours", "estimator", "by_spread"), [("standardised", "grpo", True), ("centred", "grpo", False), ("leave_one_out", "rloo", False)]
)
def test_advantages_correspond(ours: str, estimator: str, by_spread: bool) -> None:
    algorithm = composed(f"objective.advantage={ours}").algorithm
    assert (algorithm.adv_estimator, algorithm.norm_adv_by_std_in_grpo) == (estimator, by_spread)


def test_the_engines_logprobs_are_the_old_ones_unless_the_learner_recomputes_them() -> None:
    correction = composed().algorithm.rollout_correction
    assert (correction.bypass_mode, correction.rollout_is) == (True, None)
    correction = composed("learner.old_logprobs=recompute", "objective.importance_cap=3").algorithm.rollout_correction
    assert (correction.bypass_mode, correction.rollout_is, correction.rollout_is_threshold) == (False, "token", 3.0)
    correction = composed("learner.old_logprobs=recompute", "objective.importance_cap=null").algorithm.rollout_correction
    assert (correction.bypass_mode, correction.rollout_is) == (False, None)


def test_a_reference_term_becomes_verls_kl_loss() -> None:
    actor = composed("objective.reference.coefficient=0.02", "objective.reference.estimator=k2").actor_rollout_ref.actor
    assert (actor.use_kl_loss, actor.kl_loss_coef, actor.kl_loss_type) == (True, 0.02, "k2")
    assert composed().actor_rollout_ref.actor.use_kl_loss is False


def test_warm_up_counts_batches_in_verl_and_optimizer_steps_here() -> None:
    optim = composed("learner.optimizer.warmup_steps=5", "learner.mini_batches=2").actor_rollout_ref.actor.optim
    assert optim.lr_warmup_steps == 3


def test_prompt_and_response_share_the_engines_length() -> None:
    config = composed("rollout.max_model_len=512", "rollout.max_tokens=200")
    assert (config.data.max_prompt_length, config.data.max_response_length) == (312, 200)


def test_nodes_accelerators_and_tensor_parallel_reach_verl() -> None:
    config = composed("verl.nnodes=2", "verl.gpus_per_node=8", "verl.tensor_parallel=4")
    assert (config.trainer.nnodes, config.trainer.n_gpus_per_node) == (2, 8)
    assert config.actor_rollout_ref.rollout.tensor_model_parallel_size == 4


def test_every_key_that_we_set_differs_by_name_from_those_that_we_add() -> None:
    settings = settings_of()
    for on_cpu in (False, True):
        assert not values(settings, FILES, on_cpu=on_cpu).keys() & added(settings, on_cpu=on_cpu).keys()


def test_a_key_that_verl_does_not_have_is_an_error() -> None:
    with pytest.raises(ConfigError, match=r"verl has no key actor_rollout_ref\.actor\.tau_positive"):
        with_values({"actor_rollout_ref.actor.tau_positive": 1.0}, {})


def test_a_key_that_verls_dataclasses_do_not_take_is_an_error() -> None:
    known = values(settings_of(), FILES, on_cpu=False)
    with pytest.raises(ConfigError, match="tau_pos"):
        with_values(known, {"actor_rollout_ref.actor.policy_loss.tau_pos": 1.0})


def test_a_value_that_verl_forbids_is_an_error() -> None:
    known = values(settings_of(), FILES, on_cpu=False)
    with pytest.raises(ConfigError, match="verl refuses the configuration"):
        with_values({**known, "actor_rollout_ref.actor.loss_agg_mode": "median"}, {})


def test_all_that_verl_cannot_do_is_refused_at_once_by_key() -> None:
    text = refusal("loop.max_lag=1", "rollout.engine=torch", "rewards.coin_flip=true")
    for key in ("policy.path", "cold_start.enabled", "query_filter.enabled", "loop.max_lag", "rollout.engine", "rewards.coin_flip"):
        assert f"backend=verl: {key}=" in text


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("objective.aggregation=token",), "objective.aggregation"),
        (("learner.optimizer.decay=linear",), "learner.optimizer.decay"),
        (("learner.mini_batches=3",), "learner.mini_batches"),
        (("loop.groups_per_batch=6", "learner.mini_batches=2", "rollout.group_size=2", "verl.gpus_per_node=4"), "loop.groups_per_batch"),
        (("verl.gpus_per_node=4", "verl.tensor_parallel=3"), "verl.tensor_parallel"),
        (("rollout.max_tokens=1024",), "rollout.max_tokens"),
        (("further_supervised_s=10",), "further_supervised_s"),
        (("method=dpo",), "method"),
        (("stages={a: {}, b: {}}",), "stages"),
        (("distillation.teachers.big.path=hub/teacher", "loop.refill=false"), "distillation.teachers"),
    ],
)
def test_a_setting_that_verl_cannot_honour_is_refused_by_name(arguments: tuple[str, ...], key: str) -> None:
    assert f"backend=verl: {key}=" in refusal(*TRAINABLE[1:], *arguments)


def test_tasks_with_tools_are_refused() -> None:
    tasks = {name: build_task(name, TaskSettings(family=name, heldout=1), 0) for name in ("algebra", "details")}
    with pytest.raises(ConfigError, match=r"tasks\.details has tools \(image_zoom_in_tool\).*backend=local"):
        check_rewards(tasks)


def test_a_reference_model_needs_a_gpu() -> None:
    assert "objective.reference.coefficient" in refusal(*TRAINABLE[1:], "objective.reference.coefficient=0.1", on_cpu=True)


def test_the_configuration_is_yaml_that_reads_back_equal() -> None:
    config = composed()
    assert OmegaConf.create(OmegaConf.to_yaml(config)) == config
