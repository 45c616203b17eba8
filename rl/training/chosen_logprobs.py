"""Log-probs of chosen tokens from hidden states, without ever holding the logits of all positions.

Axes: N positions, C positions of one chunk, H width of the model, V rows of the output head.

A chunk's logits live only while the chunk is worked on, in the forward and again in the backward pass, which computes them anew: the
price is one more matrix product with the head, and memory is bounded by chunk * V instead of N * V.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def chosen_logprobs(
    hidden_NH: Tensor,
    head_weight_VH: Tensor,
    ids_N: Tensor,
    *,
    temperature: float,
    chunk: int,
    vocab_size: int | None = None,
    banned_ids: Sequence[int] = (),
) -> tuple[Tensor, Tensor]:
    """`(logprobs_N, entropy_N)` of `softmax(hidden @ head.T / temperature)`, in nats, float32 (float64 for float64 input).

    `hidden_NH[n]` is the state that predicts `ids_N[n]`: the shift by one is the caller's. Logits are products in the dtype of
    `hidden_NH`, as engines compute them; the softmax is float32. `vocab_size` leaves out the padded rows at the end of the head.
    `banned_ids` have probability 0, as where the engine never samples them: then these are the log-probs of the sampling distribution.

    `logprobs_N` is differentiable once, with respect to the hidden states and the head, each only where it asks for a gradient. A
    padded or banned row of the head gets the gradient 0. `entropy_N` carries no gradient.
    """
    assert hidden_NH.dim() == 2, hidden_NH.shape
    assert ids_N.shape == hidden_NH.shape[:1], (ids_N.shape, hidden_NH.shape)
    assert temperature > 0, temperature
    assert chunk > 0, chunk
    rows = head_weight_VH.shape[0] if vocab_size is None else vocab_size
    assert 0 < rows <= head_weight_VH.shape[0], f"vocab_size {rows} of a head with {head_weight_VH.shape[0]} rows"
    banned = torch.tensor(list(banned_ids), dtype=torch.long, device=hidden_NH.device) if banned_ids else None
    softmax = _Softmax(rows, temperature, chunk, banned)
    result: tuple[Tensor, Tensor] = _ChosenLogprobs.apply(hidden_NH, head_weight_VH, ids_N, softmax)  # type: ignore[no-untyped-call]
    return result


@dataclass(frozen=True, slots=True, eq=False)
class _Softmax:
    """How logits are made of hidden states, one chunk at a time."""

    vocab_size: int
    temperature: float
    chunk: int
    banned: Tensor | None

    def head(self, weight_VH: Tensor, dtype: torch.dtype) -> Tensor:
        return weight_VH[: self.vocab_size].to(dtype)

    def slices(self, num_positions: int) -> list[slice]:
        return [slice(start, start + self.chunk) for start in range(0, num_positions, self.chunk)]

    def logits(self, hidden_CH: Tensor, head_VH: Tensor) -> Tensor:
        """Float32 or float64, in a fresh tensor that the caller may overwrite."""
        logits_CV = _widened(hidden_CH @ head_VH.T)
        if self.temperature != 1.0:
            logits_CV.div_(self.temperature)
        if self.banned is not None:
            logits_CV.index_fill_(1, self.banned, -torch.inf)
        return logits_CV

    def logprobs(self, logits_CV: Tensor, ids_C: Tensor) -> tuple[Tensor, Tensor]:
        """Log-prob of each id, and each row's entropy. Overwrites the logits."""
        probabilities_CV = torch.softmax(logits_CV, dim=-1)
        # The largest probability is 1 / sum(exp(logits - largest)): the normaliser without another pass of exponentials.
        normaliser_C = -probabilities_CV.amax(-1).log()
        logits_CV.sub_(logits_CV.amax(-1, keepdim=True))
        logprobs_C = logits_CV.gather(1, ids_C[:, None]).squeeze(1) - normaliser_C
        if self.banned is not None:
            logits_CV.index_fill_(1, self.banned, 0.0)  # 0 * -inf would be NaN
        return logprobs_C, normaliser_C - torch.linalg.vecdot(probabilities_CV, logits_CV)

    def grad_logits(self, logits_CV: Tensor, ids_C: Tensor, grad_C: Tensor) -> Tensor:
        """Gradient with respect to the products of state and head, from that with respect to the log-probs: (onehot - p) / temperature."""
        scaled_C1 = (grad_C / self.temperature)[:, None]
        grad_CV = torch.softmax(logits_CV, dim=-1).mul_(-scaled_C1)
        return grad_CV.scatter_add_(1, ids_C[:, None], scaled_C1)


class _ChosenLogprobs(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, hidden_NH: Tensor, weight_VH: Tensor, ids_N: Tensor, softmax: _Softmax) -> tuple[Tensor, Tensor]:
        logprobs_N = torch.empty_like(ids_N, dtype=_wide_dtype(hidden_NH))
        entropy_N = torch.empty_like(logprobs_N)
        with torch.autocast(hidden_NH.device.type, enabled=False):
            head_VH = softmax.head(weight_VH, hidden_NH.dtype)
            for part in softmax.slices(len(ids_N)):
                logprobs_N[part], entropy_N[part] = softmax.logprobs(softmax.logits(hidden_NH[part], head_VH), ids_N[part])
        ctx.save_for_backward(hidden_NH, weight_VH, ids_N)
        ctx.softmax = softmax
        ctx.mark_non_differentiable(entropy_N)
        return logprobs_N, entropy_N

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_N: Tensor, _: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        hidden_NH, weight_VH, ids_N = ctx.saved_tensors
        softmax: _Softmax = ctx.softmax
        wants_hidden, wants_weight = ctx.needs_input_grad[:2]
        grad_hidden_NH = torch.empty_like(hidden_NH) if wants_hidden else None
        grad_weight_VH = torch.zeros_like(weight_VH, dtype=_wide_dtype(weight_VH)) if wants_weight else None
        with torch.autocast(hidden_NH.device.type, enabled=False):
            head_VH = softmax.head(weight_VH, hidden_NH.dtype)
            for part in softmax.slices(len(ids_N)):
                grad_CV = softmax.grad_logits(softmax.logits(hidden_NH[part], head_VH), ids_N[part], grad_N[part]).to(hidden_NH.dtype)
                if grad_hidden_NH is not None:
                    grad_hidden_NH[part] = grad_CV @ head_VH
                if grad_weight_VH is not None:
                    _add_product(grad_weight_VH[: softmax.vocab_size], grad_CV.T, hidden_NH[part])
        return grad_hidden_NH, None if grad_weight_VH is None else grad_weight_VH.to(weight_VH.dtype), None, None


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left @ right; the sum over chunks is kept in float32 where the factors are narrower."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += left @ right


def _wide_dtype(tensor: Tensor) -> torch.dtype:
    return torch.float64 if tensor.dtype == torch.float64 else torch.float32


def _widened(tensor: Tensor) -> Tensor:
    return tensor.to(_wide_dtype(tensor))
