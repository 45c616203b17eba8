"""Scenes of coloured tiles on grey, small enough for a tiny vision tower.

Mid-grey normalises to about zero: a bright constant background would swamp the position embeddings of an untrained tower.
"""

import random
from dataclasses import dataclass

import PIL.Image
import PIL.ImageDraw

BACKGROUND = (128, 128, 128)
COLORS = {
    "red": (230, 30, 30),
    "green": (30, 200, 30),
    "blue": (30, 60, 240),
    "yellow": (240, 220, 20),
    "purple": (160, 30, 200),
    "white": (250, 250, 250),
}


@dataclass(frozen=True, slots=True)
class Tile:
    """Pixels: the top-left corner, and the sides."""

    color: str
    x: int
    y: int
    width: int
    height: int


def draw(tiles: tuple[Tile, ...], size: int) -> PIL.Image.Image:
    """A square RGB image of `size` pixels a side; later tiles cover earlier ones."""
    image = PIL.Image.new("RGB", (size, size), BACKGROUND)
    pen = PIL.ImageDraw.Draw(image)
    for tile in tiles:
        pen.rectangle((tile.x, tile.y, tile.x + tile.width - 1, tile.y + tile.height - 1), fill=COLORS[tile.color])
    return image


def apart(tile: Tile, others: list[Tile], gap: int = 1) -> bool:
    """Whether `tile` keeps at least `gap` pixels from each of `others`."""
    return all(
        tile.x + tile.width + gap <= other.x
        or other.x + other.width + gap <= tile.x
        or tile.y + tile.height + gap <= other.y
        or other.y + other.height + gap <= tile.y
        for other in others
    )


def place(rng: random.Random, colors: list[str], size: int, sides: tuple[int, int], lattice: int) -> list[Tile]:
    """Tiles of the given colours at random places, none touching another; corners lie on a lattice of that many pixels.

    Sides are drawn from the multiples of `lattice` in `sides`, inclusive.
    """
    while True:
        tiles: list[Tile] = []
        for color in colors:
            for _ in range(50):
                width, height = (rng.randrange(sides[0], sides[1] + 1, lattice) for _ in range(2))
                tile = Tile(color, rng.randrange(0, size - width + 1, lattice), rng.randrange(0, size - height + 1, lattice), width, height)
                if apart(tile, tiles):
                    tiles.append(tile)
                    break
        if len(tiles) == len(colors):
            return tiles
