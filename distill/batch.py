"""What on-policy distillation adds to a batch: for each response, what its teacher says of the sampled tokens.

Axes: M sampled tokens of a response, G width of the teacher, K its most probable tokens.
"""

from dataclasses import dataclass, fields
from typing import TypeAlias

from rl.training.batch import FloatsM, FloatsMV, IdsMK, PolicyBranch


@dataclass(frozen=True, slots=True, eq=False)
class TeacherStates:
    """The teacher's last hidden states [M, G]; the learner holds its output head."""

    hidden_MG: FloatsMV


@dataclass(frozen=True, slots=True, eq=False)
class TeacherTopK:
    """Its most probable tokens, and log-probs of them and, last, of all others together [M, K + 1]."""

    ids_MK: IdsMK
    logprobs_MB: FloatsMV


@dataclass(frozen=True, slots=True, eq=False)
class TeacherLogprobs:
    """Its log-probs of the sampled tokens alone."""

    logprobs_M: FloatsM


Teaching: TypeAlias = TeacherStates | TeacherTopK | TeacherLogprobs


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class DistillBranch(PolicyBranch):
    """A response that `teacher` has scored."""

    teacher: str
    teaching: Teaching


def taught(branch: PolicyBranch, teacher: str, teaching: Teaching) -> DistillBranch:
    known = {field.name: getattr(branch, field.name) for field in fields(PolicyBranch)}
    return DistillBranch(**known, teacher=teacher, teaching=teaching)
