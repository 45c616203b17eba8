"""Our settings as verl's configuration: its own default, with the keys that we set, every one of which it must know.

values(settings, ...)  dotted key -> value                pure; the table of what corresponds to what
compose(settings, ...) verl's complete configuration      checked by verl's own schema
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rewards.plugins import absolute
from rl.config.error import ConfigError
from rl.config.settings import RunSettings
from rl.integrations.verl.limits import refusals
from tasks.message import Json

if TYPE_CHECKING:
    from omegaconf import DictConfig

LOSS_MODES = {"sapo": "sapo", "grpo": "vanilla", "gspo": "gspo"}
AGGREGATIONS = {"sequence": "seq-mean-token-mean", "token": "token-mean", "constant": "seq-mean-token-sum-norm"}
# (estimator, whether it divides by the spread of the group)
ADVANTAGES = {"standardised": ("grpo", True), "centred": ("grpo", False), "leave_one_out": ("rloo", False)}
# verl's `vanilla` also clips from below where the advantage is negative (dual clip); ours does not, so the bound is out of reach.
NO_DUAL_CLIP = 1e6
PACKAGE = "rl.integrations.verl"
ACTOR, ROLLOUT, MODEL = "actor_rollout_ref.actor", "actor_rollout_ref.rollout", "actor_rollout_ref.model"


@dataclass(frozen=True, slots=True)
class DataFiles:
    """Parquet files as `data.write_data` makes them."""

    train: Path
    heldout: Path


def compose(settings: RunSettings, files: DataFiles, *, on_cpu: bool) -> "DictConfig":
    """verl's configuration. Raises `ConfigError` for what verl cannot do, and for a key or value that its schema does not take."""
    mistakes = refusals(settings, on_cpu=on_cpu)
    if mistakes:
        raise ConfigError(*(f"backend=verl: {mistake}" for mistake in mistakes))
    return with_values(values(settings, files, on_cpu=on_cpu), added(settings, on_cpu=on_cpu))


def with_values(known: Mapping[str, Json], new: Mapping[str, Json]) -> "DictConfig":
    """verl's default configuration with `known` keys changed and `new` ones added (verl's `+key`), checked by verl's schema."""
    from hydra import compose as hydra_compose
    from hydra import initialize_config_module
    from hydra.errors import InstantiationException
    from omegaconf import OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from verl.trainer.ppo.utils import need_critic, need_reference_policy
    from verl.utils.config import omega_conf_to_dataclass, validate_config

    with initialize_config_module("verl.trainer.config", version_base=None):
        config = hydra_compose("ppo_trainer")
    for key, value in known.items():
        # `in` denies keys that are still to be set (`???`), and `select` those that are null.
        parent, _, name = key.rpartition(".")
        group = OmegaConf.select(config, parent) if parent else config
        if group is None or name not in set(group):
            raise ConfigError(f"verl has no key {key}; it is set by {PACKAGE}.compose, which was written for verl 0.9.1")
        OmegaConf.update(config, key, value, force_add=False)
    for key, value in new.items():
        OmegaConf.update(config, key, value, force_add=True)
    try:
        validate_config(config, need_reference_policy(config), need_critic(config))
        for group in (ACTOR, ROLLOUT, "algorithm"):
            omega_conf_to_dataclass(OmegaConf.select(config, group))
    except (AssertionError, ValueError, TypeError, OmegaConfBaseException, InstantiationException) as error:
        raise ConfigError(f"verl refuses the configuration: {error}") from error
    return config


def values(settings: RunSettings, files: DataFiles, *, on_cpu: bool) -> dict[str, Json]:
    """Every key of verl's that we set, without what exists only when added."""
    return {
        **_data(settings, files),
        **_actor(settings, on_cpu),
        **_objective(settings),
        **_rollout(settings, on_cpu),
        **_trainer(settings),
        **(_cpu() if on_cpu else {}),
    }


