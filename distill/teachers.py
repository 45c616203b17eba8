"""Teachers of a run: whose word is asked for which task, and whether their token ids are the student's."""

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import AutoConfig, AutoImageProcessor, AutoTokenizer

from tasks.errors import TaskError

HEADS = (
    "lm_head.weight",
    "model.language_model.embed_tokens.weight",
    "language_model.model.embed_tokens.weight",
    "model.embed_tokens.weight",
)
"""Names of the output head in a checkpoint; the embeddings where the two are tied."""

_OF_IMAGES = (
    *("patch_size", "merge_size", "temporal_patch_size", "size", "resample"),
    *("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
)


class TeacherError(TaskError):
    """A teacher that cannot teach this student; the message says why and what can be done."""


def output_head(path: Path) -> torch.Tensor:
    """The output head of a checkpoint [V, H], on the CPU, as it is stored."""
    stored: dict[str, Path] = {}
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            stored |= dict.fromkeys(tensors.keys(), file)
    for name in HEADS:
        if name in stored:
            with safe_open(stored[name], framework="pt") as tensors:
                head: torch.Tensor = tensors.get_tensor(name)
                return head
    raise TeacherError(f"{path}: no {' or '.join(HEADS)} among its weights; give a safetensors checkpoint")


def route(tasks: Iterable[str], sources: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The teacher of each task: the one that names it among its sources, else the one that names none."""
    general = [name for name, named in sources.items() if not named]
    if len(general) > 1:
        raise TaskError(f"distillation.teachers: {' and '.join(general)} both teach whatever no other does; give all but one `sources`")
    found: dict[str, str] = {}
    for task in tasks:
        named = [name for name, own in sources.items() if task in own] or general
        if len(named) != 1:
            who = f"{' and '.join(named)} all name it" if named else "none names it, and none is without `sources`"
            raise TaskError(f"distillation.teachers: which one teaches tasks.{task}? {who}")
        found[task] = named[0]
    return found


def true_vocabulary(path: Path) -> int:
    """Entries of the tokenizer, to the largest id: the rows of the output head beyond it are padding."""
    largest: int = max(AutoTokenizer.from_pretrained(path).get_vocab().values())
    return largest + 1


def check_same_ids(name: str, student: Path, teacher: Path, *, with_images: bool) -> None:
    """Raises `TeacherError` unless every token of the student is the same token, under the same id, for the teacher.

    Heads may be padded to different sizes, and the teacher may know further tokens above the student's: both are sliced off. With images,
    the two must also cut them into the same patches, or placeholders would not match.
    """
    own, other = (AutoTokenizer.from_pretrained(path).get_vocab() for path in (student, teacher))
    differing = sorted((number, token) for token, number in own.items() if other.get(token) != number)
    if differing:
        number, token = differing[0]
        there = f"it has id {other[token]}" if token in other else "it does not exist"
        raise TeacherError(
            f"distillation.teachers.{name}: {teacher} has another tokenizer: {len(differing)} of the student's {len(own)} tokens differ, "
            f"the first is {token!r}, id {number} for the student, where {there} for the teacher. A teacher's probabilities are over its "
            "own ids, so it cannot score the student's. Let it write answers instead: config=off_policy_distill works with any teacher."
        )
    rows = [_head_rows(path) for path in (student, teacher)]
    assert min(rows) > max(own.values()), f"{student}, {teacher}: a tokenizer with more entries than its model"
    if with_images:
        _check_same_patches(name, student, teacher)


def _head_rows(path: Path) -> int:
    config = AutoConfig.from_pretrained(path)
    rows: int = config.get_text_config().vocab_size
    return rows


def _check_same_patches(name: str, student: Path, teacher: Path) -> None:
    if not hasattr(AutoConfig.from_pretrained(teacher), "vision_config"):
        raise TeacherError(
            f"distillation.teachers.{name}: {teacher} reads text only, and it is to teach a task with images; give it `sources` without "
            "images, and those tasks another teacher"
        )
    mine, theirs = (AutoImageProcessor.from_pretrained(path).to_dict() for path in (student, teacher))
    for key in _OF_IMAGES:
        if mine.get(key) != theirs.get(key):
            raise TeacherError(
                f"distillation.teachers.{name}: {teacher} prepares images with {key}={theirs.get(key)}, the student with {mine.get(key)}: "
                "it would not see what the student saw. Choose a teacher of the student's family, or config=off_policy_distill"
            )
