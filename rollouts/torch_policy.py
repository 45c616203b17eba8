"""A checkpoint on plain transformers, as a generator needs it: prompts with images in, logits of the next token out, with a cache.

Axes: B sequences, T tokens (padded on the left), V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import torch
from transformers import AutoConfig, AutoImageProcessor, AutoModelForCausalLM, AutoModelForImageTextToText
from transformers import Cache as Layers

from rollouts.checkpoint_weights import canonical
from rollouts.torch_decoding import ATTENTION, RoomyLayer


@dataclass(frozen=True, slots=True)
class Prompt:
    """Expanded ids, and the patches of the images in the order of their placeholders."""

    token_ids: tuple[int, ...]
    pixels: torch.Tensor | None
    grids: torch.Tensor | None


@dataclass(slots=True)
class Cache:
    """What was computed of B sequences so far. `next_position_B` is the rotary position of the token that comes next."""

    layers: Layers
    attended_BT: torch.Tensor
    next_position_B: torch.Tensor

    def select(self, rows: Sequence[int]) -> None:
        """Keeps these rows, in this order; a row may come several times."""
        index = torch.tensor(rows, dtype=torch.long, device=self.attended_BT.device)
        self.layers.batch_select_indices(index)
        self.attended_BT, self.next_position_B = self.attended_BT[index], self.next_position_B[index]


class TorchPolicy:
    """Qwen3, Qwen2.5-VL or Qwen3-VL."""

    def __init__(self, path: Path, dtype: torch.dtype, device: torch.device) -> None:
        self.config = AutoConfig.from_pretrained(path)
        self._has_vision = hasattr(self.config, "vision_config")
        loader = AutoModelForImageTextToText if self._has_vision else AutoModelForCausalLM
        attention: str | dict[str, str] = {"": "sdpa", "text_config": ATTENTION, "vision_config": "sdpa"} if self._has_vision else ATTENTION
        self._model = loader.from_pretrained(path, dtype=dtype, attn_implementation=attention).to(device).eval()
        self._image_processor = AutoImageProcessor.from_pretrained(path) if self._has_vision else None
        self._device = device

    def prompt(self, compact_ids: Sequence[int], images: Sequence[PIL.Image.Image]) -> Prompt:
        """Gives each image as many placeholders as it has merged patches."""
        if self._image_processor is None or not images:
            return Prompt(tuple(compact_ids), None, None)
        processed = self._image_processor(images=list(images), return_tensors="pt")
        merged = processed["image_grid_thw"].prod(-1) // self.config.vision_config.spatial_merge_size**2
        sizes = iter(merged.tolist())
        image_id = self.config.image_token_id
        ids = tuple(i for token in compact_ids for i in ((token,) * next(sizes) if token == image_id else (token,)))
        return Prompt(ids, processed["pixel_values"], processed["image_grid_thw"])

    def prefill(self, prompts: Sequence[Prompt]) -> tuple[torch.Tensor, Cache]:
        """Logits [B, V] of the token after each prompt."""
        length = max(len(prompt.token_ids) for prompt in prompts)
        ids_BT = torch.zeros(len(prompts), length, dtype=torch.long)
        attended_BT = torch.zeros(len(prompts), length, dtype=torch.long)
        for row, prompt in enumerate(prompts):
            ids_BT[row, length - len(prompt.token_ids) :] = torch.tensor(prompt.token_ids)
            attended_BT[row, length - len(prompt.token_ids) :] = 1
        ids_BT, attended_BT = ids_BT.to(self._device), attended_BT.to(self._device)
        inputs: dict[str, torch.Tensor] = {}
        grids = [prompt.grids for prompt in prompts if prompt.grids is not None]
        if grids:
            pixels = torch.cat([prompt.pixels for prompt in prompts if prompt.pixels is not None])
            inputs = {"pixel_values": pixels.to(self._device), "image_grid_thw": torch.cat(grids).to(self._device)}
        positions, next_position_B = self._positions(ids_BT, attended_BT, inputs.get("image_grid_thw"))
        cache = Cache(Layers(layer_class_to_replicate=RoomyLayer), attended_BT, next_position_B)
        return self._forward(ids_BT, positions, cache, inputs), cache

    def decode(self, ids_B: Sequence[int], cache: Cache) -> torch.Tensor:
        """Logits [B, V] of the token after `ids_B`, which join the cache."""
        ids_B1 = torch.tensor(ids_B, device=self._device)[:, None]
        cache.attended_BT = torch.cat([cache.attended_BT, torch.ones_like(ids_B1)], dim=1)
        position_B1 = cache.next_position_B[:, None]
        cache.next_position_B = cache.next_position_B + 1
        return self._forward(ids_B1, position_B1.expand(3, -1, -1) if self._has_vision else position_B1, cache, {})

    def load(self, weights: Mapping[str, torch.Tensor]) -> None:
        """Copies checked weights in place."""
        parameters = {canonical(name): tensor for name, tensor in self._model.state_dict().items()}
        for name, tensor in weights.items():
            parameters[canonical(name)].copy_(tensor)

    def _positions(self, ids_BT: torch.Tensor, attended_BT: torch.Tensor, grids: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        if not self._has_vision:
            positions_BT = (attended_BT.cumsum(-1) - 1).clamp(min=0)
            return positions_BT, positions_BT[:, -1] + 1
        types_BT = (ids_BT == self.config.image_token_id).int()
        positions_3BT, _ = self._model.model.get_rope_index(ids_BT, types_BT, image_grid_thw=grids, attention_mask=attended_BT)
        return positions_3BT, positions_3BT.amax((0, 2)) + 1

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, cache: Cache, inputs: Mapping[str, torch.Tensor]) -> torch.Tensor:
        output = self._model(
            input_ids=ids,
            attention_mask=cache.attended_BT,
            position_ids=positions,
            past_key_values=cache.layers,
            use_cache=True,
            logits_to_keep=1,
            **inputs,
        )
        logits_BV: torch.Tensor = output.logits[:, -1].float()
        return logits_BV
