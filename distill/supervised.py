"""Supervised fine-tuning on demonstrations: the cold start.

n_i is the number of supervised tokens of sample i.
"""

import json
import math
import random
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import torch

from rl.config.settings import LearnerSettings
from rl.config.supervised_settings import SupervisedSettings
from rl.training.batch import packed_passes
from rl.training.model import SoftmaxSettings
from rl.training.optimization import Optimization
from rl.training.tree import Tree
from tasks.errors import TaskError

LossWeighting = Literal["token", "sample", "sqrt"]
_EXPONENT: dict[LossWeighting, float] = {"token": 0.0, "sqrt": 0.5, "sample": 1.0}
MOST_VALIDATED = 512
"""Demonstrations that are held back at the most: they are scored over and over while training waits."""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A tree without branches whose assistant tokens are trained on.

    Those of one `problem`, such as the turns of a conversation or several answers to it, are held back together.
    """

    tree: Tree
    problem: str

    @property
    def has_images(self) -> bool:
        return bool(self.tree.trunk.images)

    @property
    def num_supervised(self) -> int:
        return int(self.tree.trunk.loss_mask_T.sum())


@dataclass(frozen=True, slots=True)
class SupervisedReport:
    """Where training stands after some steps. Losses are means a supervised token, in nats, under the weighting; `done` is True at the end.

    `best_step` is the step of the checkpoint that is kept: the one with the lowest loss on the held-back demonstrations. `num_too_long`
    demonstrations are longer than `long_context` and were left out.
    """

    step: int
    train_loss: float
    validation_loss: float
    best_step: int
    best_loss: float
    done: bool
    num_too_long: int


def token_weights(lengths: Sequence[int], weighting: LossWeighting) -> list[float]:
    """Weight of each token of each sample, before the division by `denominator`: n_i^-x with x 0 (token), 1/2 (sqrt) or 1 (sample).

    Qwen3-VL's report only names a square-root-normalised per-token loss; this is InternVL 2.5's square averaging (arXiv 2412.05271):
    L = sum_i n_i^-x sum_t l_it / sum_i n_i^(1-x).
    """
    return [n ** -_EXPONENT[weighting] for n in lengths]


def denominator(lengths: Sequence[int], weighting: LossWeighting) -> float:
    """The sum of all weights of the global batch: the same whatever the packing, the accumulation or the ranks."""
    return sum(n * weight for n, weight in zip(lengths, token_weights(lengths, weighting), strict=True))


class SupervisedTrainer:
    """Trains in two phases: first on what fits the short context, then on all, long mixed with short.

    Of `learner`'s settings those count that say how passes are computed; with `from_trained`, `path` holds no fresh policy.
    """

    def __init__(
        self,
        path: Path,
        settings: SupervisedSettings,
        learner: LearnerSettings,
        demonstrations: Sequence[Demonstration],
        seed: int,
        best: Path,
        *,
        bfloat16: bool,
        from_trained: bool,
    ) -> None:
        torch.manual_seed(seed)
        self._settings = settings
        self._best_folder = best
        self._optimization = Optimization(
            path,
            settings.optimizer,
            SoftmaxSettings(chunk=learner.logits_chunk),
            settings.steps,
            bfloat16=bfloat16,
            freeze_vision=settings.freeze_vision,
        )
        self._optimization.compute_as(learner)
        fitting = [d for d in demonstrations if d.tree.num_tokens <= settings.long_context]
        self.num_too_long = len(demonstrations) - len(fitting)
        order = random.Random(seed).sample(fitting, len(fitting))
        if len({d.problem for d in order}) == 1:  # Many answers to one prompt: then each stands for itself.
            order = [replace(d, problem=str(index)) for index, d in enumerate(order)]
        held_back = _held_back(order, max(1, min(MOST_VALIDATED, round(settings.validation_share * len(order)))))
        self._validation = [d for d in order if d.problem in held_back]
        training = [d for d in order if d.problem not in held_back]
        short = [d for d in training if d.tree.num_tokens <= settings.short_context]
        if not training:
            raise TaskError(
                f"{len(fitting)} of {len(demonstrations)} demonstrations have at most long_context={settings.long_context} tokens; "
                "one is held back to choose the best checkpoint: it takes two or more"
            )
        if not short:
            raise TaskError(f"short_context={settings.short_context}: every demonstration is longer; raise it")
        self._phases = (self._batches(short, seed), self._batches(training, seed + 1))
        self._second_phase = round((1.0 - settings.long_share) * settings.steps)
        self._best = (0, math.inf)
        self._from_trained = from_trained

    def advance(self) -> SupervisedReport:
        """Trains until the next validation and keeps the checkpoint if it is the best so far; so may be a trained policy's start."""
        settings, optimization = self._settings, self._optimization
        if self._from_trained and not optimization.steps_done:
            self._validate()
        until = min(optimization.steps_done + settings.validate_every, settings.steps)
        losses = []
        while optimization.steps_done < until:
            batch = next(self._phases[optimization.steps_done >= self._second_phase])
            losses.append(self._loss(batch, train=True))
            optimization.step()
        validation = self._validate()
        waited = optimization.steps_done - max(self._best[0], self._second_phase)
        done = optimization.steps_done == settings.steps or waited >= settings.patience * settings.validate_every
        return SupervisedReport(optimization.steps_done, sum(losses) / len(losses), validation, *self._best, done, self.num_too_long)

    def _validate(self) -> float:
        with self._optimization.evaluating():
            validation = self._loss(self._validation, train=False)
        if validation < self._best[1]:
            self._best = (self._optimization.steps_done, validation)
            self._optimization.save_policy(self._best_folder)
        return validation

    def save(self, folder: Path) -> None:
        """The policy as it is in `folder/policy`, the best so far in `folder/best`, and the rest of the state beside them."""
        self._optimization.save_policy(folder / "policy")
        self._optimization.save_state(folder)
        if self._optimization.rank == 0:
            (folder / "best.json").write_text(json.dumps(self._best))
            if math.isfinite(self._best[1]):
                shutil.copytree(self._best_folder, folder / "best")

    def load(self, folder: Path) -> None:
        """Continues from what `save` wrote. The policy's weights were read when this trainer was made from `folder/policy`."""
        self._optimization.load_state(folder)
        step, loss = json.loads((folder / "best.json").read_text())
        self._best = (step, loss)
        if math.isfinite(loss) and self._optimization.rank == 0:
            shutil.copytree(folder / "best", self._best_folder, dirs_exist_ok=True)
        for done in range(self._optimization.steps_done):
            next(self._phases[done >= self._second_phase])

    def _batches(self, demonstrations: Sequence[Demonstration], seed: int) -> Iterator[list[Demonstration]]:
        """Endless batches. Each demonstration is used before any is used again; those with images and those without apart if `balanced`."""
        rng = random.Random(seed)
        apart = [[d for d in demonstrations if d.has_images == has] for has in (False, True)]
        kinds = apart if self._settings.balanced else [list(demonstrations)]
        streams = [_shuffled(kind, rng) for kind in kinds if kind]
        while True:
            yield [next(streams[i % len(streams)]) for i in range(self._settings.batch_size)]

    def _loss(self, batch: Sequence[Demonstration], *, train: bool) -> float:
        """Loss of one global batch; with `train`, its gradient is added too."""
        weighting = self._settings.loss_weighting
        total = denominator([d.num_supervised for d in batch], weighting)
        mine = batch[self._optimization.rank :: self._optimization.ranks]
        loss = torch.zeros((), device=self._optimization.accelerator.device)
        passes = list(packed_passes(mine, [d.tree for d in mine], self._settings.micro_batch_tokens))
        steps = self._optimization.lockstep([[d.tree for d in part] for part in passes])
        for part, trees in zip_longest(passes, steps, fillvalue=()):
            logprobs_M, *_ = self._optimization.score(self._optimization.encode(trees))
            lengths = torch.tensor([d.num_supervised for d in part], dtype=torch.int64)
            weights = torch.tensor(token_weights(lengths.tolist(), weighting)).repeat_interleave(lengths)
            share = -(weights.to(logprobs_M) * logprobs_M).sum() / total
            if train:
                self._optimization.backward(share)
            loss = loss + share.detach()
        return float(self._optimization.summed_over_ranks({"loss": loss})["loss"])


def _held_back(order: Sequence[Demonstration], number: int) -> set[str]:
    """The first problems that fit into `number` demonstrations; the smallest where none does."""
    of_problem = Counter(d.problem for d in order)
    held_back: set[str] = set()
    for problem, count in of_problem.items():
        if count <= number:
            held_back.add(problem)
            number -= count
    return held_back or set(sorted(of_problem, key=of_problem.__getitem__)[:1])


def _shuffled(items: Sequence[Demonstration], rng: random.Random) -> Iterator[Demonstration]:
    while True:
        yield from rng.sample(items, len(items))
