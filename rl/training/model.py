"""The policy as torch sees it: packed trees in, log-probs of the trained tokens out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

import numpy as np
import PIL.Image
import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForImageTextToText, PreTrainedModel

from rl.training.chosen_logprobs import chosen_logprobs
from rl.training.packing import ATTENTION, Packed, pack
from rl.training.pixels import PixelProcessor, Pixels
from rl.training.tree import Stretch, Tree


class VisionOutput(Protocol):
    """What a vision tower of transformers gives; Qwen3-VL's has `deepstack_features` too."""

    pooler_output: torch.Tensor
    deepstack_features: list[torch.Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class ModelInputs:
    """A packed micro-batch with the pixels of its images; `vision` is None where it has none."""

    packed: Packed
    vision: "VisionInputs | None"


@dataclass(frozen=True, slots=True, eq=False)
class VisionInputs:
    """Each distinct image once. `grids` are those of every image in the packed row. The vision tower sees `distinct_grids`, and
    `feature_rows` lay out its features, a row a merged patch, for every image of the row.
    """

    pixel_values: torch.Tensor
    grids: torch.Tensor
    distinct_grids: torch.Tensor
    feature_rows: torch.Tensor


@dataclass(frozen=True, slots=True)
class SoftmaxSettings:
    """The distribution whose log-probs are wanted: that of the sampler. `chunk` positions have logits at one time.

    Rows of the head from `vocab_size` on have no part in it, as those of a teacher's tokens that its student does not know.
    """

    temperature: float = 1.0
    banned_ids: tuple[int, ...] = ()
    chunk: int = 2048
    vocab_size: int | None = None


Readout: TypeAlias = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, ...]]
"""What an objective computes from the hidden states that predict the trained tokens [M, H] and the output head [V, H]."""


class Policy(torch.nn.Module):
    """A Hugging Face checkpoint (Qwen3, Qwen2.5-VL, Qwen3-VL) with packed attention; the unit that is sharded and prepared."""

    def __init__(self, path: Path | str, dtype: torch.dtype, softmax: SoftmaxSettings) -> None:
        super().__init__()
        config = AutoConfig.from_pretrained(path)
        self.has_vision = hasattr(config, "vision_config")
        loader = AutoModelForImageTextToText if self.has_vision else AutoModelForCausalLM
        attention: str | dict[str, str] = {"": "sdpa", "text_config": ATTENTION, "vision_config": "sdpa"} if self.has_vision else ATTENTION
        self.model: PreTrainedModel = loader.from_pretrained(path, dtype=dtype, attn_implementation=attention)
        self.softmax = softmax
        self._vision: VisionInputs | None = None
        if self.has_vision:
            self.model.model.visual.register_forward_pre_hook(self._show_distinct, with_kwargs=True)
            self.model.model.visual.register_forward_hook(self._repeat_features)

    def forward(self, inputs: ModelInputs, readout: Readout | None = None) -> tuple[torch.Tensor, ...]:
        """`(logprobs_M, entropy_M)` of the trained tokens, in the order of `inputs.packed.target_M`, and what `readout` gives."""
        packed = inputs.packed
        hidden_MH = self.predicting_states(inputs)
        logprobs_M, entropy_M = chosen_logprobs(
            hidden_MH,
            self.head_VH,
            packed.token_ids_N[packed.target_M],
            temperature=self.softmax.temperature,
            chunk=self.softmax.chunk,
            vocab_size=self.softmax.vocab_size,
            banned_ids=self.softmax.banned_ids,
        )
        return logprobs_M, entropy_M, *(readout(hidden_MH, self.head_VH) if readout else ())

    def compile_blocks(self) -> None:
        """Norms and MLPs of the language model, each by itself: what lies between, packed attention, differs from pass to pass."""
        decoder = self.model.model.language_model if self.has_vision else self.model.model
        for name, module in decoder.named_modules():
            if name.rsplit(".", 1)[-1] in ("mlp", "norm", "input_layernorm", "post_attention_layernorm", "q_norm", "k_norm"):
                module.compile(dynamic=True)

    @property
    def head_VH(self) -> torch.Tensor:
        weight: torch.Tensor = self.model.get_output_embeddings().weight
        return weight

    def predicting_states(self, inputs: ModelInputs) -> torch.Tensor:
        """`hidden_MH`: the last hidden states, each of which predicts a trained token."""
        packed = inputs.packed
        arguments: dict[str, object] = {"input_ids": packed.token_ids_N[None], "use_cache": False, "rectangles": packed.rectangles}
        if self.has_vision:
            arguments["position_ids"] = packed.positions_3N[:, None]
            self._vision = inputs.vision
            if inputs.vision is not None:
                arguments |= {"pixel_values": inputs.vision.pixel_values, "image_grid_thw": inputs.vision.grids}
        else:
            arguments["position_ids"] = packed.positions_3N[:1]
        hidden_NH: torch.Tensor = self.model.model(**arguments).last_hidden_state[0]
        return hidden_NH[packed.predictor_M]

    def _show_distinct(self, tower: torch.nn.Module, args: tuple[object, ...], kwargs: dict[str, object]) -> tuple[object, object]:
        assert self._vision is not None, "the vision tower runs on no pixels"
        return args, kwargs | {"grid_thw": self._vision.distinct_grids}

    def _repeat_features(self, tower: torch.nn.Module, args: tuple[object, ...], output: VisionOutput) -> VisionOutput:
        assert self._vision is not None, "the vision tower runs on no pixels"
        rows = self._vision.feature_rows
        output.pooler_output = output.pooler_output[rows]
        if getattr(output, "deepstack_features", None) is not None:
            output.deepstack_features = [features[rows] for features in output.deepstack_features]
        return output


