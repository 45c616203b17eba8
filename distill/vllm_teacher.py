"""A teacher on vLLM: log-probs of given tokens, and of the most probable ones beside them, from `prompt_logprobs`.

Axes: M trained tokens of a branch, V rows of the head, A most probable of these, K most probable tokens.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import torch
from transformers import AutoConfig

from rl.training.batch import FloatsM, FloatsMV, IdsMK
from rl.training.token_distribution import with_tail
from rl.training.tree import Stretch, Tree
from rollouts.vllm_engine import VllmSettings, start_engine
from rollouts.vllm_environment import prepare_environment

if TYPE_CHECKING:
    from vllm import RequestOutput
    from vllm.logprobs import FlatLogprobs


class VllmTeacher:
    """What the checkpoint says of given responses, as `rl.training.frozen.FrozenPolicy` does, but for hidden states, which vLLM keeps.

    Its distribution is the plain softmax at temperature 1. `banned_ids`, which students may not sample, and rows of a padded head are never
    among the most probable: what they have is in the bucket for the rest. A chain (trunk and branch) of n tokens needs `max_model_len` of
    at least n + 1.
    """

    def __init__(self, settings: VllmSettings, banned_ids: Sequence[int] = ()) -> None:
        prepare_environment()
        self._banned_ids = frozenset(banned_ids)
        config = AutoConfig.from_pretrained(settings.model_path)
        self._num_rows: int = config.get_text_config().vocab_size
        self._image_id = config.image_token_id if hasattr(config, "vision_config") else None
        self._engine = start_engine(settings, has_vision=self._image_id is not None)
        self._asked = 0

    def logprobs(self, trees: Sequence[Tree]) -> list[list[FloatsM]]:
        """Log-probs of the trained tokens of each branch, in nats."""
        return [[np.array([row[1][0] for row in rows], dtype=np.float32) for rows in tree] for tree in self._rows(trees, 0)]

    def top_k(self, trees: Sequence[Tree], k: int, vocab_size: int) -> list[list[tuple[IdsMK, FloatsMV]]]:
        """`(ids_MK, logprobs_MB)`: the k most probable tokens below `vocab_size`; their log-probs and, last, that of all the rest."""
        is_token_V = np.zeros(self._num_rows, dtype=np.bool_)
        is_token_V[:vocab_size] = True
        is_token_V[list(self._banned_ids)] = False
        k = min(k, int(is_token_V.sum()))
        # Rows of a padded head are hardly ever among the most probable: room for all of them is asked for only where one took a place.
        for spare in (len(self._banned_ids), int((~is_token_V).sum())):
            found = [[_most_probable(rows, k, is_token_V) for rows in tree] for tree in self._rows(trees, min(k + spare, self._num_rows))]
            complete = [[best for best in tree if best is not None] for tree in found]
            if sum(map(len, complete)) == sum(map(len, found)):
                break
        return complete

    def _rows(self, trees: Sequence[Tree], k: int) -> list[list[list[tuple[list[int], list[float]]]]]:
        """For each trained token of each branch, ids and log-probs: its own first, then the k most probable ones of the head."""
        chains = [(tree.trunk, branch) for tree in trees for branch in tree.branches]
        outputs = iter(self._outputs(chains, k))
        return [[list(_trained_rows(tree.trunk, branch, next(outputs))) for branch in tree.branches] for tree in trees]

    def _outputs(self, chains: Sequence[tuple[Stretch, Stretch]], k: int) -> list["FlatLogprobs"]:
        from vllm import SamplingParams

        parameters = SamplingParams(max_tokens=1, prompt_logprobs=k, flat_logprobs=True, detokenize=False)
        names = [f"{self._asked + place}" for place in range(len(chains))]
        self._asked += len(chains)
        for name, (trunk, branch) in zip(names, chains, strict=True):
            prompt: dict[str, object] = {"prompt_token_ids": self._compact((*trunk.token_ids_T.tolist(), *branch.token_ids_T.tolist()))}
            if images := [*trunk.images, *branch.images]:
                prompt["multi_modal_data"] = {"image": images}
            (rendered,) = self._engine.renderer.render_cmpl([prompt])
            self._engine.add_request(name, rendered, parameters)
        finished: dict[str, RequestOutput] = {}
        while self._engine.has_unfinished_requests():
            finished |= {output.request_id: output for output in self._engine.step() if output.finished}
        for name, (trunk, branch) in zip(names, chains, strict=True):
            expected = [*trunk.token_ids_T.tolist(), *branch.token_ids_T.tolist()]
            assert list(finished[name].prompt_token_ids or ()) == expected, "the engine scored other ids than the student sampled"
        return [finished[name].prompt_logprobs for name in names]

    def _compact(self, ids: Sequence[int]) -> list[int]:
        """One placeholder an image, which the engine expands again: images never touch, an end and a start stand between them."""
        return [key for key, run in groupby(ids) for _ in (range(1) if key == self._image_id else run)]


def _trained_rows(trunk: Stretch, branch: Stretch, flat: "FlatLogprobs") -> Iterator[tuple[list[int], list[float]]]:
    for place in np.flatnonzero(branch.loss_mask_T).tolist():
        position = len(trunk) + place
        part = slice(flat.start_indices[position], flat.end_indices[position])
        yield flat.token_ids[part], flat.logprobs[part]


def _most_probable(rows: Sequence[tuple[list[int], list[float]]], k: int, is_token_V: np.ndarray) -> tuple[IdsMK, FloatsMV] | None:
    """The first k that are tokens; None where a position has fewer."""
    if not rows:
        return np.empty((0, k), dtype=np.int64), np.empty((0, k + 1), dtype=np.float32)
    ids_MA = np.array([of_position[1:] for of_position, _ in rows], dtype=np.int64)
    logprobs_MA = np.array([values[1:] for _, values in rows], dtype=np.float32)
    best_MK = np.argsort(~is_token_V[ids_MA], axis=1, kind="stable")[:, :k]
    ids_MK, logprobs_MK = np.take_along_axis(ids_MA, best_MK, axis=1), np.take_along_axis(logprobs_MA, best_MK, axis=1)
    if not is_token_V[ids_MK].all():
        return None
    return ids_MK, with_tail(torch.from_numpy(logprobs_MK)).numpy()
