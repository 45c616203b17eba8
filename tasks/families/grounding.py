"""Visual grounding: the box of a named tile, in Qwen3-VL's format and 0-1000 coordinates."""

import json
import random
from dataclasses import dataclass

from tasks.families.scene import COLORS, draw, place
from tasks.family import Example
from tasks.message import ImagePart, Message, TextPart
from tasks.problem import Box, BoxesTarget


@dataclass(frozen=True, slots=True)
class Grounding:
    """One to `tiles` tiles of different colours; the question names one of them."""

    size: int = 96
    tiles: int = 2
    shortest: int = 24
    longest: int = 40
    lattice: int = 8
    name: str = "grounding"
    reward: str = "boxes"

    def make(self, rng: random.Random) -> Example:
        colors = rng.sample(sorted(COLORS), rng.randint(1, self.tiles))
        tiles = place(rng, colors, self.size, (self.shortest, self.longest), self.lattice)
        asked = rng.choice(tiles)
        corners = (asked.x, asked.y, asked.x + asked.width, asked.y + asked.height)
        x1, y1, x2, y2 = (round(1000 * pixel / self.size) for pixel in corners)
        found = json.dumps([{"bbox_2d": [x1, y1, x2, y2], "label": asked.color}], separators=(",", ":"))
        return Example(
            messages=(Message("user", (ImagePart(draw(tuple(tiles), self.size)), TextPart(f"Locate the {asked.color} tile."))),),
            target=BoxesTarget((Box(x1, y1, x2, y2, asked.color),)),
            demonstration=f"<think>\n{_where(x1 + x2)} {_where(y1 + y2)}\n</think>\n\n{found}",
            key=f"{asked.color} {tiles}",
        )


def _where(twice_center: int) -> str:
    """The third of the image that a coordinate lies in: `near` the origin, `mid` or `far`."""
    return "near" if twice_center < 667 else "mid" if twice_center < 1333 else "far"
