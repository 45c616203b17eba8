"""Learners on tiny checkpoints, and random batches for them."""

import random
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tiny_checkpoints import forest

from rl.config.settings import LearnerSettings, ObjectiveSettings
from rl.config.supervised_settings import OptimizerSettings
from rl.objectives.objective import make_objective
from rl.training.batch import PolicyBranch, PolicyTree, SapoBatch
from rl.training.learner import Learner
from rl.training.model import SoftmaxSettings
from rl.training.tree import Tree

CONSTANT_LENGTH = 16
OPTIMIZER = OptimizerSettings(lr=1e-3, warmup_steps=0, max_grad_norm=100.0)


def make_learner(
    path: Path, settings: LearnerSettings | None = None, objective: ObjectiveSettings | None = None, chunk: int = 7
) -> Learner:
    settings = settings or LearnerSettings(mini_batches=1, optimizer=OPTIMIZER)
    return Learner(path, settings, make_objective(objective or ObjectiveSettings()), SoftmaxSettings(chunk=chunk), 10, bfloat16=False)


def policy_trees(trees: Sequence[Tree], seed: int = 0, tasks: Sequence[str] = ("a", "b")) -> tuple[PolicyTree, ...]:
    """Trees with branches, with random advantages and behavior log-probs that lie about -4.8 as an untrained policy's do."""
    rng = random.Random(seed)

    def branch(tree: Tree, number: int) -> PolicyBranch:
        stretch = tree.branches[number]
        behavior = [rng.gauss(-4.8, 0.3) for _ in range(int(stretch.loss_mask_T.sum()))]
        return PolicyBranch(stretch, rng.choice([-1, 1]) * rng.uniform(0.5, 1.5), np.array(behavior, dtype=np.float32))

    with_branches = [tree for tree in trees if tree.branches]
    return tuple(
        PolicyTree(tree.trunk, tuple(branch(tree, j) for j in range(len(tree.branches))), tasks[i % len(tasks)])
        for i, tree in enumerate(with_branches)
    )


def sapo_batch(kind: str, seed: int = 0) -> SapoBatch:
    return SapoBatch(policy_trees(forest(kind, seed), seed), CONSTANT_LENGTH)
