"""A policy with its optimizer and schedule on one or more ranks: what reinforcement and supervised learning share."""

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import zip_longest
from pathlib import Path

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from torch.distributed.tensor import DTensor
from transformers import AutoProcessor, AutoTokenizer, PreTrainedTokenizerBase, ProcessorMixin

from rl.config.settings import LearnerSettings
from rl.config.supervised_settings import OptimizerSettings
from rl.training.model import ModelInputs, Policy, Readout, SoftmaxSettings, TreeEncoder
from rl.training.schedule import learning_rate
from rl.training.sharding import shard
from rl.training.tree import Tree


class Optimization:
    """Holds the trained state. Every rank of a sharded run makes one and calls the same methods in the same order.

    `total_steps` is what the schedule ends at. Parameters are float32 where they are trained; on a GPU with `bfloat16` the passes run in
    it.
    """

    def __init__(
        self,
        path: Path | str,
        settings: OptimizerSettings,
        softmax: SoftmaxSettings,
        total_steps: int,
        *,
        bfloat16: bool,
        freeze_vision: bool,
    ) -> None:
        self.accelerator = Accelerator(cpu=not torch.cuda.is_available(), mixed_precision="bf16" if bfloat16 else "no")
        self.path = path
        self.settings = settings
        self.total_steps = total_steps
        self.steps_done = 0
        policy = Policy(path, torch.float32, softmax)
        if freeze_vision and policy.has_vision:
            policy.model.model.visual.requires_grad_(False)
        self.policy = policy.train().to(self.accelerator.device)
        if self.ranks > 1:
            shard(self.policy, self.accelerator.device, bfloat16=bfloat16)
        parameters = [p for p in self.policy.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(parameters, lr=settings.lr, betas=settings.betas, weight_decay=settings.weight_decay)
        self.optimizer = self.accelerator.prepare(optimizer)
        self.encode = TreeEncoder(path, self.accelerator.device)

    @property
    def rank(self) -> int:
        return int(self.accelerator.process_index)

    @property
    def ranks(self) -> int:
        return int(self.accelerator.num_processes)

    def lockstep(self, passes: Sequence[Sequence[Tree]]) -> list[list[Tree]]:
        """What this rank runs so that all ranks run the same modules equally often, as sharding requires.

        The result begins with `passes`; passes without a trained token follow until every rank is done. Where another rank has an image and
        this one has none, a pass ends with a tree that has an image and no trained token.
        """
        if self.ranks == 1:
            return [list(own) for own in passes]
        has_images = [any(s.images for tree in own for s in (tree.trunk, *tree.branches)) for own in passes]
        rounds = map(any, zip_longest(*gather_object([has_images]), fillvalue=False))
        complete: list[list[Tree]] = []
        for own, own_images, images in zip_longest(passes, has_images, rounds, fillvalue=()):
            idle = [self.encode.idle_tree(with_image=bool(images))] if not own or (images and not own_images) else []
            complete.append([*own, *idle])
        return complete

    def score(self, inputs: ModelInputs, readout: Readout | None = None) -> tuple[torch.Tensor, ...]:
        """`(logprobs_M, entropy_M)` of the trained tokens, and what `readout` gives."""
        with self.accelerator.autocast():
            result: tuple[torch.Tensor, ...] = self.policy(inputs, readout)
        return result

    def backward(self, loss: torch.Tensor) -> None:
        """Adds a micro-batch's share of the step's loss. Ranks average their gradients, so each share is multiplied by their number."""
        self.accelerator.backward(loss * self.ranks)

    def step(self) -> float:
        """Clips, steps, clears; gives the norm of the gradient before clipping, over all ranks.

        Raises `FloatingPointError`, the weights as they were, where that norm is no number: one such step would make every weight NaN.
        """
        clipped = self.accelerator.clip_grad_norm_(self.policy.parameters(), self.settings.max_grad_norm)
        norm = float(clipped.full_tensor() if isinstance(clipped, DTensor) else clipped)
        if not math.isfinite(norm):
            raise FloatingPointError(
                f"the gradient of optimizer step {self.steps_done + 1} is not finite (norm {norm}), and the policy was left as it was: "
                f"lower the learning rate (optimizer.lr={self.settings.lr:g}), or take policy.dtype=float32"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.steps_done += 1
        return norm

    def compute_as(self, settings: LearnerSettings) -> None:
        """Recompute activations in the backward pass (less memory, about a third more time), compile blocks, or neither."""
        if settings.gradient_checkpointing:
            self.policy.model.gradient_checkpointing_enable()
        if settings.compile:
            self.policy.compile_blocks()

    def summed_over_ranks(self, sums: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        if self.ranks == 1:
            return sums
        values = self.accelerator.reduce(torch.stack(list(sums.values())), reduction="sum")
        return dict(zip(sums, values, strict=True))

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return learning_rate(self.settings, self.steps_done, self.total_steps)

    def weights(self) -> dict[str, torch.Tensor]:
        """Full weights on the CPU, named as in the checkpoint. Every rank must call it."""
        state = self.policy.model.state_dict()
        full = {name: (value.full_tensor() if isinstance(value, DTensor) else value) for name, value in state.items()}
        return {name: value.detach().to("cpu", copy=True) for name, value in full.items()}

    def save_policy(self, folder: Path) -> None:
        """A checkpoint that plain transformers and vLLM load: weights, config, tokenizer, processor. Every rank must call it."""
        weights = self.weights()
        if self.rank == 0:
            model = self.policy.model
            model.save_pretrained(folder, state_dict=weights)
            self._processor.save_pretrained(folder)

    @cached_property
    def _processor(self) -> ProcessorMixin | PreTrainedTokenizerBase:
        """Read at the first save: what is saved next may take the place of the checkpoint that this was made from."""
        loader = AutoProcessor if self.policy.has_vision else AutoTokenizer
        processor: ProcessorMixin | PreTrainedTokenizerBase = loader.from_pretrained(self.path)
        return processor

    def save_state(self, folder: Path) -> None:
        """Optimizer, step and random states; with `save_policy` all that resuming needs."""
        state = {
            "optimizer": self.optimizer.state_dict(),
            "steps_done": self.steps_done,
            "torch": torch.get_rng_state(),
            "python": random.getstate(),
            "numpy": np.random.get_state(),
        }
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(state, folder / f"optimization-{self.rank}-of-{self.ranks}.pt")

    def load_state(self, folder: Path) -> None:
        file = folder / f"optimization-{self.rank}-of-{self.ranks}.pt"
        if not file.exists():
            raise FileNotFoundError(
                f"{file}: the checkpoint was written by another number of learner ranks; resume with the same learner.ranks"
            )
        state = torch.load(file, weights_only=False)
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps_done = state["steps_done"]
        torch.set_rng_state(state["torch"])
        random.setstate(state["python"])
        np.random.set_state(state["numpy"])

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        self.policy.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.policy.train()
