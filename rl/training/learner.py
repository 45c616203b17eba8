"""The policy update: log-probs, objective, backward, optimizer step; on one rank or sharded over several.

M counts the sampled tokens of a micro-batch.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rl.config.settings import LearnerSettings
from rl.objectives.aggregation import StepDenominators
from rl.objectives.objective import LossOutput, token_means
from rl.objectives.policy_tokens import PolicyTokens
from rl.training.batch import FloatsM, PolicyTree, SapoBatch, micro_batches
from rl.training.model import ModelInputs, Readout, SoftmaxSettings
from rl.training.optimization import Optimization


@dataclass(frozen=True, slots=True)
class UpdateReport:
    """`version` is the one that the update made, `grad_norm` and `lr` the mean over its optimizer steps. Other `stats` are means over
    the sampled tokens that were computed."""

    version: int
    grad_norm: float
    stats: dict[str, float]


class Objective(Protocol):
    """The loss of a micro-batch: `rl.objectives.objective.PolicyObjective`, or that with a teacher's term."""

    @property
    def advantages_alone(self) -> bool:
        """A response with the advantage 0 has no gradient."""
        ...

    def readout(self, trees: Sequence[PolicyTree]) -> Readout | None:
        """What it computes at the output head for the sampled tokens of these trees, in order; None where log-probs are enough."""
        ...

    def __call__(self, tokens: PolicyTokens, step: StepDenominators, read: Sequence[Tensor] = ()) -> LossOutput:
        """`read` is what the readout gave."""
        ...


class Learner:
    """Owns the trained policy; `version` counts its updates."""

    def __init__(
        self,
        path: Path | str,
        settings: LearnerSettings,
        objective: Objective,
        softmax: SoftmaxSettings,
        steps: int,
        *,
        bfloat16: bool,
    ) -> None:
        self._settings = settings
        self._objective = objective
        self.optimization = Optimization(
            path, settings.optimizer, softmax, steps * settings.mini_batches, bfloat16=bfloat16, freeze_vision=settings.freeze_vision
        )
        self.optimization.compute_as(settings)
        self.version = 0

    def update(self, batch: SapoBatch) -> UpdateReport:
        """One optimizer step a mini-batch. Every rank is given the whole batch and works on its shard.

        Responses without a gradient count in the denominators and are not computed, so `stats` do not include them.
        """
        started = time.perf_counter()
        parts = batch.mini_batches(self._settings.mini_batches)
        old = self._recomputed(parts) if self._settings.old_logprobs == "recompute" else {}
        sums, norms, rates = [], [], []
        for part in parts:
            rates.append(self.optimization.lr)
            sums.append(self._accumulate(part, old))
            norms.append(self.optimization.step())
        self.version += 1
        stats = token_means(_added(sums))
        # Before its first optimizer step the learner has the weights that the newest rollouts were sampled with.
        if "behavior_kl" in stats:
            stats["engine_kl"] = token_means(sums[0])["behavior_kl"]
        stats |= {"lr": float(np.mean(rates)), "update_s": time.perf_counter() - started}
        return UpdateReport(self.version, float(np.mean(norms)), stats)

    def weights(self) -> dict[str, Tensor]:
        """What generators are given; see `Optimization.weights`."""
        return self.optimization.weights()

    def save(self, folder: Path) -> None:
        """The policy as a checkpoint of its own in `folder/policy`, and the rest of the state beside it."""
        self.optimization.save_policy(folder / "policy")
        self.optimization.save_state(folder)
        if self.optimization.rank == 0:
            (folder / "version.json").write_text(json.dumps(self.version))

    def load(self, folder: Path) -> None:
        """Continues from what `save` wrote. The policy's weights were read when this learner was made from `folder/policy`."""
        self.optimization.load_state(folder)
        self.version = json.loads((folder / "version.json").read_text())

    def _accumulate(self, part: SapoBatch, old: dict[int, FloatsM]) -> dict[str, Tensor]:
        """Gradients of one optimizer step, and its sums over all ranks."""
        step = part.denominators()
        sums = []
        for trees, inputs in self._passes(part):
            logprobs_M, entropy_M, *read = self.optimization.score(inputs, self._objective.readout(trees))
            tokens = _policy_tokens(trees, logprobs_M, entropy_M, old)
            output = self._objective(tokens, step, read)
            self.optimization.backward(output.loss)
            sums.append(dict(output.sums))
        return self.optimization.summed_over_ranks(_added(sums))

    def _passes(self, part: SapoBatch) -> Iterator[tuple[Sequence[PolicyTree], ModelInputs]]:
        """This rank's micro-batches; at the end there may be some without a response, while other ranks still have one."""
        computed = part.with_gradient() if self._objective.advantages_alone else part
        mine = computed.shard(self.optimization.rank, self.optimization.ranks)
        passes = list(micro_batches(mine.trees, self._settings.micro_batch_tokens))
        steps = self.optimization.lockstep([[tree.tree for tree in part] for part in passes])
        for trees, inputs in zip_longest(passes, map(self.optimization.encode, steps), fillvalue=()):
            assert isinstance(inputs, ModelInputs)
            yield trees, inputs

    def _recomputed(self, parts: Sequence[SapoBatch]) -> dict[int, FloatsM]:
        """The learner's own log-probs of every response before the update, by the identity of its branch."""
        old: dict[int, FloatsM] = {}
        with self.optimization.evaluating():
            for part in parts:
                for trees, inputs in self._passes(part):
                    logprobs_M, *_ = self.optimization.score(inputs)
                    branches = [branch for tree in trees for branch in tree.branches]
                    old |= {id(b): values for b, values in zip(branches, split_by_branch(trees, logprobs_M), strict=True)}
        return old


def split_by_branch(trees: Sequence[PolicyTree], values_M: Tensor) -> list[FloatsM]:
    """Values of the trained tokens of a micro-batch, cut into those of each branch, in order."""
    lengths = [len(branch.behavior_logprobs_M) for tree in trees for branch in tree.branches]
    return [piece.numpy() for piece in torch.split(values_M.float().cpu(), lengths)] if lengths else []


def _policy_tokens(trees: Sequence[PolicyTree], logprobs_M: Tensor, entropy_M: Tensor, old: dict[int, FloatsM]) -> PolicyTokens:
    branches = [branch for tree in trees for branch in tree.branches]
    device = logprobs_M.device
    lengths = torch.tensor([len(b.behavior_logprobs_M) for b in branches], dtype=torch.int64)
    advantages = torch.tensor([b.advantage for b in branches], dtype=torch.float32)

    def on_device(values: Sequence[FloatsM]) -> Tensor:
        return torch.from_numpy(np.concatenate([np.zeros(0, dtype=np.float32), *values])).to(device)

    behavior_M = on_device([b.behavior_logprobs_M for b in branches])
    references = [b.reference_logprobs_M for b in branches if b.reference_logprobs_M is not None]
    return PolicyTokens(
        logprobs_N=logprobs_M,
        old_logprobs_N=on_device([old[id(b)] for b in branches]) if old else behavior_M,
        behavior_logprobs_N=behavior_M,
        advantages_N=advantages.repeat_interleave(lengths).to(device),
        sequence_N=torch.arange(len(branches)).repeat_interleave(lengths).to(device),
        num_sequences=len(branches),
        reference_logprobs_N=on_device(references) if references or not branches else None,
        entropy_N=entropy_M,
    )


def _added(sums: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    total: dict[str, Tensor] = {}
    for one in sums:
        for name, value in one.items():
            total[name] = total[name] + value if name in total else value
    return total
