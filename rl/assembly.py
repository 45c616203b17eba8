"""The parts of a run, made as its settings say."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from rl.config.settings import RunSettings
from rl.training.frozen import FrozenPolicy
from rl.training.learner import Learner, Objective
from rl.training.model import SoftmaxSettings
from rollouts.generator import Generator, Sampling
from rollouts.group import GroupRunner
from rollouts.render import Renderer
from rollouts.tools.runner import ToolRunner
from rollouts.turns import TurnLimits, TurnLoop


def uses_bfloat16(settings: RunSettings) -> bool:
    """An emulated one is slower than float32."""
    dtype = settings.policy.dtype
    return dtype == "bfloat16" or (
        dtype == "auto" and torch.cuda.is_available() and torch.cuda.is_bf16_supported(including_emulation=False)
    )


def sampling(settings: RunSettings, renderer: Renderer) -> Sampling:
    return Sampling(settings.rollout.max_tokens, settings.rollout.temperature, renderer.banned_ids, renderer.stop_ids)


def softmax(settings: RunSettings, renderer: Renderer) -> SoftmaxSettings:
    """The learner's log-probs are those of the distribution that the generators sample from."""
    return SoftmaxSettings(settings.rollout.temperature, renderer.banned_ids, settings.learner.logits_chunk)


def build_turns(
    settings: RunSettings, generator: Generator, renderer: Renderer, runner: ToolRunner, how: Sampling | None = None
) -> TurnLoop:
    """The turn loop of the run's rollouts; `how` takes the place of their sampling."""
    limits, rollout = settings.rollout.limits, settings.rollout
    of_a_rollout = TurnLimits(limits.turns, limits.calls, limits.parallel_calls, limits.image_tokens, rollout.max_model_len, limits.seconds)
    return TurnLoop(generator, renderer, runner, how or sampling(settings, renderer), of_a_rollout, describe_tools=rollout.tools.describe)


def build_group_runner(
    settings: RunSettings, generator: Generator, renderer: Renderer, runner: ToolRunner, temperature: float
) -> GroupRunner:
    how = replace(sampling(settings, renderer), temperature=temperature)
    return GroupRunner(generator, renderer, how, build_turns(settings, generator, renderer, runner, how))


def tool_runner(settings: RunSettings) -> ToolRunner:
    tools = settings.rollout.tools
    return ToolRunner(tools.timeout_s, tools.workers, tools.settings, tools.plugins)


def build_generator(settings: RunSettings, path: Path, max_images: int) -> Callable[[], Generator]:
    """What a generator's process makes. The import is its own: the driver needs neither engine."""
    rollout = settings.rollout
    dtype = "bfloat16" if uses_bfloat16(settings) else "float32"

    def vllm() -> Generator:
        from rollouts.vllm_engine import VllmGenerator, VllmSettings

        return VllmGenerator(
            VllmSettings(
                model_path=path,
                max_model_len=rollout.max_model_len,
                max_images=max_images,
                max_num_seqs=rollout.max_num_seqs,
                dtype=dtype,  # type: ignore[arg-type]
                seed=settings.seed,
                kv_cache_mib=rollout.kv_cache_mib,
                gpu_memory_utilization=rollout.gpu_memory_utilization,
            )
        )

    def plain() -> Generator:
        from rollouts.torch_engine import TorchGenerator, TorchSettings

        return TorchGenerator(
            TorchSettings(
                model_path=path,
                max_model_len=rollout.max_model_len,
                max_images=max_images,
                max_num_seqs=rollout.max_num_seqs,
                dtype=dtype,  # type: ignore[arg-type]
            )
        )

    return vllm if rollout.engine == "vllm" else plain


def engine_preload(engine: Literal["vllm", "torch"]) -> str:
    """The module that takes long to import in a process that will hold such a generator."""
    return "rollouts.vllm_preload" if engine == "vllm" else "rollouts.torch_engine"


def build_learner(
    settings: RunSettings, path: Path, renderer: Renderer, objective: Callable[[SoftmaxSettings], Objective]
) -> Callable[[], Learner]:
    """`objective` is made in the learner's process, for the distribution that is trained."""
    distribution = softmax(settings, renderer)
    bfloat16 = uses_bfloat16(settings)

    def build() -> Learner:
        torch.manual_seed(settings.seed)
        return Learner(path, settings.learner, objective(distribution), distribution, settings.loop.steps, bfloat16=bfloat16)

    return build


def build_frozen(settings: RunSettings, path: Path, renderer: Renderer, vocab_size: int | None = None) -> Callable[[], FrozenPolicy]:
    """`vocab_size` cuts the distribution to a student's tokens."""
    distribution = replace(softmax(settings, renderer), vocab_size=vocab_size)
    bfloat16 = uses_bfloat16(settings)
    return lambda: FrozenPolicy(path, distribution, settings.learner.micro_batch_tokens, bfloat16=bfloat16)
