"""The sampled tokens of one micro-batch, packed: what every policy objective reads.

Axes: N sampled tokens of all responses of the micro-batch, S responses. Prompts, observations and padding are not among the N: nothing is
masked because nothing that needs a mask is here.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class PolicyTokens:
    """All log-probs are natural logs of the token given those before it, in nats.

    `logprobs_N` are the learner's now and carry the gradient; `old_logprobs_N` are pi_old's, `behavior_logprobs_N` the engine's (the same
    values where the engine's serve as pi_old). `advantages_N` is that of the token's response. `sequence_N` (int64) says which of the
    `num_sequences` responses a token belongs to, in any order; *all* tokens of a response are in the same micro-batch.
    `reference_logprobs_N` is None where no reference term is asked for. `entropy_N` is only logged.
    """

    logprobs_N: Tensor
    old_logprobs_N: Tensor
    behavior_logprobs_N: Tensor
    advantages_N: Tensor
    sequence_N: Tensor
    num_sequences: int
    reference_logprobs_N: Tensor | None = None
    entropy_N: Tensor | None = None

    def __post_init__(self) -> None:
        shape = self.logprobs_N.shape
        assert self.logprobs_N.dim() == 1, f"packed tokens have one axis, not {tuple(shape)}"
        for name in ("old_logprobs_N", "behavior_logprobs_N", "advantages_N", "sequence_N", "reference_logprobs_N", "entropy_N"):
            tensor = getattr(self, name)
            assert tensor is None or tensor.shape == shape, f"{name} {tuple(tensor.shape)} does not describe {tuple(shape)} tokens"
            assert name == "sequence_N" or tensor is None or not tensor.requires_grad, f"{name} is a constant of the loss: detach it"

    def lengths_S(self) -> Tensor:
        """Number of sampled tokens of each response."""
        ones_N = self.sequence_N.new_ones(self.sequence_N.shape)
        return self.sequence_N.new_zeros(self.num_sequences).index_add(0, self.sequence_N, ones_N)

    def response_means_N(self, values_N: Tensor) -> Tensor:
        """Each token gets the mean of the values over its response."""
        sums_S = values_N.new_zeros(self.num_sequences).index_add(0, self.sequence_N, values_N)
        return (sums_S / self.lengths_S())[self.sequence_N]


MAX_LOG_RATIO = 20.0
"""Log-ratios are clamped to +-20: exp(88.8) is infinite in float32, and infinity times a gate's zero slope is a NaN gradient."""


def log_ratio(now_N: Tensor, then_N: Tensor) -> Tensor:
    """log(now / then), in float32 (float64 where an input is float64), clamped to +-`MAX_LOG_RATIO`; no gradient beyond the clamp."""
    dtype = torch.promote_types(torch.promote_types(now_N.dtype, then_N.dtype), torch.float32)
    return (now_N.to(dtype) - then_N.to(dtype)).clamp(-MAX_LOG_RATIO, MAX_LOG_RATIO)
