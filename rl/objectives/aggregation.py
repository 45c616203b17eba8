"""How the tokens of an optimizer step share its loss: a weight for each token.

Axes: N sampled tokens of the micro-batch.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from rl.objectives.policy_tokens import PolicyTokens

Aggregation: TypeAlias = Literal["sequence", "token", "constant"]


@dataclass(frozen=True, slots=True)
class StepDenominators:
    """Sizes of the *whole* optimizer step: all micro-batches of all ranks.

    With them the losses of micro-batches, however the responses are split, add up to the loss of the step: sum them, never average them. A
    learner whose ranks average their gradients multiplies the loss by the number of ranks.

    `num_sequences` counts the responses that have an advantage, zero included; `num_tokens` their sampled tokens; `constant_length` is the
    divisor of Dr. GRPO, the most tokens that a response may have.
    """

    num_sequences: int
    num_tokens: int
    constant_length: int

    def __post_init__(self) -> None:
        assert self.num_sequences > 0, self
        assert self.num_tokens > 0, self
        assert self.constant_length > 0, self


def token_weights(aggregation: Aggregation, tokens: PolicyTokens, step: StepDenominators) -> Tensor:
    """`weights_N`: the loss is the sum of each token's value times its weight.

    - `sequence`: mean over the tokens of a response, then over the responses of the step (GRPO, GSPO, SAPO).
    - `token`: mean over all tokens of the step (DAPO, arXiv 2503.14476): long responses weigh more.
    - `constant`: sum over tokens / (responses * constant length) (Dr. GRPO, arXiv 2503.20783): no reward for length in wrong answers.
    """
    dtype = torch.float64 if tokens.logprobs_N.dtype == torch.float64 else torch.float32
    return _WEIGHTS[aggregation](tokens, step).to(dtype)


def _sequence(tokens: PolicyTokens, step: StepDenominators) -> Tensor:
    return (1.0 / (tokens.lengths_S().double() * step.num_sequences))[tokens.sequence_N]


def _token(tokens: PolicyTokens, step: StepDenominators) -> Tensor:
    return tokens.logprobs_N.new_full(tokens.logprobs_N.shape, 1.0 / step.num_tokens, dtype=torch.float64)


def _constant(tokens: PolicyTokens, step: StepDenominators) -> Tensor:
    return tokens.logprobs_N.new_full(tokens.logprobs_N.shape, 1.0 / (step.num_sequences * step.constant_length), dtype=torch.float64)


_WEIGHTS: dict[Aggregation, Callable[[PolicyTokens, StepDenominators], Tensor]] = {
    "sequence": _sequence,
    "token": _token,
    "constant": _constant,
}