class TreeEncoder:
    """Turns trees into the model's inputs: packing, positions and pixels."""

    def __init__(self, path: Path | str, device: torch.device) -> None:
        config = AutoConfig.from_pretrained(path)
        has_vision = hasattr(config, "vision_config")
        self._path = path
        self._device = device
        self._image_token_id: int | None = config.image_token_id if has_vision else None
        self._merge_size: int = config.vision_config.spatial_merge_size if has_vision else 1
        self._pixels = PixelProcessor(path) if has_vision else None

    @classmethod
    def on_cpu(cls, path: Path | str) -> "TreeEncoder":
        return cls(path, torch.device("cpu"))

    def idle_tree(self, *, with_image: bool) -> Tree:
        """A tree without a trained token, as small as can be."""
        images = (PIL.Image.new("RGB", (32, 32)),) if with_image else ()
        patches = [self._image_token_id for image in images for _ in range(self._processor().num_patches(image) // self._merge_size**2)]
        ids = patches or [0]
        return Tree(Stretch(np.array(ids, dtype=np.int64), np.zeros(len(ids), dtype=np.bool_), images))

    def __call__(self, trees: Sequence[Tree]) -> ModelInputs:
        stretches = [(tree.trunk, *tree.branches) for tree in trees]
        images = [image for tree in stretches for stretch in tree for image in stretch.images]
        pixels = self._processor()(images) if images else None
        remaining = iter(pixels.grids if pixels is not None else ())
        by_stretch = [[[next(remaining) for _ in stretch.images] for stretch in tree] for tree in stretches]
        packed = pack(trees, by_stretch, self._image_token_id, self._merge_size).to(self._device)
        return ModelInputs(packed, None if pixels is None else self._vision_inputs(pixels))

    def _vision_inputs(self, pixels: Pixels) -> VisionInputs:
        sizes = [time * rows * columns // self._merge_size**2 for time, rows, columns in pixels.distinct_grids]
        starts = np.cumsum([0, *sizes])
        rows = np.concatenate([np.arange(starts[number], starts[number + 1]) for number in pixels.which])
        tensors = (pixels.pixels_PC, torch.tensor(pixels.grids), torch.tensor(pixels.distinct_grids), torch.from_numpy(rows))
        return VisionInputs(*(tensor.to(self._device) for tensor in tensors))

    def _processor(self) -> PixelProcessor:
        if self._pixels is None:
            raise ValueError(f"{self._path} is a text-only checkpoint, but a problem has images: choose a VL checkpoint or text tasks")
        return self._pixels
