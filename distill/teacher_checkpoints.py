"""The checkpoints of a run's teachers: given ones, and tiny ones that are built and trained here."""

from pathlib import Path

from distill.cold_start import Report, cold_start
from distill.conversation_sources import imitated_by
from rl.cluster import RayObject
from rl.config.settings import RunSettings
from rl.config.teaching_settings import TeacherSettings
from rl.policy import build_tiny_policy, policy_key, resolve_policy
from tasks.build import Task


async def teacher_checkpoint(
    settings: RunSettings,
    name: str,
    teacher: TeacherSettings,
    tasks: dict[str, Task],
    student: Path,
    trainer: RayObject,
    report: Report,
) -> Path:
    """A tiny teacher gets the tokenizer of the student, and demonstrations of its own."""
    if teacher.path is not None:
        return resolve_policy(teacher.path, f"distillation.teachers.{name}.path")
    untrained = build_tiny_policy(teacher.tiny, (), settings.seed, settings.cache, tokenizer_of=student)
    imitated = imitated_by(teacher.cold_start, tasks)
    return await cold_start(settings, teacher.cold_start, untrained, policy_key(untrained), imitated, trainer, report)
