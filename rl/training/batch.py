"""What one update of the policy is made from, and how it is cut into mini-batches and micro-batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from rl.objectives.aggregation import StepDenominators
from rl.training.tree import Stretch, Tree

FloatsM = npt.NDArray[np.float32]
FloatsMV = npt.NDArray[np.float32]
IdsMK = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class PolicyBranch:
    """A response with all that the objective reads. M counts its sampled tokens, in order; log-probs in nats."""

    stretch: Stretch
    advantage: float
    behavior_logprobs_M: FloatsM
    reference_logprobs_M: FloatsM | None = None

    def __post_init__(self) -> None:
        sampled = int(self.stretch.loss_mask_T.sum())
        assert len(self.behavior_logprobs_M) == sampled, (len(self.behavior_logprobs_M), sampled)


@dataclass(frozen=True, slots=True, eq=False)
class PolicyTree:
    """A prompt with the responses that are trained on. `task` is the problem's source.

    Where they are `compared` with each other, they are never parted between ranks or micro-batches.
    """

    trunk: Stretch
    branches: tuple[PolicyBranch, ...]
    task: str
    compared: bool = False

    @property
    def tree(self) -> Tree:
        return Tree(self.trunk, tuple(branch.stretch for branch in self.branches))

    def with_reference(self, logprobs: Sequence[FloatsM]) -> "PolicyTree":
        """The same with the reference's log-probs, one array a branch."""
        pairs = zip(self.branches, logprobs, strict=True)
        return replace(self, branches=tuple(replace(branch, reference_logprobs_M=values) for branch, values in pairs))


@dataclass(frozen=True, slots=True, eq=False)
class SapoBatch:
    """The prompts and responses of one step, the divisor of the `constant` aggregation, and how long teachers were waited for."""

    trees: tuple[PolicyTree, ...]
    constant_length: int
    teacher_s: float = 0.0

    def mini_batches(self, count: int) -> list["SapoBatch"]:
        """Cuts into `count` parts that each hold every task in the batch's ratio, as nearly as whole groups allow."""
        by_task = sorted(range(len(self.trees)), key=lambda i: self.trees[i].task)
        parts = [tuple(self.trees[i] for i in by_task[part::count]) for part in range(count)]
        return [replace(self, trees=part) for part in parts if part]

    def shard(self, rank: int, ranks: int) -> "SapoBatch":
        """Every `ranks`-th response, by length, so that ranks have about equal work; a prompt may be on several ranks.

        Compared responses go with their first.
        """
        dealt = [(i, j) for i, tree in enumerate(self.trees) for j in range(1 if tree.compared else len(tree.branches))]
        numbered = [(len(self.trees[i].branches[j].stretch), i, j) for i, j in dealt]
        mine = {(i, j) for _, i, j in sorted(numbered)[rank::ranks]}
        trees = (
            replace(tree, branches=tuple(b for j, b in enumerate(tree.branches) if (i, 0 if tree.compared else j) in mine))
            for i, tree in enumerate(self.trees)
        )
        return replace(self, trees=tuple(tree for tree in trees if tree.branches))

    def with_gradient(self) -> "SapoBatch":
        """Without the prompts whose responses all have the advantage 0; the whole where there are no others."""
        teaching = tuple(tree for tree in self.trees if any(branch.advantage for branch in tree.branches))
        return replace(self, trees=teaching or self.trees)

    def denominators(self) -> StepDenominators:
        branches = [branch for tree in self.trees for branch in tree.branches]
        return StepDenominators(len(branches), sum(len(b.behavior_logprobs_M) for b in branches), self.constant_length)


def micro_batches(trees: Sequence[PolicyTree], max_tokens: int) -> Iterator[list[PolicyTree]]:
    """Cuts into passes of at most `max_tokens` packed tokens, trees of like length together. A single longer chain goes alone.

    A tree that does not fit is cut between its branches, unless they are compared, and its trunk is then computed once for each piece.
    """
    pieces = [piece for tree in trees for piece in _fitting(tree, max_tokens)]
    return packed_passes(pieces, [piece.tree for piece in pieces], max_tokens)


ItemT = TypeVar("ItemT")


def packed_passes(items: Sequence[ItemT], trees: Sequence[Tree], max_tokens: int) -> Iterator[list[ItemT]]:
    """`items`, one for each tree, in passes of at most `max_tokens` packed tokens, trees of like length together."""
    order = sorted(range(len(trees)), key=lambda i: trees[i].longest_chain)
    taken: list[ItemT] = []
    tokens = 0
    for i in order:
        if taken and tokens + trees[i].num_tokens > max_tokens:
            yield taken
            taken, tokens = [], 0
        taken.append(items[i])
        tokens += trees[i].num_tokens
    if taken:
        yield taken


def _fitting(tree: PolicyTree, max_tokens: int) -> Iterator[PolicyTree]:
    branches: list[PolicyBranch] = []
    tokens = len(tree.trunk)
    for branch in tree.branches:
        if branches and not tree.compared and tokens + len(branch.stretch) > max_tokens:
            yield replace(tree, branches=tuple(branches))
            branches, tokens = [], len(tree.trunk)
        branches.append(branch)
        tokens += len(branch.stretch)
    yield replace(tree, branches=tuple(branches))
