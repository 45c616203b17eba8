"""The weights that a checkpoint folder holds, by name and shape, without reading them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open

if TYPE_CHECKING:
    import torch

HEAD = "lm_head.weight"


@dataclass(frozen=True, slots=True)
class CheckpointWeights:
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def of(cls, folder: Path) -> "CheckpointWeights":
        files = sorted(folder.glob("*.safetensors"))
        if not files:
            raise FileNotFoundError(f"{folder}: no *.safetensors here; give the folder of a Hugging Face checkpoint")
        shapes: dict[str, tuple[int, ...]] = {}
        for file in files:
            with safe_open(file, framework="numpy") as opened:
                shapes |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118 - not a mapping
        return cls(shapes)

    def check(self, weights: Mapping[str, "torch.Tensor"]) -> None:
        """Raises ValueError unless `weights` are this checkpoint's, all of them; a tied head may be left out or given."""
        missing = sorted(self.shapes.keys() - weights.keys() - {HEAD})
        unknown = sorted(weights.keys() - self.shapes.keys() - {HEAD})
        if missing or unknown:
            raise ValueError(
                f"published weights do not match the checkpoint: {len(missing)} missing (such as {missing[:1]}), "
                f"{len(unknown)} unknown (such as {unknown[:1]}); name them as `model.state_dict()` does"
            )
        for name, shape in self.shapes.items():
            if name in weights and tuple(weights[name].shape) != shape:
                raise ValueError(f"published weight {name} has shape {tuple(weights[name].shape)}, the checkpoint's has {shape}")


def with_head(weights: Mapping[str, "torch.Tensor"], tied: bool) -> dict[str, "torch.Tensor"]:
    """`weights` with the output head, which is the input embedding where the two are tied and a checkpoint leaves it out."""
    if not tied:
        return dict(weights)
    (embedding,) = (tensor for name, tensor in weights.items() if name.endswith("embed_tokens.weight"))
    return {**weights, HEAD: embedding}
