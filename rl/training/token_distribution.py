"""A model's whole next-token distribution in chunks, and what is kept of it where all of it would be too much.

Axes: N positions, C positions of a chunk, H width, V vocabulary, K most probable tokens.
"""

from math import log

import torch
from torch import Tensor

from rl.training.model import SoftmaxSettings

# Stands for the log of 0 where infinities would become NaN in a difference; float32 has no probability between.
LOG_ZERO = -1e4


def log_softmax(hidden_CH: Tensor, head_VH: Tensor, softmax: SoftmaxSettings, vocab_size: int) -> Tensor:
    """Log-probs over the first `vocab_size` rows of the head [C, V], float32 or wider; rows beyond are padding without a token.

    Temperature and banned ids as in `rl.training.chosen_logprobs`.
    """
    with torch.autocast(hidden_CH.device.type, enabled=False):
        logits_CV = hidden_CH @ head_VH[:vocab_size].to(hidden_CH.dtype).T
        wide_CV = logits_CV.to(torch.promote_types(logits_CV.dtype, torch.float32)) / softmax.temperature
        if softmax.banned_ids:
            wide_CV = wide_CV.index_fill(1, torch.tensor(softmax.banned_ids, device=wide_CV.device), -torch.inf)
        return wide_CV.log_softmax(1)


def top_k(hidden_NH: Tensor, head_VH: Tensor, softmax: SoftmaxSettings, vocab_size: int, k: int) -> tuple[Tensor, Tensor]:
    """`(ids_NK, logprobs_NB)`: the k most probable tokens, and log-probs of them and, last, of all others together (B = K + 1)."""
    ids, logprobs = [], []
    for start in range(0, max(1, len(hidden_NH)), softmax.chunk):
        chunk_CV = log_softmax(hidden_NH[start : start + softmax.chunk], head_VH, softmax, vocab_size)
        ids_CK = chunk_CV.topk(min(k, vocab_size), dim=1).indices
        ids.append(ids_CK)
        logprobs.append(bucketed(chunk_CV, ids_CK))
    return torch.cat(ids), torch.cat(logprobs)


def bucketed(logprobs_NV: Tensor, ids_NK: Tensor) -> Tensor:
    """Log-probs of the K outcomes in `ids_NK` (all different) and, last, of everything else: [N, K + 1], summing to 1 again.

    Merging outcomes never raises a divergence (data processing), so what is measured on buckets is a lower bound of the full one and never
    negative: unlike the sum over the top-k alone, and unlike renormalised top-k, it pays for mass that the student puts elsewhere.
    """
    rest_NV = logprobs_NV.scatter(1, ids_NK, -torch.inf)
    return torch.cat((logprobs_NV.gather(1, ids_NK), _log_sum(rest_NV)[:, None]), dim=1)


def with_tail(logprobs_NK: Tensor) -> Tensor:
    """The same [N, K + 1] where only the log-probs of the top-k are known: the tail is log(1 - sum).

    A sum cannot be known better than the dtype's resolution: a smaller tail, or a negative one, is set to that, because a tail of 0 would
    make every token that the student puts there infinitely wrong.
    """
    log_mass_N = logprobs_NK.logsumexp(1)
    least = log(torch.finfo(logprobs_NK.dtype).eps)
    # log(1 - e^x) for x < 0, each half where it keeps its digits (Maechler 2012).
    missing_N = torch.where(log_mass_N > -0.6931, torch.log(-torch.expm1(log_mass_N)), torch.log1p(-log_mass_N.exp()))
    tail_N = torch.where(log_mass_N < 0, missing_N, least).clamp(min=least)
    return torch.cat((logprobs_NK, tail_N[:, None]), dim=1)


def _log_sum(logprobs_NV: Tensor) -> Tensor:
    """logsumexp whose gradient is 0, not NaN, where every outcome is impossible."""
    nothing_N1 = (logprobs_NV == -torch.inf).all(1, keepdim=True)
    summed_N = torch.where(nothing_N1, LOG_ZERO, logprobs_NV).logsumexp(1)
    return torch.where(nothing_N1.squeeze(1), LOG_ZERO, summed_N)
