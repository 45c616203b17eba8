"""Images as the vision tower takes them, by the checkpoint's own image processor.

P patches of an image, C values of a patch.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import torch
from transformers import AutoImageProcessor

CACHE_BYTES = 256 << 20


@dataclass(frozen=True, slots=True, eq=False)
class _Processed:
    """`image` keeps the object alive, so that its identity stays its own."""

    image: PIL.Image.Image
    pixels_PC: torch.Tensor
    grid: tuple[int, int, int]


class PixelProcessor:
    """Remembers the newest images by identity, up to `CACHE_BYTES`: a fixed set of demonstrations is processed once."""

    def __init__(self, path: Path | str) -> None:
        self._processor = AutoImageProcessor.from_pretrained(path)
        self._cache: OrderedDict[int, _Processed] = OrderedDict()
        self._bytes = 0

    def __call__(self, images: Sequence[PIL.Image.Image]) -> tuple[torch.Tensor, list[tuple[int, int, int]]]:
        """The patches of all images, one after the other, and each image's grid: (time, rows, columns) in patches."""
        new = {id(image): image for image in images if id(image) not in self._cache}
        fresh = self._process(list(new.values())) if new else {}
        found = [fresh[id(image)] if id(image) in fresh else self._cache[id(image)] for image in images]
        for key, processed in fresh.items():
            self._keep(key, processed)
        return torch.cat([processed.pixels_PC for processed in found]), [processed.grid for processed in found]

    def num_patches(self, image: PIL.Image.Image) -> int:
        return int(self._processor.get_number_of_image_patches(image.height, image.width, {}))

    def _process(self, images: list[PIL.Image.Image]) -> dict[int, _Processed]:
        output = self._processor(images=images, return_tensors="pt")
        grids = [(int(t), int(rows), int(columns)) for t, rows, columns in output["image_grid_thw"].tolist()]
        pieces = output["pixel_values"].split([t * rows * columns for t, rows, columns in grids])
        return {id(image): _Processed(image, piece, grid) for image, piece, grid in zip(images, pieces, grids, strict=True)}

    def _keep(self, key: int, processed: _Processed) -> None:
        self._cache[key] = processed
        self._bytes += processed.pixels_PC.nbytes
        while self._bytes > CACHE_BYTES:
            _, oldest = self._cache.popitem(last=False)
            self._bytes -= oldest.pixels_PC.nbytes
