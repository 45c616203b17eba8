"""What is maximised for each sampled token: SAPO's soft gate, GRPO's clipped ratio, GSPO's clipped ratio of the response.

Axes: N sampled tokens. r = pi_now / pi_old of the token, A the advantage of its response.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from rl.objectives.policy_tokens import PolicyTokens, log_ratio


@dataclass(frozen=True, slots=True, eq=False)
class Surrogate:
    """`values_N` is maximised and carries the gradient. `statistics` describes each token, detached; shares are 0 or 1."""

    values_N: Tensor
    statistics: dict[str, Tensor]


class PolicyLoss(Protocol):
    def __call__(self, tokens: PolicyTokens) -> Surrogate: ...


@dataclass(frozen=True, slots=True)
class Sapo:
    """Soft Adaptive Policy Optimization (arXiv 2511.20347, Eq. 5-6): f(r) A with f(r) = (4 / tau) sigmoid(tau (r - 1)).

    tau is `tau_pos` where A > 0, `tau_neg` elsewhere. The gradient flows through the gate: the coefficient of A grad log pi is r w(r) with
    w(r) = f'(r) = 4 p (1 - p), p = sigmoid(tau (r - 1)), so w(1) = 1 for every tau. (Eq. 7 of the paper's first version leaves out A.) The
    value is not normalised, f(1) = 2 / tau: never compare it with another objective's.
    Departure: log r is clamped, see `rl.objectives.policy_tokens.MAX_LOG_RATIO`.
    """

    tau_pos: float
    tau_neg: float

    def __call__(self, tokens: PolicyTokens) -> Surrogate:
        ratio_N = log_ratio(tokens.logprobs_N, tokens.old_logprobs_N).exp()
        tau_N = torch.full_like(ratio_N, self.tau_neg).masked_fill(tokens.advantages_N > 0, self.tau_pos)
        open_N = torch.sigmoid(tau_N * (ratio_N - 1.0))
        slope_N = 4.0 * open_N.detach() * (1.0 - open_N.detach())
        return Surrogate(4.0 / tau_N * open_N * tokens.advantages_N, {"gate_below_half_frac": slope_N < 0.5})


@dataclass(frozen=True, slots=True)
class Grpo:
    """Clipped ratio of a token (PPO, arXiv 1707.06347; GRPO, arXiv 2402.03300): min(r A, clip(r, 1 - low, 1 + high) A).

    `clip_high` larger than `clip_low` is clip-higher (DAPO, arXiv 2503.14476). Departures: log r is clamped to +-20; there is no dual clip,
    so for A < 0 the weight of a token is r however large.
    """

    clip_low: float
    clip_high: float

    def __call__(self, tokens: PolicyTokens) -> Surrogate:
        ratio_N = log_ratio(tokens.logprobs_N, tokens.old_logprobs_N).exp()
        return _clipped(ratio_N, tokens.advantages_N, self.clip_low, self.clip_high)


@dataclass(frozen=True, slots=True)
class Gspo:
    """Clipped ratio of a response (GSPO, arXiv 2507.18071): min(s A, clip(s, 1 - low, 1 + high) A), s = exp(mean over its tokens of log r).

    In the token form of the paper, s_t = sg[s] pi / sg[pi]: every token has the value s and the gradient s grad log pi of its own,
    which for an advantage shared by all tokens is the gradient of the response form. s lies far closer to 1 than r: the paper
    clips at 3e-4 and 4e-4. An importance weight acts on each token's own gradient.
    Departure: each log r is clamped to +-20 before the mean.
    """

    clip_low: float
    clip_high: float

    def __call__(self, tokens: PolicyTokens) -> Surrogate:
        log_ratio_N = log_ratio(tokens.logprobs_N, tokens.old_logprobs_N)
        constant_N = log_ratio_N.detach()
        ratio_N = (tokens.response_means_N(constant_N) + (log_ratio_N - constant_N)).exp()
        return _clipped(ratio_N, tokens.advantages_N, self.clip_low, self.clip_high)


def _clipped(ratio_N: Tensor, advantages_N: Tensor, clip_low: float, clip_high: float) -> Surrogate:
    free_N = ratio_N * advantages_N
    clipped_N = ratio_N.clamp(1.0 - clip_low, 1.0 + clip_high) * advantages_N
    return Surrogate(torch.minimum(free_N, clipped_N), {"clipped_frac": clipped_N.detach() < free_N.detach()})
