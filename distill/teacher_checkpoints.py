"""The checkpoints of a run's teachers: given ones, and tiny ones that are built and trained here."""

from pathlib import Path

from distill.cold_start import SupervisedTraining, cold_start
from distill.conversation_sources import imitated_by
from rl.config.settings import RunSettings
from rl.config.teaching_settings import TeacherSettings
from rl.policy import build_tiny_policy, resolve_policy
from tasks.build import Task


def untrained_teacher(settings: RunSettings, name: str, teacher: TeacherSettings, student: Path) -> Path:
    """The checkpoint that is given, or a tiny one as it is built, with the tokenizer of the student."""
    if teacher.path is not None:
        return resolve_policy(teacher.path, f"distillation.teachers.{name}.path")
    return build_tiny_policy(teacher.tiny, (), settings.seed, settings.cache, tokenizer_of=student)


async def teacher_checkpoint(
    settings: RunSettings, name: str, teacher: TeacherSettings, tasks: dict[str, Task], student: Path, training: SupervisedTraining
) -> Path:
    """The checkpoint that is given, or a tiny one that is trained on demonstrations of its own."""
    untrained = untrained_teacher(settings, name, teacher, student)
    if teacher.path is not None:
        return untrained
    return await cold_start(settings, teacher.cold_start, untrained, imitated_by(teacher.cold_start, tasks), training, from_trained=False)
