"""Zooming into an image, with the name and the schema of Qwen3-VL's own tool."""

import math

import PIL.Image

from rollouts.tools.registry import ToolError, tool
from tasks.message import Json

FACTOR = 32  # pixels of a side that one visual token covers (patch 16, merged 2 x 2)
SHORTEST_SIDE = 32

PARAMETERS: dict[str, Json] = {
    "type": "object",
    "properties": {
        "bbox_2d": {
            "type": "array",
            "items": {"type": "number"},
            "minItems": 4,
            "maxItems": 4,
            "description": "The bounding box of the region to zoom in, as [x1, y1, x2, y2], where (x1, y1) is the top-left corner and "
            "(x2, y2) is the bottom-right corner",
        },
        "label": {"type": "string", "description": "The name or label of the object in the specified bounding box"},
        "img_idx": {"type": "number", "description": "The index of the zoomed-in image (starting from 0)"},
    },
    "required": ["bbox_2d", "label", "img_idx"],
}


@tool(
    "image_zoom_in_tool",
    "Zoom in on a specific region of an image by cropping it based on a bounding box (bbox) and an optional object label",
    parameters=PARAMETERS,
    ends_by_itself=True,
)
def zoom_in(image: PIL.Image.Image, *, bbox_2d: list[float], label: str, min_tokens: int = 256) -> PIL.Image.Image:
    """The region `bbox_2d`, in 0-1000 of `image`, enlarged to at least `min_tokens` visual tokens where it is smaller.

    Qwen3-VL's rule: the box is cut to the image; a side below 32 pixels grows around its centre to 32; the crop is resized, bicubic, to
    multiples of 32 at about its aspect ratio. Departures: boxes out of order, outside of 0-1000 or without area are errors, and `img_idx`
    must be whole.
    """
    left, top, right, bottom = pixel_box(bbox_2d, image.width, image.height)
    crop = image.crop((left, top, right, bottom))
    return crop.resize(zoomed_size(crop.width, crop.height, min_tokens), PIL.Image.Resampling.BICUBIC)


def pixel_box(bbox_2d: list[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom in pixels, at least 32 a side where the image has as many. Raises `ToolError`."""
    x1, y1, x2, y2 = bbox_2d
    if not all(0 <= value <= 1000 for value in bbox_2d):
        raise ToolError(f"bbox_2d {bbox_2d} is outside of the image: coordinates are relative, from 0 to 1000")
    if x1 >= x2 or y1 >= y2:
        raise ToolError(f"bbox_2d {bbox_2d} has no area: it is [x1, y1, x2, y2] with x1 < x2 and y1 < y2")
    left, right = _span(x1 / 1000 * width, x2 / 1000 * width, width)
    top, bottom = _span(y1 / 1000 * height, y2 / 1000 * height, height)
    return left, top, right, bottom


def zoomed_size(width: int, height: int, min_tokens: int) -> tuple[int, int]:
    """Multiples of 32 nearest to the sides, enlarged to at least `min_tokens` tokens of 32 x 32 pixels."""
    columns, rows = max(1, round(width / FACTOR)), max(1, round(height / FACTOR))
    if rows * columns < min_tokens:
        scale = math.sqrt(min_tokens * FACTOR**2 / (width * height))
        columns, rows = math.ceil(width * scale / FACTOR), math.ceil(height * scale / FACTOR)
    return columns * FACTOR, rows * FACTOR


def _span(low: float, high: float, size: int) -> tuple[int, int]:
    """Whole pixels from `low` to `high`, grown around the centre to `SHORTEST_SIDE` and shifted into the image where needed."""
    if high - low < SHORTEST_SIDE:
        middle = (low + high) / 2
        low, high = middle - SHORTEST_SIDE / 2, middle + SHORTEST_SIDE / 2
        shift = max(0.0, -low) - max(0.0, high - size)
        low, high = low + shift, high + shift
    return max(0, math.floor(low)), min(size, math.ceil(high))
