"""The losses of on-policy distillation, alone or mixed with rewards: the other half of the method whose signal is `distill.signal`.

    DistillObjective   policy loss  +  weight * sum over tokens of  w_t * divergence_t
    SampledObjective   policy loss with the advantage  reward_weight * A  +  weight * (log T(y) - log S(y))  of each token

The policy loss, with its `reward_weight` and its reference term, and the shares w_t are those of `rl.objectives.objective`, divergences
and the gradient of each those of `distill.divergences`. Nothing corrects for the age of sampled prefixes: a divergence is exact at each
position, and only the positions come from an older policy.

Axes: M sampled tokens of a micro-batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from torch import Tensor

from distill.batch import DistillBranch, TeacherLogprobs, TeacherStates, TeacherTopK
from distill.comparison import FullVocabulary, TeacherScores, TopK, compare
from distill.divergences import Divergence, sampled_advantages
from rl.objectives.aggregation import StepDenominators, token_weights
from rl.objectives.objective import LossOutput, PolicyObjective
from rl.objectives.policy_tokens import PolicyTokens
from rl.training.batch import PolicyTree
from rl.training.model import Readout, SoftmaxSettings


@dataclass(frozen=True, slots=True, eq=False)
class DistillObjective:
    """`heads` are the output heads of the teachers whose hidden states are given, by name; `vocab_size` is that of the tokenizer."""

    policy: PolicyObjective
    weight: float
    divergence: Divergence
    softmax: SoftmaxSettings
    vocab_size: int
    heads: Mapping[str, Tensor]

    @property
    def advantages_alone(self) -> bool:
        return False

    def readout(self, trees: Sequence[PolicyTree]) -> Readout:
        """The divergence at every sampled token, and the masses of student and teacher outside the teacher's top-k."""
        return partial(self._compare, _taught_branches(trees))

    def __call__(self, tokens: PolicyTokens, step: StepDenominators, read: Sequence[Tensor] = ()) -> LossOutput:
        """Adds `divergence`, `student_outside_mass` and `teacher_outside_mass` to the statistics of the policy loss."""
        divergence_M, student_outside_M, teacher_outside_M = read
        policy = self.policy(tokens, step)
        loss = self.weight * (token_weights(self.policy.aggregation, tokens, step) * divergence_M).sum()
        if self.policy.reward_weight > 0 or self.policy.reference is not None:
            loss = loss + policy.loss
        values = {"divergence": divergence_M, "student_outside_mass": student_outside_M, "teacher_outside_mass": teacher_outside_M}
        return LossOutput(loss, {**policy.sums, **_summed(values, loss)})

    def _compare(self, branches: Sequence[DistillBranch], hidden_MH: Tensor, head_VH: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Each teacher's tokens together; the results in the order of the tokens."""
        if not branches:
            nothing_M = hidden_MH.sum(1) * 0
            return nothing_M, nothing_M, nothing_M
        teacher_of_M = np.repeat([branch.teacher for branch in branches], [len(branch.behavior_logprobs_M) for branch in branches])
        rows, parts = [], []
        for teacher in dict.fromkeys(branch.teacher for branch in branches):
            mine = torch.from_numpy(np.flatnonzero(teacher_of_M == teacher)).to(hidden_MH.device)
            scores = self._scores([branch for branch in branches if branch.teacher == teacher], hidden_MH.device)
            found = compare(hidden_MH[mine], head_VH, scores, self.divergence, self.softmax, self.vocab_size)
            rows.append(mine)
            parts.append((found.divergence_N, found.student_outside_N, found.teacher_outside_N))
        place = torch.cat(rows).argsort()
        divergence_M, student_M, teacher_M = (torch.cat(column)[place] for column in zip(*parts, strict=True))
        return divergence_M, student_M, teacher_M

    def _scores(self, branches: Sequence[DistillBranch], device: torch.device) -> TeacherScores:
        states = [branch.teaching.hidden_MG for branch in branches if isinstance(branch.teaching, TeacherStates)]
        if states:
            return FullVocabulary(_joined(states, device), self.heads[branches[0].teacher].to(device))
        top = [branch.teaching for branch in branches if isinstance(branch.teaching, TeacherTopK)]
        return TopK(_joined([one.ids_MK for one in top], device), _joined([one.logprobs_MB for one in top], device))


@dataclass(frozen=True, slots=True)
class SampledObjective:
    """Policy gradient on the teacher's log-prob of the sampled token. S(y) is the engine's when it sampled, T(y) the teacher's."""

    policy: PolicyObjective
    reward_weight: float
    weight: float

    @property
    def advantages_alone(self) -> bool:
        return False

    def readout(self, trees: Sequence[PolicyTree]) -> Readout:
        """The teacher's log-prob of every sampled token; the output head is not asked."""
        known = [branch.teaching.logprobs_M for branch in _taught_branches(trees) if isinstance(branch.teaching, TeacherLogprobs)]
        return lambda hidden_MH, _: (_joined([np.zeros(0, dtype=np.float32), *known], hidden_MH.device),)

    def __call__(self, tokens: PolicyTokens, step: StepDenominators, read: Sequence[Tensor] = ()) -> LossOutput:
        """Adds `divergence` to the statistics of the policy loss: the mean of log S(y) - log T(y) is an estimate of KL(S, T)."""
        (teacher_M,) = read
        gain_M = sampled_advantages(tokens.behavior_logprobs_N, teacher_M)
        advantages_M = self.reward_weight * tokens.advantages_N + self.weight * gain_M
        output = self.policy(replace(tokens, advantages_N=advantages_M), step)
        return LossOutput(output.loss, {**output.sums, **_summed({"divergence": -gain_M}, output.loss)})


def _taught_branches(trees: Sequence[PolicyTree]) -> list[DistillBranch]:
    branches = [branch for tree in trees for branch in tree.branches]
    found = [branch for branch in branches if isinstance(branch, DistillBranch)]
    assert len(found) == len(branches), "a response without a teacher's word in a batch of distillation"
    return found


def _joined(arrays: Sequence[np.ndarray], device: torch.device) -> Tensor:
    return torch.from_numpy(np.concatenate(arrays)).to(device)


def _summed(values: Mapping[str, Tensor], loss: Tensor) -> dict[str, Tensor]:
    return {name: values_M.detach().sum(dtype=loss.dtype) for name, values_M in values.items()}
