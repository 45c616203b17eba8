"""A policy that is only read: the reference of the KL term, or a teacher."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from rl.training.batch import FloatsM, FloatsMV, IdsMK, packed_passes
from rl.training.model import ModelInputs, Policy, SoftmaxSettings, TreeEncoder
from rl.training.token_distribution import top_k
from rl.training.tree import Tree


class FrozenPolicy:
    """What the checkpoint in `path` says of given responses: for each tree, for each of its branches, M trained tokens."""

    def __init__(self, path: Path | str, softmax: SoftmaxSettings, max_tokens: int, *, bfloat16: bool) -> None:
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._policy = Policy(path, torch.bfloat16 if bfloat16 else torch.float32, softmax).to(device).eval()
        self._encode = TreeEncoder(path, device)
        self._max_tokens = max_tokens

    def logprobs(self, trees: Sequence[Tree]) -> list[list[FloatsM]]:
        """Log-probs in nats."""
        return [[values for (values,) in tree] for tree in self._by_branch(trees, lambda inputs: self._policy(inputs)[:1])]

    def hidden_states(self, trees: Sequence[Tree]) -> list[list[FloatsMV]]:
        """The last hidden states that predict the tokens [M, H]: with the output head, the whole distribution."""
        read = self._by_branch(trees, lambda inputs: (self._policy.predicting_states(inputs),))
        return [[values for (values,) in tree] for tree in read]

    def top_k(self, trees: Sequence[Tree], k: int, vocab_size: int) -> list[list[tuple[IdsMK, FloatsMV]]]:
        """`(ids_MK, logprobs_MB)` of the k most probable tokens and, last, of all others together; see `token_distribution.top_k`."""

        def read(inputs: ModelInputs) -> tuple[Tensor, Tensor]:
            return top_k(self._policy.predicting_states(inputs), self._policy.head_VH, self._policy.softmax, vocab_size, k)

        return [[(ids.astype(np.int64), values) for ids, values in tree] for tree in self._by_branch(trees, read)]

    @torch.no_grad()
    def _by_branch(self, trees: Sequence[Tree], read: Callable[[ModelInputs], Sequence[Tensor]]) -> list[list[tuple[np.ndarray, ...]]]:
        result: dict[int, list[tuple[np.ndarray, ...]]] = {}
        for numbers in packed_passes(range(len(trees)), trees, self._max_tokens):
            columns = read(self._encode([trees[i] for i in numbers]))
            lengths = [[int(branch.loss_mask_T.sum()) for branch in trees[i].branches] for i in numbers]
            pieces = _pieces(columns, [n for tree in lengths for n in tree])
            result |= {i: [next(pieces) for _ in tree] for i, tree in zip(numbers, lengths, strict=True)}
        return [result[i] for i in range(len(trees))]


def _pieces(columns: Sequence[Tensor], lengths: Sequence[int]) -> Iterator[tuple[np.ndarray, ...]]:
    """The rows of every branch, one after the other, of each column."""
    arrays = [(column if column.dtype == torch.int64 else column.float()).cpu().numpy() for column in columns]
    yield from zip(*(np.split(array, np.cumsum(lengths)[:-1]) for array in arrays), strict=True)
