"""Turning an image."""

import PIL.Image

from rollouts.tools.registry import tool


@tool(
    "image_rotate_tool",
    "Rotate an image clockwise by an angle in degrees; the canvas grows to hold all of it",
    parameters={
        "type": "object",
        "properties": {
            "angle": {
                "type": "number",
                "minimum": -360,
                "maximum": 360,
                "description": "Degrees clockwise; negative turns counter-clockwise",
            },
            "img_idx": {"type": "number", "description": "The index of the image to rotate (starting from 0)"},
        },
        "required": ["angle", "img_idx"],
    },
    ends_by_itself=True,
)
def rotate(image: PIL.Image.Image, *, angle: float) -> PIL.Image.Image:
    """The image turned clockwise (Pillow counts the other way round), with mid-grey corners."""
    return image.rotate(-angle, resample=PIL.Image.Resampling.BICUBIC, expand=True, fillcolor=(128, 128, 128))
