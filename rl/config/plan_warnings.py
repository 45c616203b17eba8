"""What is allowed but rarely meant: settings that will run and disappoint."""

import json
import math
import os
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

from rewards.mixture import spec_of
from rl.config.policy_shape import PolicyShape
from rl.config.processes import Actor, Machine, bytes_per_value, gpu_shortage
from rl.config.settings import STAGE, LearnerSettings, RunSettings
from rl.config.supervised_settings import PolicySettings, SupervisedSettings
from rl.config.task_settings import TaskSettings
from tasks.families import make_family
from tasks.mixture import slots

PATCH = 32
TEMPLATE_TOKENS = 12
# Above this size reinforcement learning of all weights takes rates of about 1e-6, supervised training of about 1e-5.
LARGE_POLICY, LARGE_RATE, LARGE_SUPERVISED_RATE = 200_000_000, 2e-5, 1e-4
# Text tokens a byte: a tokenizer of a few hundred entries knows few words, a large one has about four bytes a token.
TINY_TOKENS_PER_BYTE, LARGE_TOKENS_PER_BYTE = 0.6, 0.3


def warnings(settings: RunSettings, shape: PolicyShape | None, machine: Machine, actors: Sequence[Actor]) -> Iterator[str]:
    yield from _hardware(settings, machine, actors)
    yield from _cache(settings, shape, machine)
    yield from _lengths(settings)
    yield from _rate(settings, shape)
    yield from _learners_keys(settings)
    if settings.uses_loop:
        if settings.uses_rewards:
            yield from _objective(settings)
        yield from _batches(settings)
        yield from _schedule(settings)
    yield from _cold_start(settings)


def _hardware(settings: RunSettings, machine: Machine, actors: Sequence[Actor]) -> Iterator[str]:
    by_role = {actor.role: actor for actor in actors}
    if machine.gpus and not os.environ.get("RAY_ADDRESS") and (shortage := gpu_shortage(settings, actors, machine.gpus)):
        yield shortage
    if not machine.gpus:
        sampling = by_role["generator"].count * by_role["generator"].threads
        training = by_role["learner"].count * by_role["learner"].threads
        together = sampling + training if settings.loop.max_lag else max(sampling, training)
        if together > machine.cores:
            when = f"with loop.max_lag={settings.loop.max_lag} generators and learner" if settings.loop.max_lag else "generators or learner"
            yield f"{when} run {together} threads at one time on {machine.cores} cores: they will be slower than fewer"
        known = [actor.count * actor.memory_gib for actor in actors if actor.memory_gib is not None]
        if sum(known) > machine.memory_gib:
            yield (
                f"the processes need about {sum(known):.1f} GiB and the machine has {machine.memory_gib:.1f}: lower "
                f"learner.micro_batch_tokens={settings.learner.micro_batch_tokens} or rollout.kv_cache_mib={settings.rollout.kv_cache_mib}"
            )


def _cache(settings: RunSettings, shape: PolicyShape | None, machine: Machine) -> Iterator[str]:
    if shape is None or machine.gpus or settings.rollout.engine != "vllm":
        return
    need_mib = settings.rollout.max_model_len * shape.kv_bytes_per_token(bytes_per_value(settings, machine)) / 2**20
    if need_mib > settings.rollout.kv_cache_mib:
        yield (
            f"rollout.kv_cache_mib={settings.rollout.kv_cache_mib} cannot hold one sequence of rollout.max_model_len="
            f"{settings.rollout.max_model_len}: {need_mib:.0f} MiB are needed"
        )


