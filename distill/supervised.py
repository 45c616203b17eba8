"""Supervised fine-tuning on demonstrations: the cold start.

n_i is the number of supervised tokens of sample i.
"""

import json
import math
import random
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import torch

from rl.config.supervised_settings import SupervisedSettings
from rl.training.batch import packed_passes
from rl.training.model import SoftmaxSettings
from rl.training.optimization import Optimization
from rl.training.tree import Tree
from tasks.errors import TaskError

LossWeighting = Literal["token", "sample", "sqrt"]
_EXPONENT: dict[LossWeighting, float] = {"token": 0.0, "sqrt": 0.5, "sample": 1.0}


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A tree without branches whose assistant tokens are trained on."""

    tree: Tree

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
    """Trains in two phases: first on what fits the short context, then on all, long mixed with short."""

    def __init__(
        self, path: Path, settings: SupervisedSettings, demonstrations: Sequence[Demonstration], seed: int, best: Path, *, bfloat16: bool
    ) -> None:
        torch.manual_seed(seed)
        self._settings = settings
        self._best_folder = best
        self._optimization = Optimization(
            path, settings.optimizer, SoftmaxSettings(), settings.steps, bfloat16=bfloat16, freeze_vision=settings.freeze_vision
        )
        fitting = [d for d in demonstrations if d.tree.num_tokens <= settings.long_context]
        self.num_too_long = len(demonstrations) - len(fitting)
        order = random.Random(seed).sample(fitting, len(fitting))
        held_back = max(1, round(settings.validation_share * len(order)))
        self._validation, training = order[:held_back], order[held_back:]
        short = [d for d in training if d.tree.num_tokens <= settings.short_context]
        if not training:
            raise TaskError(
                f"{len(fitting)} of {len(demonstrations)} demonstrations have at most long_context={settings.long_context} tokens; one is "
                "held back to choose the best checkpoint, so it takes two or more"
            )
        if not short:
            raise TaskError(f"short_context={settings.short_context}: every demonstration is longer; raise it")
        self._phases = (self._batches(short, seed), self._batches(training, seed + 1))
        self._second_phase = round((1.0 - settings.long_share) * settings.steps)
        self._best = (0, math.inf)

    def advance(self) -> SupervisedReport:
        """Trains until the next validation and keeps the checkpoint if it is the best so far."""
        settings, optimization = self._settings, self._optimization
        until = min(optimization.steps_done + settings.validate_every, settings.steps)
        losses = []
        while optimization.steps_done < until:
            batch = next(self._phases[optimization.steps_done >= self._second_phase])
            losses.append(self._loss(batch, train=True))
            optimization.step()
        with optimization.evaluating():
            validation = self._loss(self._validation, train=False)
        if validation < self._best[1]:
            self._best = (optimization.steps_done, validation)
            optimization.save_policy(self._best_folder)
        waited = optimization.steps_done - self._best[0]
        done = optimization.steps_done == settings.steps or waited >= settings.patience * settings.validate_every
        return SupervisedReport(optimization.steps_done, sum(losses) / len(losses), validation, *self._best, done, self.num_too_long)

    def save(self, folder: Path) -> None:
        """The policy as it is in `folder/policy`, the best so far in `folder/best`, and the rest of the state beside them."""
        self._optimization.save_policy(folder / "policy")
        self._optimization.save_state(folder)
        if self._optimization.rank == 0:
            (folder / "best.json").write_text(json.dumps(self._best))
            if self._best[0]:
                shutil.copytree(self._best_folder, folder / "best")

    def load(self, folder: Path) -> None:
        """Continues from what `save` wrote. The policy's weights were read when this trainer was made from `folder/policy`."""
        self._optimization.load_state(folder)
        step, loss = json.loads((folder / "best.json").read_text())
        self._best = (step, loss)
        if step and self._optimization.rank == 0:
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


def _shuffled(items: Sequence[Demonstration], rng: random.Random) -> Iterator[Demonstration]:
    while True:
        yield from rng.sample(items, len(items))
