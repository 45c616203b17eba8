"""Tiny untrained checkpoints of the supported architectures, and random trees for them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL.Image
import torch
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoModelForCausalLM,
    AutoModelForImageTextToText,
    PreTrainedModel,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2VLImageProcessor,
    Qwen3Config,
    Qwen3ForCausalLM,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
)

from rl.training.tree import Stretch, Tree

VOCABULARY = 120
VISION_START, VISION_END, IMAGE, VIDEO = 110, 111, 112, 113
_IDS = {"image_token_id": IMAGE, "video_token_id": VIDEO, "vision_start_token_id": VISION_START, "vision_end_token_id": VISION_END}
_TEXT = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 4096,
    "initializer_range": 0.2,
    "bos_token_id": None,
    "eos_token_id": 1,
    "pad_token_id": 0,
}


def build(kind: str, folder: Path) -> Path:
    """A checkpoint of `kind`: qwen3_vl, qwen2_5_vl, qwen3 or qwen3_tied."""
    torch.manual_seed(0)
    model: PreTrainedModel = _MODELS[kind]()
    model.save_pretrained(folder)
    if kind == "qwen3_vl":
        Qwen2VLImageProcessor(patch_size=16, merge_size=2, size={"shortest_edge": 32 * 32, "longest_edge": 1 << 20}).save_pretrained(folder)
    if kind == "qwen2_5_vl":
        Qwen2VLImageProcessor(patch_size=14, merge_size=2, size={"shortest_edge": 28 * 28, "longest_edge": 1 << 20}).save_pretrained(folder)
    return folder


def _qwen3_vl() -> PreTrainedModel:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1], "mrope_interleaved": True}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 16,
        "out_hidden_size": 32,
        "num_position_embeddings": 16,
        "deepstack_visual_indexes": [0],
        "initializer_range": 0.2,
    }
    text = _TEXT | {"head_dim": 8, "rope_parameters": rope, "tie_word_embeddings": True}
    return Qwen3VLForConditionalGeneration(Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=True, **_IDS))


def _qwen2_5_vl() -> PreTrainedModel:
    rope = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
    vision = {
        "depth": 2,
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_heads": 2,
        "patch_size": 14,
        "out_hidden_size": 32,
        "window_size": 56,
        "fullatt_block_indexes": [1],
        "initializer_range": 0.2,
    }
    text = _TEXT | {"rope_parameters": rope}
    return Qwen2_5_VLForConditionalGeneration(Qwen2_5_VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **_IDS))


def _qwen3() -> PreTrainedModel:
    return Qwen3ForCausalLM(Qwen3Config(**_TEXT, head_dim=8, tie_word_embeddings=False))


def _qwen3_tied() -> PreTrainedModel:
    return Qwen3ForCausalLM(Qwen3Config(**_TEXT, head_dim=8, tie_word_embeddings=True))


_MODELS = {"qwen3_vl": _qwen3_vl, "qwen2_5_vl": _qwen2_5_vl, "qwen3": _qwen3, "qwen3_tied": _qwen3_tied}


@dataclass(frozen=True)
class Plain:
    """Hugging Face's own model, one chain at a time."""

    path: Path
    model: PreTrainedModel

    @staticmethod
    def load(path: Path) -> "Plain":
        loader = AutoModelForImageTextToText if hasattr(AutoConfig.from_pretrained(path), "vision_config") else AutoModelForCausalLM
        return Plain(path, loader.from_pretrained(path, dtype=torch.float32, attn_implementation="sdpa"))

    def logits(self, token_ids: Sequence[int], images: Sequence[PIL.Image.Image] = ()) -> torch.Tensor:
        ids = torch.tensor([list(token_ids)])
        arguments: dict[str, torch.Tensor] = {"input_ids": ids}
        if images:
            pixels = AutoImageProcessor.from_pretrained(self.path)(images=list(images), return_tensors="pt")
            arguments |= {"pixel_values": pixels["pixel_values"], "image_grid_thw": pixels["image_grid_thw"]}
            arguments["mm_token_type_ids"] = (ids == IMAGE).int()
        logits: torch.Tensor = self.model(**arguments, use_cache=False).logits[0]
        return logits

    def chain_logprobs(self, tree: Tree) -> list[torch.Tensor]:
        """For the trunk and every branch, the log-probs of its trained tokens, each chain computed alone."""
        results = [self._trained(tree.trunk.token_ids_T, tree.trunk.loss_mask_T, tree.trunk.images)]
        for branch in tree.branches:
            ids = np.concatenate([tree.trunk.token_ids_T, branch.token_ids_T])
            mask = np.concatenate([np.zeros(len(tree.trunk), dtype=np.bool_), branch.loss_mask_T])
            results.append(self._trained(ids, mask, (*tree.trunk.images, *branch.images)))
        return results

    def _trained(self, ids: np.ndarray, mask: np.ndarray, images: Sequence[PIL.Image.Image]) -> torch.Tensor:
        logprobs = torch.log_softmax(self.logits(ids.tolist(), images), -1)
        chosen = logprobs[:-1].gather(1, torch.from_numpy(ids[1:, None]))[:, 0]
        return chosen[torch.from_numpy(mask[1:])]


def picture(rng: random.Random, rows: int, columns: int, side: int) -> PIL.Image.Image:
    """A random picture of rows x columns merged patches of `side` pixels."""
    pixels = np.random.default_rng(rng.randrange(1 << 30)).integers(0, 256, (rows * side, columns * side, 3), dtype=np.uint8)
    return PIL.Image.fromarray(pixels)


def words(rng: random.Random, number: int) -> list[int]:
    return [rng.randrange(2, 100) for _ in range(number)]


def stretch(rng: random.Random, pieces: Sequence[int | tuple[int, int]], side: int, trained: Sequence[bool] | None = None) -> Stretch:
    """Pieces are a number of text tokens, or (rows, columns) of an image; `trained` says for each piece whether it has a loss."""
    ids: list[int] = []
    mask: list[bool] = []
    images = []
    for number, piece in enumerate(pieces):
        if isinstance(piece, int):
            new = words(rng, piece)
        else:
            rows, columns = piece
            new = [VISION_START, *[IMAGE] * (rows * columns), VISION_END]
            images.append(picture(rng, rows, columns, side))
        ids += new
        mask += [bool(trained and trained[number])] * len(new)
    return Stretch(np.array(ids, dtype=np.int64), np.array(mask, dtype=np.bool_), tuple(images))


def sides(kind: str) -> int:
    """Pixels of a merged patch's side; 0 where there is no vision."""
    return {"qwen3_vl": 32, "qwen2_5_vl": 28}.get(kind, 0)


def forest(kind: str, seed: int = 0) -> list[Tree]:
    """Trees with several branches of different lengths, turns with observations between them, and images in trunks and branches."""
    rng, side = random.Random(seed), sides(kind)

    def made(pieces: Sequence[int | tuple[int, int]], trained: Sequence[bool] | None = None) -> Stretch:
        flat = [p if isinstance(p, int) or side else p[0] * p[1] for p in pieces]
        return stretch(rng, flat, side, trained)

    return [
        Tree(made([5, (2, 3), 4]), (made([7], [True]), made([1], [True]), made([3, 4, 6], [True, False, True]))),
        Tree(made([9]), (made([4, (1, 2), 5], [True, False, True]), made([11], [True]))),
        Tree(made([2, (1, 1), 1, (3, 1), 3]), (made([3], [True]), made([2, 5, (2, 2), 1, 4], [True, False, False, False, True]))),
        Tree(made([3, 8], [False, True])),
        Tree(made([1]), (made([6], [True]),)),
    ]
