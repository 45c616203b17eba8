"""On-policy distillation made as the settings say: its objective, its signal, and the checks that come before both."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from distill.divergences import Divergence
from distill.objective import DistillObjective, SampledObjective
from distill.signal import DistillSignal, Teacher
from distill.teachers import check_same_ids, output_head, route, true_vocabulary
from rl.assembly import build_frozen, uses_bfloat16
from rl.config.settings import RunSettings
from rl.objectives.objective import make_objective
from rl.signal import Signal
from rl.training.learner import Objective
from rl.training.model import SoftmaxSettings
from rollouts.render import Renderer
from tasks.build import Task, most_images

if TYPE_CHECKING:
    from distill.vllm_teacher import VllmTeacher
    from rl.training.frozen import FrozenPolicy


def build_objective(settings: RunSettings, student: Path, teachers: Mapping[str, Path]) -> Callable[[SoftmaxSettings], Objective]:
    """The policy loss of the settings, with the term of the teachers where there are some. Reads their output heads where it is made."""
    distillation = settings.distillation

    def build(softmax: SoftmaxSettings) -> Objective:
        policy = make_objective(settings.objective)
        if not teachers:
            return policy
        if distillation.vocabulary == "sampled":
            return SampledObjective(policy, distillation.reward_weight, distillation.weight)
        heads = {name: output_head(path) for name, path in teachers.items()} if distillation.vocabulary == "full" else {}
        divergence = Divergence(distillation.divergence, distillation.beta)
        rows = true_vocabulary(student)
        weighted = replace(policy, reward_weight=distillation.reward_weight)
        return DistillObjective(weighted, distillation.weight, divergence, softmax, rows, heads)

    return build


def build_signal(settings: RunSettings, policy: Signal, student: Path, teachers: Mapping[str, Teacher]) -> Signal:
    """`policy` alone where there are no teachers."""
    if not teachers:
        return policy
    distillation = settings.distillation
    by_task = teacher_of_task(settings)
    return DistillSignal(policy, teachers, by_task, distillation.vocabulary, distillation.top_k, true_vocabulary(student))


def scorer_preload(settings: RunSettings, name: str) -> str:
    return "rollouts.vllm_preload" if settings.distillation.teachers[name].engine == "vllm" else "rl.training.frozen"


def build_scorer(
    settings: RunSettings, name: str, path: Path, student: Path, renderer: Renderer, max_images: int
) -> "Callable[[], FrozenPolicy | VllmTeacher]":
    """What the process of a teacher makes: the checkpoint in `path` on torch or on vLLM."""
    if settings.distillation.teachers[name].engine == "torch":
        return build_frozen(settings, path, renderer, true_vocabulary(student))
    rollout = settings.rollout
    dtype: Literal["float32", "bfloat16"] = "bfloat16" if uses_bfloat16(settings) else "float32"

    def build() -> "VllmTeacher":
        from distill.vllm_teacher import VllmTeacher
        from rollouts.vllm_engine import VllmSettings

        engine = VllmSettings(
            model_path=path,
            max_model_len=rollout.max_model_len + 1,
            max_images=max_images,
            max_num_seqs=rollout.max_num_seqs,
            dtype=dtype,
            seed=settings.seed,
            kv_cache_mib=rollout.kv_cache_mib,
            gpu_memory_utilization=rollout.gpu_memory_utilization,
        )
        return VllmTeacher(engine, renderer.banned_ids)

    return build


def check_teachers(settings: RunSettings, student: Path, teachers: Mapping[str, Path], tasks: Mapping[str, Task]) -> None:
    """Raises `TeacherError` for a teacher whose token ids or patches are not the student's, before anything is sampled."""
    by_task = teacher_of_task(settings) if teachers else {}
    for name, path in teachers.items():
        with_images = any(most_images(tasks[task], 0) for task, teacher in by_task.items() if teacher == name)
        check_same_ids(name, student, path, with_images=with_images)


def teacher_of_task(settings: RunSettings) -> dict[str, str]:
    """The name of the teacher of each task that is trained on. Raises `TaskError` where one has none or several."""
    return route(settings.weights, {name: teacher.sources for name, teacher in settings.distillation.teachers.items()})