def added(settings: RunSettings, *, on_cpu: bool) -> dict[str, Json]:
    """Keys that verl reads but does not list in its defaults."""
    rewards = settings.rewards
    limits: dict[str, Json] = {
        "plugins": [absolute(plugin) for plugin in rewards.plugins],
        "workers": rewards.workers,
        "timeout_s": rewards.timeout_s,
        "memory_mib": rewards.memory_mib,
    }
    new: dict[str, Json] = {"reward.custom_reward_function.reward_kwargs": limits}
    if on_cpu:
        fp32: dict[str, Json] = {"param_dtype": "fp32", "reduce_dtype": "fp32", "buffer_dtype": "fp32"}
        new |= {
            f"{ACTOR}.fsdp_config.mixed_precision": fp32,
            f"{MODEL}.override_config.attn_implementation": "sdpa",
            f"{ROLLOUT}.enable_sleep_mode": False,
            f"{ROLLOUT}.engine_kwargs.vllm.worker_extension_cls": f"{PACKAGE}.cpu_worker.CpuWorkerExtension",
            f"{ROLLOUT}.engine_kwargs.vllm.kv_cache_memory_bytes": settings.rollout.kv_cache_mib << 20,
            f"{ROLLOUT}.engine_kwargs.vllm.block_size": 32,
            # Logical: Ray's scheduler counts them, nothing has to exist.
            "ray_kwargs.ray_init.num_gpus": settings.verl.gpus_per_node,
            "ray_kwargs.ray_init.include_dashboard": False,
        }
    return new


def _data(settings: RunSettings, files: DataFiles) -> dict[str, Json]:
    rollout = settings.rollout
    return {
        "data.train_files": str(files.train),
        "data.val_files": str(files.heldout),
        "data.train_batch_size": settings.loop.groups_per_batch,
        "data.max_prompt_length": rollout.max_model_len - rollout.max_tokens,
        "data.max_response_length": rollout.max_tokens,
        # The rows stand in the order of the batches: `data.write_data`.
        "data.shuffle": False,
        "data.seed": settings.seed,
        "data.dataloader_num_workers": 0,
        "data.custom_cls.path": f"pkg://{PACKAGE}.dataset",
        "data.custom_cls.name": "ProblemDataset",
        "reward.num_workers": settings.verl.nnodes,
        "reward.custom_reward_function.path": f"pkg://{PACKAGE}.reward",
        "reward.custom_reward_function.name": "compute_score",
        "reward.reward_manager.source": "importlib",
        "reward.reward_manager.name": "TranscriptRewards",
        "reward.reward_manager.module.path": f"pkg://{PACKAGE}.reward_manager",
    }


