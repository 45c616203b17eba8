"""pass@k: the chance that at least one of k samples is right."""

from math import comb


def pass_at_k(num_samples: int, num_right: int, k: int) -> float:
    """Unbiased estimate of pass@k from `num_right` right ones among `num_samples`: 1 - C(n-c, k) / C(n, k).

    It is the share of the k-subsets of the samples that hold a right one (Chen et al. 2021, arXiv:2107.03374, eq. 1).
    """
    if not 1 <= k <= num_samples:
        raise ValueError(f"pass@{k} needs at least {k} samples and k >= 1; there are {num_samples}")
    if not 0 <= num_right <= num_samples:
        raise ValueError(f"{num_right} right of {num_samples} samples is impossible")
    return 1.0 - comb(num_samples - num_right, k) / comb(num_samples, k)
