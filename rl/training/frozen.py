"""A policy that is only read: the reference of the KL term."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from rl.training.batch import FloatsM, packed_passes
from rl.training.model import Policy, SoftmaxSettings, TreeEncoder
from rl.training.tree import Tree


class FrozenPolicy:
    """Log-probs of given responses under the checkpoint in `path`."""

    def __init__(self, path: Path | str, softmax: SoftmaxSettings, max_tokens: int, *, bfloat16: bool) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._policy = Policy(path, torch.bfloat16 if bfloat16 else torch.float32, softmax).to(device).eval()
        self._encode = TreeEncoder(path, device)
        self._max_tokens = max_tokens

    @torch.no_grad()
    def logprobs(self, trees: Sequence[Tree]) -> list[list[FloatsM]]:
        """For each tree, for each of its branches, the log-probs of its trained tokens, in nats."""
        result: dict[int, list[FloatsM]] = {}
        for numbers in packed_passes(range(len(trees)), trees, self._max_tokens):
            logprobs_M, _ = self._policy(self._encode([trees[i] for i in numbers]))
            lengths = [[int(branch.loss_mask_T.sum()) for branch in trees[i].branches] for i in numbers]
            flat = np.split(logprobs_M.float().cpu().numpy(), np.cumsum([n for tree in lengths for n in tree])[:-1])
            pieces = iter(flat)
            result |= {i: [next(pieces) for _ in tree] for i, tree in zip(numbers, lengths, strict=True)}
        return [result[i] for i in range(len(trees))]