def _actor(settings: RunSettings, on_cpu: bool) -> dict[str, Json]:
    learner, optimizer = settings.learner, settings.learner.optimizer
    longest = max(learner.micro_batch_tokens, settings.rollout.max_model_len)
    float32 = on_cpu or settings.policy.dtype == "float32"
    return {
        f"{MODEL}.path": settings.policy.path,
        f"{MODEL}.enable_gradient_checkpointing": learner.gradient_checkpointing,
        f"{ACTOR}.strategy": "fsdp2",
        f"{ACTOR}.fsdp_config.strategy": "fsdp2",
        f"{ACTOR}.fsdp_config.dtype": "float32" if float32 else "bfloat16",
        f"{ACTOR}.fsdp_config.seed": settings.seed,
        f"{ACTOR}.freeze_vision_tower": learner.freeze_vision,
        f"{ACTOR}.ppo_mini_batch_size": settings.loop.groups_per_batch // learner.mini_batches,
        f"{ACTOR}.use_dynamic_bsz": True,
        f"{ACTOR}.ppo_max_token_len_per_gpu": longest,
        f"{ACTOR}.entropy_from_logits_chunk_size": learner.logits_chunk,
        f"{ACTOR}.data_loader_seed": settings.seed,
        f"{ACTOR}.grad_clip": optimizer.max_grad_norm,
        f"{ACTOR}.optim.clip_grad": optimizer.max_grad_norm,
        f"{ACTOR}.optim.lr": optimizer.lr,
        # verl's schedule moves once a batch, ours once an optimizer step.
        f"{ACTOR}.optim.lr_warmup_steps": -(-optimizer.warmup_steps // learner.mini_batches),
        f"{ACTOR}.optim.lr_scheduler_type": optimizer.decay,
        f"{ACTOR}.optim.min_lr_ratio": optimizer.final_lr_share,
        f"{ACTOR}.optim.weight_decay": optimizer.weight_decay,
        f"{ACTOR}.optim.betas": list(optimizer.betas),
    }


def _objective(settings: RunSettings) -> dict[str, Json]:
    objective, reference = settings.objective, settings.objective.reference
    estimator, by_spread = ADVANTAGES[objective.advantage]
    recompute = settings.learner.old_logprobs == "recompute"
    return {
        f"{ACTOR}.policy_loss.loss_mode": LOSS_MODES[objective.name],
        # Not policy_loss.tau_pos, which verl's own example sets and its schema refuses.
        f"{ACTOR}.tau_pos": objective.tau_pos,
        f"{ACTOR}.tau_neg": objective.tau_neg,
        f"{ACTOR}.clip_ratio_low": objective.clip_low,
        f"{ACTOR}.clip_ratio_high": objective.clip_high,
        f"{ACTOR}.clip_ratio_c": NO_DUAL_CLIP,
        f"{ACTOR}.loss_agg_mode": AGGREGATIONS[objective.aggregation],
        f"{ACTOR}.loss_scale_factor": settings.rollout.max_tokens,
        f"{ACTOR}.use_kl_loss": reference.coefficient > 0,
        f"{ACTOR}.kl_loss_coef": reference.coefficient,
        f"{ACTOR}.kl_loss_type": reference.estimator,
        "algorithm.adv_estimator": estimator,
        "algorithm.norm_adv_by_std_in_grpo": by_spread,
        # pi_old = the engine's log-probs, so there is no mismatch left to weigh; else truncated importance weights a token.
        "algorithm.rollout_correction.bypass_mode": not recompute,
        "algorithm.rollout_correction.rollout_is": "token" if recompute and objective.importance_cap is not None else None,
        "algorithm.rollout_correction.rollout_is_threshold": objective.importance_cap or 1.0,
        "algorithm.filter_groups.enable": settings.loop.refill,
        "algorithm.filter_groups.metric": "reward",
        "algorithm.filter_groups.max_num_gen_batches": settings.loop.max_refills,
    }


def _rollout(settings: RunSettings, on_cpu: bool) -> dict[str, Json]:
    rollout = settings.rollout
    float32 = on_cpu or settings.policy.dtype == "float32"
    return {
        f"{ROLLOUT}.name": "vllm",
        f"{ROLLOUT}.n": rollout.group_size,
        f"{ROLLOUT}.temperature": rollout.temperature,
        f"{ROLLOUT}.max_model_len": rollout.max_model_len,
        f"{ROLLOUT}.max_num_seqs": rollout.max_num_seqs,
        f"{ROLLOUT}.max_num_batched_tokens": max(8192, rollout.max_model_len),
        f"{ROLLOUT}.gpu_memory_utilization": rollout.gpu_memory_utilization,
        f"{ROLLOUT}.tensor_model_parallel_size": settings.verl.tensor_parallel,
        f"{ROLLOUT}.dtype": "float32" if float32 else "bfloat16",
        f"{ROLLOUT}.load_format": "auto",
        f"{ROLLOUT}.seed": settings.seed,
        f"{ROLLOUT}.calculate_log_probs": True,
        f"{ROLLOUT}.val_kwargs.n": settings.evaluation.samples,
        f"{ROLLOUT}.val_kwargs.do_sample": settings.evaluation_temperature > 0,
        f"{ROLLOUT}.val_kwargs.temperature": settings.evaluation_temperature,
    }


def _trainer(settings: RunSettings) -> dict[str, Json]:
    folder = settings.runs.resolve() / settings.name
    return {
        "trainer.nnodes": settings.verl.nnodes,
        "trainer.n_gpus_per_node": settings.verl.gpus_per_node,
        "trainer.total_training_steps": settings.loop.steps,
        # One pass over the rows is the whole run; replaced groups use up more of them.
        "trainer.total_epochs": 1 + settings.loop.max_refills if settings.loop.refill else 1,
        "trainer.project_name": "posttrain",
        "trainer.experiment_name": settings.name,
        "trainer.logger": ["console", *settings.records.trackers],
        "trainer.save_freq": settings.checkpoint.every,
        "trainer.max_actor_ckpt_to_keep": settings.checkpoint.keep,
        "trainer.default_local_dir": str(folder / "checkpoints"),
        "trainer.rollout_data_dir": str(folder / "rollouts"),
        "trainer.val_before_train": True,
        "trainer.test_freq": settings.evaluation.every,
    }


def _cpu() -> dict[str, Json]:
    """Small enough for a laptop, and without what needs a GPU."""
    return {
        f"{MODEL}.use_remove_padding": False,
        f"{ACTOR}.use_torch_compile": False,
        f"{ACTOR}.fsdp_config.use_torch_compile": False,
        f"{ROLLOUT}.enforce_eager": True,
        f"{ROLLOUT}.free_cache_engine": False,
        f"{ROLLOUT}.checkpoint_engine.update_weights_bucket_megabytes": 16,
        f"{ROLLOUT}.agent.num_workers": 1,
        "transfer_queue.backend.SimpleStorage.num_data_storage_units": 1,
        "ray_kwargs.ray_init.num_cpus": 16,
    }
