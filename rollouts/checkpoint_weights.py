"""The weights that a checkpoint folder holds, by name and shape, without reading them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

if TYPE_CHECKING:
    import torch

HEAD = "lm_head.weight"


def canonical(name: str) -> str:
    """One name for a weight: published Qwen2.5-VL checkpoints name the two towers otherwise than the module in memory does."""
    return name.replace("model.language_model.", "model.", 1).replace("model.visual.", "visual.", 1)


@dataclass(frozen=True, slots=True)
class CheckpointWeights:
    """`shapes` by canonical name."""

    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, folder: Path) -> "CheckpointWeights":
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise FileNotFoundError(f"{folder}: no *.safetensors here; give the folder of a Hugging Face checkpoint")
        shapes: dict[str, tuple[int, ...]] = {}
        for file in files:
            with safe_open(file, framework="numpy") as opened:
                names = opened.keys()
                shapes |= {canonical(name): tuple(opened.get_slice(name).get_shape()) for name in names}
        return cls(shapes)

    def complete(self, weights: Mapping[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
        """`weights`, and the output head where the checkpoint has none: it is the input embedding then.

        Raises ValueError unless they are this checkpoint's, all of them.
        """
        given = {canonical(name): tensor for name, tensor in weights.items()}
        missing = sorted(self.shapes.keys() - given.keys())
        unknown = sorted(given.keys() - self.shapes.keys() - {HEAD})
        if missing or unknown:
            raise ValueError(
                f"published weights are not the checkpoint's: {len(missing)} missing {missing[:1]}, {len(unknown)} unknown {unknown[:1]}; "
                "name them as the checkpoint or `state_dict()` does"
            )
        for name, shape in self.shapes.items():
            if tuple(given[name].shape) != shape:
                raise ValueError(f"published weight {name} has shape {tuple(given[name].shape)}, the checkpoint's has {shape}")
        tied = HEAD not in self.shapes
        return {**weights, HEAD: given["model.embed_tokens.weight"]} if tied else dict(weights)
