"""The KL term that holds the policy near a frozen reference, estimated from the sampled tokens.

Axes: N sampled tokens.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from rl.objectives.policy_tokens import log_ratio

KlEstimator: TypeAlias = Literal["k1", "k2", "k3"]


def kl_estimate(estimator: KlEstimator, logprobs_N: Tensor, reference_logprobs_N: Tensor) -> Tensor:
    """An estimate for each token, differentiable in `logprobs_N` (Schulman, "Approximating KL divergence", 2020).

    With y sampled from the policy pi and d = log pi(y) - log ref(y), clamped to +-20:

    | estimator | expected value | expected gradient when it is backpropagated |
    |---|---|---|
    | k1 = d | KL(pi, ref) | **0**: it is worth logging, but as a loss it only adds noise |
    | k2 = d^2 / 2 | not the KL, equal to it in second order | that of KL(pi, ref), the reverse KL |
    | k3 = exp(-d) - 1 + d | KL(pi, ref) | that of KL(ref, pi), the **forward** KL |

    Gradients are those of each position by itself: the effect of a token on later positions is left out. Samples of an older
    policy or of an engine that disagrees make all three approximate.
    """
    return _ESTIMATORS[estimator](log_ratio(logprobs_N, reference_logprobs_N))


@dataclass(frozen=True, slots=True)
class ReferenceTerm:
    """`coefficient` times the estimate is added to the loss of each token."""

    coefficient: float
    estimator: KlEstimator


def k3(log_ratio_N: Tensor) -> Tensor:
    """exp(-d) - 1 + d >= 0 with d = log(p / q): an estimate of KL(p, q) from samples of p. Stays exact where d is tiny."""
    return torch.expm1(-log_ratio_N) + log_ratio_N


_ESTIMATORS: dict[KlEstimator, Callable[[Tensor], Tensor]] = {
    "k1": lambda log_ratio_N: log_ratio_N,
    "k2": lambda log_ratio_N: 0.5 * log_ratio_N.square(),
    "k3": k3,
}
