"""The loss of a policy update on packed tokens: SAPO, GRPO or GSPO, with the importance weight of the engine and the reference term.

    loss = sum over tokens of  w_t * ( -reward_weight * rho_t * surrogate_t  +  coefficient * kl_t )

    w_t            share of the token in the step                     rl/objectives/aggregation.py
    rho_t          min(pi_old / pi_engine, cap), a constant           here
    surrogate_t    SAPO, GRPO or GSPO                                 rl/objectives/policy_losses.py
    kl_t           estimate of the KL to the reference                rl/objectives/reference_term.py

Axes: N sampled tokens.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rl.config.settings import ObjectiveSettings
from rl.objectives.aggregation import Aggregation, StepDenominators, token_weights
from rl.objectives.policy_losses import Grpo, Gspo, PolicyLoss, Sapo
from rl.objectives.policy_tokens import PolicyTokens, log_ratio
from rl.objectives.reference_term import ReferenceTerm, k3, kl_estimate


@dataclass(frozen=True, slots=True, eq=False)
class LossOutput:
    """`loss` is this micro-batch's share of the step's loss: shares add up over micro-batches and ranks.

    `sums` holds detached scalars on the loss's device, each a sum over the tokens of this micro-batch. `sums["tokens"]` is
    their number: add the sums of all micro-batches and ranks, then divide by it (`token_means`).
    """

    loss: Tensor
    sums: Mapping[str, Tensor]


def token_means(sums: Mapping[str, Tensor]) -> dict[str, float]:
    """Means over tokens, by name, from sums that were added up over the whole step. Waits for the device once."""
    names = [name for name in sums if name != "tokens"]
    values = torch.stack([sums["tokens"], *(sums[name] for name in names)]).tolist()
    return {name: value / values[0] for name, value in zip(names, values[1:], strict=True)}


@dataclass(frozen=True, slots=True)
class PolicyObjective:
    """The loss of a micro-batch, and what describes it. `reward_weight` is 1 but beside a teacher's term:

    - `ratio`: pi_now / pi_old of a token; `clipped_frac` (GRPO, GSPO) or `gate_below_half_frac` (SAPO): tokens that are held back;
    - `behavior_kl`: KL(engine at sampling time, learner now), k3; `mismatch_kl`: KL(engine, pi_old), 0 where pi_old is the engine's;
    - `importance_weight` and `importance_capped_frac`, where the correction is on;
    - `reference_kl`: the estimate that is in the loss; `entropy`, where it was given.
    """

    policy_loss: PolicyLoss
    aggregation: Aggregation
    importance_cap: float | None
    reference: ReferenceTerm | None
    reward_weight: float = 1.0

    @property
    def advantages_alone(self) -> bool:
        """A response with the advantage 0 has no gradient."""
        return self.reference is None

    def readout(self, trees: Sequence[object]) -> None:
        """Log-probs of the sampled tokens are all that it needs."""

    def __call__(self, tokens: PolicyTokens, step: StepDenominators, read: Sequence[Tensor] = ()) -> LossOutput:
        surrogate = self.policy_loss(tokens)
        statistics = _drift(tokens) | surrogate.statistics
        per_token_N = -self.reward_weight * surrogate.values_N
        if self.importance_cap is not None:
            weight_N = log_ratio(tokens.old_logprobs_N, tokens.behavior_logprobs_N).exp()
            statistics["importance_capped_frac"] = weight_N > self.importance_cap
            weight_N = weight_N.clamp(max=self.importance_cap)
            statistics["importance_weight"] = weight_N
            per_token_N = per_token_N * weight_N
        if self.reference is not None:
            assert tokens.reference_logprobs_N is not None, "a reference term needs the reference's log-probs"
            kl_N = kl_estimate(self.reference.estimator, tokens.logprobs_N, tokens.reference_logprobs_N)
            statistics["reference_kl"] = kl_N.detach()
            per_token_N = per_token_N + self.reference.coefficient * kl_N
        loss = (token_weights(self.aggregation, tokens, step) * per_token_N).sum()
        return LossOutput(loss, {name: values_N.sum(dtype=loss.dtype) for name, values_N in statistics.items()})


def make_objective(settings: ObjectiveSettings) -> PolicyObjective:
    """The objective that the settings describe. Advantages and pi_old are chosen elsewhere and arrive with the tokens."""
    reference = settings.reference
    return PolicyObjective(
        policy_loss=_POLICY_LOSSES[settings.name](settings),
        aggregation=settings.aggregation,
        importance_cap=settings.importance_cap,
        reference=ReferenceTerm(reference.coefficient, reference.estimator) if reference.coefficient > 0 else None,
    )


_POLICY_LOSSES: dict[str, Callable[[ObjectiveSettings], PolicyLoss]] = {
    "sapo": lambda settings: Sapo(settings.tau_pos, settings.tau_neg),
    "grpo": lambda settings: Grpo(settings.clip_low, settings.clip_high),
    "gspo": lambda settings: Gspo(settings.clip_low, settings.clip_high),
}


@torch.no_grad()
def _drift(tokens: PolicyTokens) -> dict[str, Tensor]:
    """How far the policy has moved, token by token."""
    statistics = {
        "tokens": torch.ones_like(tokens.logprobs_N),
        "ratio": log_ratio(tokens.logprobs_N, tokens.old_logprobs_N).exp(),
        "behavior_kl": k3(log_ratio(tokens.behavior_logprobs_N, tokens.logprobs_N)),
        "mismatch_kl": k3(log_ratio(tokens.behavior_logprobs_N, tokens.old_logprobs_N)),
    }
    return statistics if tokens.entropy_N is None else statistics | {"entropy": tokens.entropy_N}
