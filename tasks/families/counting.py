"""Visual counting: how many tiles of a colour, among tiles of other colours."""

import random
from dataclasses import dataclass

from tasks.families.scene import COLORS, Tile, draw
from tasks.family import Example
from tasks.message import ImagePart, Message, TextPart
from tasks.problem import CountTarget


@dataclass(frozen=True, slots=True)
class Counting:
    """A `grid` x `grid` board, each field empty or with a tile; the demonstration marks the asked colour row by row, then adds."""

    grid: int = 3
    cell: int = 32
    colors: int = 2
    name: str = "counting"
    reward: str = "count"

    def make(self, rng: random.Random) -> Example:
        palette = list(COLORS)[: self.colors]
        asked = rng.choice(palette)
        board = [[rng.choice((*palette, asked, "")) for _ in range(self.grid)] for _ in range(self.grid)]
        side = self.cell - 8
        tiles = tuple(
            Tile(color, column * self.cell + rng.randint(2, 6), row * self.cell + rng.randint(2, 6), side, side)
            for row, colors in enumerate(board)
            for column, color in enumerate(colors)
            if color
        )
        found = [[int(color == asked) for color in colors] for colors in board]
        count = sum(map(sum, found))
        reading = "\n".join(f"{''.join(map(str, row))}={sum(row)}" for row in found)
        tally = "+".join(str(sum(row)) for row in found)
        return Example(
            messages=(Message("user", (ImagePart(draw(tiles, self.grid * self.cell)), TextPart(f"How many {asked} tiles?"))),),
            target=CountTarget(count),
            demonstration=f"<think>\n{reading}\n{tally}={count}\n</think>\n\n\\boxed{{{count}}}",
            key=f"{asked} {tiles}",
        )
