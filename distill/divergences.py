"""How far a student's next-token distribution is from its teacher's: values for each position, differentiable in the student's log-probs.

Axes: N positions, V outcomes (all tokens of the vocabulary, or the teacher's top-k and one bucket for all others).

S is the student, T the teacher, z the student's logits, D the value. Everything is exact per position; what a token does to later
positions is left out, as in GKD (arXiv 2306.13649) and in Qwen3's on-policy distillation (arXiv 2505.09388, which names no direction).

| divergence | value | gradient in z_v |
|---|---|---|
| `forward_kl` | KL(T, S) = sum T (log T - log S) | S_v - T_v |
| `reverse_kl` | KL(S, T) = sum S (log S - log T) | S_v (log S_v - log T_v - D) |
| `jsd` | KL(T, M) / (1 - beta) + KL(S, M) / beta, M = beta T + (1 - beta) S | S_v (log S_v - log M_v - KL(S, M)) / beta |

Departure from GKD: its generalised JSD, beta KL(T, M) + (1 - beta) KL(S, M), vanishes at beta 0 and 1, and implementations jump to a full
KL there. Divided by beta (1 - beta), as here, it goes over into the forward KL as beta -> 0 and into the reverse KL as beta -> 1,
and has the same curvature where S = T for every beta: one learning rate and one weight serve all of them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import log
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from rl.training.token_distribution import LOG_ZERO

DivergenceName: TypeAlias = Literal["reverse_kl", "forward_kl", "jsd"]


@dataclass(frozen=True, slots=True)
class Divergence:
    """`beta` in (0, 1) is the teacher's share of the mixture in `jsd`; the two KLs do not read it."""

    name: DivergenceName = "reverse_kl"
    beta: float = 0.5

    def __post_init__(self) -> None:
        assert 0.0 < self.beta < 1.0, f"beta {self.beta} is not inside (0, 1): the ends are forward_kl and reverse_kl"

    def __call__(self, student_NV: Tensor, teacher_NV: Tensor) -> Tensor:
        """`values_N` >= 0 in nats from log-probs over the same outcomes, each summing to 1; an outcome may be impossible for both."""
        assert student_NV.shape == teacher_NV.shape, (tuple(student_NV.shape), tuple(teacher_NV.shape))
        return _DIVERGENCES[self.name](student_NV.clamp(min=LOG_ZERO), teacher_NV.clamp(min=LOG_ZERO), self.beta)


def sampled_advantages(student_N: Tensor, teacher_N: Tensor) -> Tensor:
    """log T(y) - log S(y) of sampled tokens, detached: the advantage whose policy gradient is that of -KL(S, T) at each position.

    With y from S, E[A grad log S(y)] = -grad KL(S, T): a one-sample estimate of `reverse_kl` that needs one log-prob of the teacher
    (Thinking Machines, "On-Policy Distillation", 2025, discount 0). No gradient flows through the difference itself: that of its mean is 0.
    """
    return (teacher_N - student_N).detach()


def _kl(p_NV: Tensor, q_NV: Tensor) -> Tensor:
    return (p_NV.exp() * (p_NV - q_NV)).sum(1)


def _jsd(student_NV: Tensor, teacher_NV: Tensor, beta: float) -> Tensor:
    mixture_NV = torch.logaddexp(teacher_NV + log(beta), student_NV + log(1.0 - beta))
    return _kl(teacher_NV, mixture_NV) / (1.0 - beta) + _kl(student_NV, mixture_NV) / beta


_DIVERGENCES: dict[DivergenceName, Callable[[Tensor, Tensor, float], Tensor]] = {
    "reverse_kl": lambda student_NV, teacher_NV, _: _kl(student_NV, teacher_NV),
    "forward_kl": lambda student_NV, teacher_NV, _: _kl(teacher_NV, student_NV),
    "jsd": _jsd,
}