def _lengths(settings: RunSettings) -> Iterator[str]:
    rollout = settings.rollout
    if (settings.policy.path or "").startswith(STAGE):
        return  # Whose tokenizer it will have is not known yet.
    for name, task in settings.tasks.items():
        prompt = prompt_tokens(task, settings.policy)
        if prompt is not None and prompt + rollout.max_tokens > rollout.max_model_len:
            yield (
                f"rollout.max_model_len={rollout.max_model_len} is short of a prompt of tasks.{name} (about {prompt} tokens) and "
                f"rollout.max_tokens={rollout.max_tokens}"
            )
    off = settings.distillation.off_policy
    on_engines = any(teacher.server is None for teacher in settings.distillation.teachers.values())
    if settings.method == "off_policy_distill" and on_engines and off.max_tokens >= rollout.max_model_len:
        yield (
            f"rollout.max_model_len={rollout.max_model_len} is short of distillation.off_policy.max_tokens={off.max_tokens} and a prompt: "
            "longer answers of teachers on our engines will be incomplete; raise rollout.max_model_len"
        )
    if settings.uses_rewards:
        yield from _overlong(settings)


def _overlong(settings: RunSettings) -> Iterator[str]:
    tokens = settings.rollout.max_tokens
    for name, task in settings.tasks.items():
        for limit in _overlong_limits(task):
            if limit < tokens:
                yield (
                    f"tasks.{name}.reward: overlong punishes more than {limit} characters, and rollout.max_tokens={tokens} allows many "
                    f"times that (tasks.{name}.reward.overlong=null removes it)"
                )


def _overlong_limits(task: TaskSettings) -> Iterator[int]:
    """Characters: the limit of each `overlong` that the task's reward holds with a limit of its own."""
    for component in spec_of(task.reward).components if task.reward is not None else ():
        limit = component.settings.get("limit")
        if component.reward == "overlong" and component.settings.get("unit", "characters") == "characters" and isinstance(limit, int):
            yield limit


def _rate(settings: RunSettings, shape: PolicyShape | None) -> Iterator[str]:
    path = settings.policy.path
    if path is None or path.startswith(STAGE) or (shape is not None and shape.parameters <= LARGE_POLICY):
        return
    trained = [(key, supervised.optimizer.lr, LARGE_SUPERVISED_RATE, "1e-5") for key, supervised in _supervised(settings)]
    if settings.uses_loop or _is_dpo(settings):
        trained.append(("learner", settings.learner.optimizer.lr, LARGE_RATE, "1e-6"))
    for key, rate, most, usual in trained:
        if rate > most:
            yield f"{key}.optimizer.lr={rate:g} is a rate for a tiny policy; for {path} {usual} is usual"


def _is_dpo(settings: RunSettings) -> bool:
    return settings.method == "dpo" and settings.further_supervised_s is None


def _supervised(settings: RunSettings) -> Iterator[tuple[str, SupervisedSettings]]:
    """The supervised trainings of the policy, each with its key."""
    if settings.cold_start.enabled or settings.further_supervised_s is not None:
        yield "cold_start", settings.cold_start
    if settings.method == "off_policy_distill" and settings.further_supervised_s is None:
        yield "distillation.off_policy.supervised", settings.distillation.off_policy.supervised


def _learners_keys(settings: RunSettings) -> Iterator[str]:
    """Keys of the learner that supervised training has under its own name."""
    usual = LearnerSettings()
    for key, supervised in _supervised(settings):
        if settings.learner.freeze_vision and not supervised.freeze_vision:
            yield f"learner.freeze_vision=true leaves the tower to supervised training: {key}.freeze_vision=true freezes it there too"
        tokens = settings.learner.micro_batch_tokens
        if tokens < min(usual.micro_batch_tokens, supervised.micro_batch_tokens):
            yield f"learner.micro_batch_tokens={tokens} does not count in supervised training: {key}.micro_batch_tokens does"


