"""The generator on plain transformers: for machines without vLLM, and for policies so small that a step of vLLM costs more than theirs."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch

from rollouts.checkpoint_weights import CheckpointWeights
from rollouts.engine_limits import EngineLimits
from rollouts.engine_thread import EngineThread
from rollouts.generator import Continuation, Generated, Request
from rollouts.seeds import sample_seed
from rollouts.torch_policy import Cache, Prompt, TorchPolicy


@dataclass(frozen=True, slots=True)
class TorchSettings:
    """`model_path` is a folder."""

    model_path: Path
    max_model_len: int = 1024
    max_images: int = 1
    max_num_seqs: int = 256
    dtype: Literal["float32", "bfloat16"] = "float32"


class TorchGenerator(EngineThread):
    """Implements `Generator`."""

    def __init__(self, settings: TorchSettings) -> None:
        super().__init__(lambda: _TorchEngine(settings))


@dataclass(slots=True)
class _Sequence:
    """One sample on its way. `draws` are its own, a number in [0, 1) for each token it may have."""

    ticket: int
    request: Request
    prompt: Prompt
    draws: Sequence[float]
    token_ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    version: int = -1
    finish: Literal["stop", "length"] | None = None

    def take(self, token_id: int, logprob: float, version: int, max_model_len: int) -> None:
        if not self.token_ids:
            self.version = version
        self.token_ids.append(token_id)
        self.logprobs.append(logprob)
        sampling = self.request.sampling
        if token_id in sampling.stop_ids:
            self.finish = "stop"
        elif len(self.token_ids) == sampling.max_tokens or len(self.prompt.token_ids) + len(self.token_ids) >= max_model_len:
            self.finish = "length"

    def continuation(self) -> Continuation:
        assert self.finish is not None
        return Continuation(tuple(self.token_ids), tuple(self.logprobs), self.finish, self.version)


@dataclass(slots=True)
class _Cohort:
    """Sequences that entered together and share a cache, row by row."""

    sequences: list[_Sequence]
    cache: Cache

    def keep(self, wanted: Callable[[_Sequence], bool]) -> None:
        rows = [row for row, sequence in enumerate(self.sequences) if wanted(sequence)]
        if len(rows) < len(self.sequences):
            self.sequences = [self.sequences[row] for row in rows]
            self.cache.select(rows)


class _TorchEngine:
    def __init__(self, settings: TorchSettings) -> None:
        self._settings = settings
        self._weights = CheckpointWeights.of(settings.model_path)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._policy = TorchPolicy(settings.model_path, getattr(torch, settings.dtype), device)
        self._limits = EngineLimits.of(settings.model_path, self._policy.config, settings.max_model_len, settings.max_images)
        self._open: dict[int, list[_Sequence]] = {}
        self._waiting: list[_Sequence] = []
        self._cohorts: list[_Cohort] = []
        self._version = 0

    def add(self, ticket: int, request: Request) -> None:
        self._limits.check(request)
        prompt = self._policy.prompt(request.prompt_ids, request.images)
        self._limits.check_length(len(prompt.token_ids))
        self._open[ticket] = [_Sequence(ticket, request, prompt, _draws(request, index)) for index in range(request.count)]
        self._waiting += self._open[ticket]

    def cancel(self, ticket: int) -> None:
        self._open.pop(ticket, None)
        self._waiting = [sequence for sequence in self._waiting if sequence.ticket != ticket]
        self._keep(lambda sequence: sequence.ticket != ticket)

    def busy(self) -> bool:
        return bool(self._open)

    @torch.inference_mode()
    def step(self) -> Sequence[tuple[int, Generated]]:
        for cohort in self._cohorts:
            logits_BV = self._policy.decode([sequence.token_ids[-1] for sequence in cohort.sequences], cohort.cache)
            self._sample(logits_BV, cohort.sequences)
        self._admit()
        self._keep(lambda sequence: sequence.finish is None)
        finished = [ticket for ticket, sequences in self._open.items() if all(sequence.finish for sequence in sequences)]
        return [(ticket, _generated(self._open.pop(ticket))) for ticket in finished]

    @torch.no_grad()
    def publish(self, weights: Mapping[str, torch.Tensor], version: int) -> None:
        """Sequences in flight wait for their place again: their cache, which the old weights made, is computed anew."""
        self._policy.load(self._weights.complete(weights))
        self._waiting = [sequence for cohort in self._cohorts for sequence in cohort.sequences] + self._waiting
        self._cohorts = []
        self._version = version

    def close(self) -> None:
        self._open, self._waiting, self._cohorts = {}, [], []
        del self._policy

    def _keep(self, wanted: Callable[[_Sequence], bool]) -> None:
        for cohort in self._cohorts:
            cohort.keep(wanted)
        self._cohorts = [cohort for cohort in self._cohorts if cohort.sequences]

    def _admit(self) -> None:
        """Computes the prompts of as many waiting sequences as there is room for; samples of one prompt share its computation."""
        room = self._settings.max_num_seqs - sum(len(cohort.sequences) for cohort in self._cohorts)
        entering, self._waiting = self._waiting[:room], self._waiting[room:]
        if not entering:
            return
        row_of: dict[tuple[int, tuple[int, ...]], int] = {}
        prompts: list[Prompt] = []
        for sequence in entering:
            key = (sequence.ticket, tuple(sequence.token_ids))
            if key not in row_of:
                row_of[key] = len(prompts)
                prompts.append(Prompt(sequence.prompt.token_ids + key[1], sequence.prompt.pixels, sequence.prompt.grids))
        logits_BV, cache = self._policy.prefill(prompts)
        rows = [row_of[sequence.ticket, tuple(sequence.token_ids)] for sequence in entering]
        cache.select(rows)
        self._sample(logits_BV[rows], entering)
        self._cohorts.append(_Cohort(entering, cache))

    def _sample(self, logits_BV: torch.Tensor, sequences: Sequence[_Sequence]) -> None:
        logits_BV = logits_BV.cpu()
        banned = [(row, token_id) for row, sequence in enumerate(sequences) for token_id in sequence.request.sampling.banned_ids]
        if banned:
            rows, token_ids = zip(*banned, strict=True)
            logits_BV[list(rows), list(token_ids)] = -torch.inf
        temperatures = [sequence.request.sampling.temperature for sequence in sequences]
        scale_B1 = torch.tensor([temperature or 1.0 for temperature in temperatures])[:, None]
        logprobs_BV = torch.log_softmax(logits_BV / scale_B1, dim=-1)
        # The first token at which the distribution function is above the draw; a token of probability 0 never raises it.
        drawn_B1 = torch.tensor([sequence.draws[len(sequence.token_ids)] for sequence in sequences], dtype=torch.float64)[:, None]
        below_BV = logprobs_BV.double().exp().cumsum(-1)
        chosen_B = (below_BV <= drawn_B1 * below_BV[:, -1:]).sum(-1)
        if not all(temperatures):
            chosen_B = torch.where(torch.tensor(temperatures) > 0, chosen_B, logprobs_BV.argmax(-1))
        logprobs_B = logprobs_BV.gather(1, chosen_B[:, None])[:, 0]
        for sequence, token_id, logprob in zip(sequences, chosen_B.tolist(), logprobs_B.tolist(), strict=True):
            sequence.take(token_id, logprob, self._version, self._limits.max_model_len)


def _draws(request: Request, index: int) -> Sequence[float]:
    stream = torch.Generator().manual_seed(sample_seed(request.seed, index))
    draws: list[float] = torch.rand(request.sampling.max_tokens, dtype=torch.float64, generator=stream).tolist()
    return draws


def _generated(sequences: Sequence[_Sequence]) -> Generated:
    return Generated(sequences[0].prompt.token_ids, tuple(sequence.continuation() for sequence in sequences))
