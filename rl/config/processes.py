"""The processes of a run on this machine, and about how much memory each takes."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from rl.config.policy_shape import PolicyShape
from rl.config.settings import RunSettings

GIB = 2**30
# Resident memory of a process before any weights, in GiB, as measured on the CPU.
VLLM_BASE_GIB = 0.8
TORCH_BASE_GIB = 0.6
WORKER_GIB = 0.15
RAY_GIB = 0.5


@dataclass(frozen=True, slots=True)
class Machine:
    cores: int
    gpus: int
    memory_gib: float


@dataclass(frozen=True, slots=True)
class Actor:
    """Processes of one role. CPUs, GPUs, threads and memory are those of one of them; memory counts host and device together."""

    role: str
    count: int
    cpus: int
    gpus: float
    threads: int
    memory_gib: float | None


def this_machine() -> Machine:
    """Cores that this process may use, GPUs of NVIDIA's driver, and the host's memory."""
    gpus = len(list(Path("/proc/driver/nvidia/gpus").glob("*")))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        gpus = min(gpus, len([device for device in visible.split(",") if device.strip() not in ("", "-1")]))
    return Machine(len(os.sched_getaffinity(0)), gpus, psutil.virtual_memory().total / GIB)


def bytes_per_value(settings: RunSettings, machine: Machine) -> int:
    """Of the engine's weights and cache, and of the learner's computations."""
    return 2 if settings.policy.dtype == "bfloat16" or (settings.policy.dtype == "auto" and machine.gpus) else 4


def processes(settings: RunSettings, shape: PolicyShape | None, machine: Machine) -> tuple[Actor, ...]:
    """The driver, the actors that it starts, and the reward workers."""
    gpus, trains = settings.gpu_share if machine.gpus else 0.0, settings.uses_loop
    weights = (shape.parameters * bytes_per_value(settings, machine) / GIB) if shape else None
    base = VLLM_BASE_GIB if settings.rollout.engine == "vllm" else TORCH_BASE_GIB
    cache = 0.0 if gpus else settings.rollout.kv_cache_mib / 1024
    logits = (settings.learner.logits_chunk * shape.vocab_size * 4 * 3 / GIB) if shape else 0.0
    ranks, threads = settings.learner.ranks, settings.learner.threads
    actors = [
        Actor("driver", 1, 1, 0, 1, TORCH_BASE_GIB + RAY_GIB),
        Actor("generator", settings.rollout.replicas, 1, gpus, 1, _sum(weights, base + cache)),
        Actor("learner", ranks, 1 if gpus else threads, gpus, threads, _sum(_learner_gib(settings, shape, machine), TORCH_BASE_GIB)),
    ]
    if settings.objective.reference.coefficient > 0 and trains:
        actors.append(Actor("reference", 1, 1, gpus, 1, _sum(weights, TORCH_BASE_GIB + logits)))
    if trains:
        # A teacher's size is known when it is read: at least the student's is assumed.
        actors += [
            Actor(f"teacher {name}", 1, 1, gpus, 1, _sum(weights, TORCH_BASE_GIB + logits)) for name in settings.distillation.teachers
        ]
    return (*actors, Actor("reward worker", settings.rewards.workers, 1, 0, 1, WORKER_GIB))


def gpu_shortage(settings: RunSettings, actors: Sequence[Actor], gpus: int) -> str | None:
    """Why the actors do not fit on this machine's GPUs, with the keys by which they would; None where they do.

    A GPU holds as many processes as have room for their share of it. An engine takes `rollout.gpu_memory_utilization` of all its memory.
    """
    wanted = sum(actor.count for actor in actors if actor.gpus)
    room = gpus * int(1 / settings.gpu_share)
    if wanted <= room:
        return None
    fewest = wanted - (settings.rollout.replicas - 1) - (settings.learner.ranks - 1)
    keys = ["rollout.replicas=1"] * (settings.rollout.replicas > 1) + ["learner.ranks=1"] * (settings.learner.ranks > 1)
    together = -(-fewest // gpus)
    if together > 1:
        keys += [f"gpu_share={int(100 / together) / 100:g}", f"rollout.gpu_memory_utilization={int(80 / together) / 100:g}"]
    return (
        f"{wanted} processes take gpu_share={settings.gpu_share:g} of a GPU each, and the {gpus} of this machine hold {room}: "
        f"add `{' '.join(keys)}`, name a cluster in RAY_ADDRESS, or run on the CPU (CUDA_VISIBLE_DEVICES=)"
    )


def _sum(unknown: float | None, known: float) -> float | None:
    return None if unknown is None else unknown + known


def _learner_gib(settings: RunSettings, shape: PolicyShape | None, machine: Machine) -> float | None:
    """Weights, gradients and AdamW's two moments in float32, sharded over the ranks; activations of a micro-batch; a chunk of logits.

    Activations are rough: what a layer keeps for its backward pass is about 10 times its width and 4 times its MLP's width a token.
    """
    if shape is None:
        return None
    states = shape.parameters * 4 * 4 / settings.learner.ranks
    tokens, value = settings.learner.micro_batch_tokens, bytes_per_value(settings, machine)
    kept = 10 * shape.hidden_size + 4 * shape.intermediate_size
    if settings.learner.gradient_checkpointing:
        activations = tokens * value * (shape.layers * shape.hidden_size + kept)
    else:
        activations = tokens * value * shape.layers * kept
    logits = settings.learner.logits_chunk * shape.vocab_size * 4 * 3
    return (states + activations + logits) / GIB
