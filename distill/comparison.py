"""Student against teacher from hidden states, without ever holding all logits.

Axes: N positions, C positions of a chunk, V vocabulary, H and G the widths of student and teacher, K the teacher's top-k.

A chunk's logits of both models exist while it is worked on, in the forward and again in the backward pass: memory is bounded by
`softmax.chunk` * V instead of N * V.
"""

from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from distill.divergences import Divergence
from rl.training.model import SoftmaxSettings
from rl.training.token_distribution import bucketed, log_softmax


@dataclass(frozen=True, slots=True, eq=False)
class FullVocabulary:
    """The teacher's hidden states and output head: the whole distribution for the price of its width."""

    hidden_NG: Tensor
    head_VG: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TopK:
    """The teacher's most probable tokens, and log-probs of them and, last, of all other tokens together [N, K + 1]."""

    ids_NK: Tensor
    logprobs_NB: Tensor


TeacherScores: TypeAlias = FullVocabulary | TopK


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """`divergence_N` carries the gradient. The masses outside the teacher's top-k are 0 where the vocabulary is whole."""

    divergence_N: Tensor
    student_outside_N: Tensor
    teacher_outside_N: Tensor


def compare(
    hidden_NH: Tensor, head_VH: Tensor, teacher: TeacherScores, divergence: Divergence, softmax: SoftmaxSettings, vocab_size: int
) -> Comparison:
    """The divergence at every position, both sides under `softmax`. Differentiable in the student's hidden states and head."""
    parts = [
        checkpoint(
            _compare_chunk,
            hidden_NH[start : start + softmax.chunk],
            head_VH,
            *_chunk(teacher, start, softmax.chunk),
            divergence,
            softmax,
            vocab_size,
            use_reentrant=False,
            preserve_rng_state=False,
        )
        for start in range(0, max(1, len(hidden_NH)), softmax.chunk)
    ]
    return Comparison(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _chunk(teacher: TeacherScores, start: int, size: int) -> tuple[Tensor, Tensor, bool]:
    part = slice(start, start + size)
    if isinstance(teacher, FullVocabulary):
        return teacher.hidden_NG[part], teacher.head_VG, True
    return teacher.ids_NK[part], teacher.logprobs_NB[part], False


def _compare_chunk(
    hidden_CH: Tensor,
    head_VH: Tensor,
    first: Tensor,
    second: Tensor,
    whole: bool,
    divergence: Divergence,
    softmax: SoftmaxSettings,
    vocab_size: int,
) -> tuple[Tensor, Tensor, Tensor]:
    student_CV = log_softmax(hidden_CH, head_VH, softmax, vocab_size)
    if whole:
        value_C = divergence(student_CV, log_softmax(first, second, softmax, vocab_size).to(student_CV.dtype))
        return value_C, torch.zeros_like(value_C), torch.zeros_like(value_C)
    buckets_CB = bucketed(student_CV, first)
    value_C = divergence(buckets_CB, second.to(student_CV.dtype))
    return value_C, buckets_CB[:, -1].detach().exp(), second[:, -1].to(student_CV.dtype).exp()
