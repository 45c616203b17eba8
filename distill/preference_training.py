"""Preference optimisation on a fixed set of pairs, with the policy that it starts from as the reference."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from distill.preference_objective import PreferenceObjective
from rl.config.settings import LearnerSettings
from rl.config.teaching_settings import PreferenceSettings
from rl.training.batch import FloatsM, PolicyTree, SapoBatch
from rl.training.frozen import FrozenPolicy
from rl.training.learner import Learner
from rl.training.model import SoftmaxSettings


@dataclass(frozen=True, slots=True)
class PreferenceReport:
    """Where training stands: means over the steps since the last report. `margin` is in nats, times beta."""

    step: int
    loss: float
    accuracy: float
    margin: float
    done: bool


class PreferenceTrainer:
    """Every rank of a sharded run makes one. The policy is written to `folder` at the end.

    The reference is the policy in `path`, and so is what training starts from, unless it goes on from that of a `checkpoint`.
    """

    def __init__(
        self,
        path: Path,
        settings: PreferenceSettings,
        learner: LearnerSettings,
        softmax: SoftmaxSettings,
        pairs: Sequence[PolicyTree],
        seed: int,
        folder: Path,
        *,
        bfloat16: bool,
        checkpoint: Path | None = None,
    ) -> None:
        reference = FrozenPolicy(path, softmax, learner.micro_batch_tokens, bfloat16=bfloat16)
        known = reference.logprobs([pair.tree for pair in pairs])
        del reference
        self._settings = settings
        self._folder = folder
        self._batches = _batches([_with_reference(pair, values) for pair, values in zip(pairs, known, strict=True)], settings, seed)
        whole = learner.model_copy(update={"mini_batches": 1})
        self._learner = Learner(checkpoint or path, whole, PreferenceObjective(settings.beta), softmax, settings.steps, bfloat16=bfloat16)

    def advance(self) -> PreferenceReport:
        """Some steps: a tenth of all, or what is left."""
        began = self._learner.version
        until = min(began + max(1, self._settings.steps // 10), self._settings.steps)
        reports = []
        while self._learner.version < until:
            reports.append(self._learner.update(SapoBatch(tuple(next(self._batches)), constant_length=1)).stats)
        done = until == self._settings.steps
        if done:
            self._learner.optimization.save_policy(self._folder)
        loss, accuracy, margin = (sum(report[name] for report in reports) / len(reports) for name in ("loss", "accuracy", "margin"))
        return PreferenceReport(until, loss, accuracy, margin, done)

    def save(self, folder: Path) -> None:
        self._learner.save(folder)

    def load(self, folder: Path) -> None:
        """Continues from what `save` wrote, in a trainer that was made from `folder/policy`."""
        self._learner.load(folder)
        for _ in range(self._learner.version):
            next(self._batches)


def _with_reference(pair: PolicyTree, logprobs: Sequence[FloatsM]) -> PolicyTree:
    branches = zip(pair.branches, logprobs, strict=True)
    return replace(pair, branches=tuple(replace(b, behavior_logprobs_M=known, reference_logprobs_M=known) for b, known in branches))


def _batches(pairs: Sequence[PolicyTree], settings: PreferenceSettings, seed: int) -> Iterator[list[PolicyTree]]:
    """Endless; all pairs are used up before they are shuffled again."""
    rng = random.Random(seed)
    left: list[PolicyTree] = []
    while True:
        while len(left) < settings.batch_size:
            left += rng.sample(pairs, len(pairs))
        yield left[: settings.batch_size]
        left = left[settings.batch_size :]