def prompt_tokens(task: TaskSettings, policy: PolicySettings) -> int | None:
    """About how many tokens the longest of a few prompts takes; None for data, which is not read here."""
    if task.family is None:
        return None
    family, rng = make_family(task.family, task.options), random.Random(0)
    per_byte = TINY_TOKENS_PER_BYTE if policy.path is None else LARGE_TOKENS_PER_BYTE
    most = _most_image_tokens(policy)
    longest = 0
    for _ in range(8):
        messages = family.make(rng).messages
        images = [image for message in messages for image in message.images]
        vision = sum(2 + min(most, -(-image.width // PATCH) * -(-image.height // PATCH)) for image in images)
        text = sum(TEMPLATE_TOKENS + per_byte * len(message.text.encode()) for message in messages)
        longest = max(longest, round(vision + text))
    return longest


def _most_image_tokens(policy: PolicySettings) -> float:
    """Larger images are seen smaller; what a checkpoint that is not on this machine says of them is not known."""
    if policy.path is None:
        return policy.tiny.max_image_pixels // PATCH**2
    for name in ("processor_config.json", "preprocessor_config.json"):
        file = Path(policy.path).expanduser() / name
        written = json.loads(file.read_text()) if file.exists() else {}
        pixels = written.get("image_processor", written).get("size", {}).get("longest_edge")
        if isinstance(pixels, int):
            return pixels // PATCH**2
    return math.inf


def _objective(settings: RunSettings) -> Iterator[str]:
    objective = settings.objective
    if objective.name == "sapo":
        if settings.learner.mini_batches == 1 and settings.loop.max_lag == 0:
            yield (
                "learner.mini_batches=1 with loop.max_lag=0 never leaves the policy that sampled, where SAPO's gate is 1: "
                "it is GRPO without a clip"
            )
        if objective.tau_neg < objective.tau_pos:
            yield (
                f"objective.tau_neg={objective.tau_neg} is below objective.tau_pos={objective.tau_pos}: SAPO's paper found that unstable "
                "(1.05 and 1.0 are its values)"
            )
    if objective.name == "gspo" and max(objective.clip_low, objective.clip_high) > 0.01:
        yield (
            f"objective.clip_low={objective.clip_low}, clip_high={objective.clip_high}: GSPO's ratio is of a whole sequence, and its paper "
            "clips at 3e-4 and 4e-4"
        )
    if settings.rollout.group_size < 4:
        yield f"rollout.group_size={settings.rollout.group_size}: the baseline is a mean of so few rewards that most of it is noise"


def _batches(settings: RunSettings) -> Iterator[str]:
    groups, mini = settings.loop.groups_per_batch, settings.learner.mini_batches
    share = slots(settings.weights, groups)
    for name, number in share.items():
        if number < mini:
            yield (
                f"tasks.{name} has {number} of {groups} groups in a batch, too few for one in each of learner.mini_batches={mini}: "
                f"some updates will not see it"
            )
        pool = settings.tasks[name].filtered
        if settings.query_filter.enabled and pool is not None and pool < number:
            yield f"tasks.{name}.pool={pool} is smaller than its {number} groups in a batch: problems repeat within it"


def _schedule(settings: RunSettings) -> Iterator[str]:
    steps = settings.loop.steps
    if settings.checkpoint.every > steps:
        yield f"checkpoint.every={settings.checkpoint.every} is more than loop.steps={steps}: what is interrupted starts again"
    if settings.evaluation.every >= steps:
        yield f"evaluation.every={settings.evaluation.every} is not below loop.steps={steps}: no evaluation during training"
    most = max(settings.evaluation.samples, settings.evaluation.final_samples)
    if settings.evaluation.temperature == 0 and most > 1:
        yield f"evaluation.temperature=0 gives the same answer to each of evaluation's {most} samples: 1 is as good"
    updates = steps * settings.learner.mini_batches
    if settings.learner.optimizer.warmup_steps >= updates:
        yield f"learner.optimizer.warmup_steps={settings.learner.optimizer.warmup_steps} is all of the {updates} optimizer steps"


def _cold_start(settings: RunSettings) -> Iterator[str]:
    cold = settings.cold_start
    if cold.enabled and cold.optimizer.warmup_steps >= cold.steps:
        yield f"cold_start.optimizer.warmup_steps={cold.optimizer.warmup_steps} is all of cold_start.steps={cold.steps}"
    if not cold.enabled and settings.policy.path is None and settings.uses_loop:
        yield "cold_start.enabled=false with a policy that was just built: it is untrained, and no reward will come"
