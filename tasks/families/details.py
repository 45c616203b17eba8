"""Scenes with details too small to read in the overview: what must be zoomed into, once, twice or not at all."""

import json
import random
from dataclasses import dataclass

import PIL.Image
import PIL.ImageDraw

from tasks.families.scene import BACKGROUND, COLORS
from tasks.family import Example
from tasks.message import ImagePart, Message, TextPart
from tasks.problem import CountTarget

SIZE = 500
CENTERS = (83, 250, 417)  # of the nine places, in pixels along a side
TILE = 40
LABEL = (14, 18)  # the white middle of a tile, width and height
STROKE = 2  # pixels of the image a side that a point of a glyph takes
REACH = 16  # pixels from a place's centre that a crop shows: all of its label, wherever it was moved to
TOOL = "image_zoom_in_tool"
# Five columns by seven rows, a row a number in binary.
GLYPHS = (
    (14, 17, 19, 21, 25, 17, 14),
    (4, 12, 4, 4, 4, 4, 14),
    (14, 17, 1, 2, 4, 8, 31),
    (31, 2, 4, 2, 1, 17, 14),
    (2, 6, 10, 18, 31, 2, 2),
    (31, 16, 30, 1, 1, 17, 14),
    (6, 8, 16, 30, 17, 17, 14),
    (31, 1, 2, 4, 8, 8, 8),
    (14, 17, 17, 14, 17, 17, 14),
    (14, 17, 17, 15, 1, 2, 12),
)


@dataclass(frozen=True, slots=True)
class Plate:
    """A coloured tile with a digit on a white label, at place (row, column), moved by a few pixels."""

    color: str
    digit: int
    row: int
    column: int
    right: int
    down: int

    @property
    def box(self) -> tuple[int, int, int, int]:
        """What to zoom into, in 0-1000."""
        x, y = CENTERS[self.column], CENTERS[self.row]
        return tuple(round(1000 * pixel / SIZE) for pixel in (x - REACH, y - REACH, x + REACH, y + REACH))  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Details:
    """One to three plates, their digits 10 x 14 pixels of an image of 500 x 500.

    Asked for: how many plates there are (no crop), the digit of one (one crop), the larger digit of two (two crops), with the probabilities
    `none`, 1 - `none` - `two` and `two`. A policy that sees images at 96 x 96 has 2 x 3 pixels for a digit.
    Of the problems without a crop, the share `near` shows the plate from near, as a crop would, and asks for its digit. Plates lie up to
    `shift` pixels from the middle of their places. With `which`, two plates are asked about by 1 or 2, whichever has the larger digit: one
    crop and a guess are right more often than not (always where there are two `digits`). Of the demonstrations for which that guess is
    right, the share `glance` stops there.
    """

    none: float = 0.2
    two: float = 0.4
    near: float = 0.0
    digits: int = 10
    shift: int = 4
    which: bool = False
    glance: float = 0.0
    name: str = "details"
    reward: str = "count"

    def __post_init__(self) -> None:
        if not (self.none >= 0 and self.two >= 0 and self.none + self.two <= 1):
            raise ValueError(f"none={self.none} and two={self.two} are probabilities that leave the rest to one crop")
        if not 0 <= self.near <= 1:
            raise ValueError(f"near={self.near} is a share, from 0 to 1")
        if not 0 <= self.glance <= (1 if self.which else 0):
            raise ValueError(f"glance={self.glance} is a share, from 0 to 1, and above 0 only with which=true")
        if not 2 <= self.digits <= len(GLYPHS):
            raise ValueError(f"digits={self.digits}: two digits to tell apart at least, and ten at the most")
        if not 0 <= self.shift <= REACH - LABEL[1] // 2:
            raise ValueError(f"shift={self.shift}: from 0 to {REACH - LABEL[1] // 2} pixels, or a crop would cut a label")

    def make(self, rng: random.Random) -> Example:
        crops = rng.choices((0, 1, 2), (self.none, 1 - self.none - self.two, self.two))[0]
        near = not crops and rng.random() < self.near
        most = min(3, self.digits) if self.which else 3  # or two plates could have the same digit
        plates = self._plates(rng, 1 if near else rng.randint(2 if crops == 2 else 1, most))
        asked = plates[: 1 if near else crops]
        question, answer, (*calling, last) = self._asked(plates, asked, rng)
        return Example(
            messages=(Message("user", (ImagePart(close_up(plates[0]) if near else draw_plates(plates)), TextPart(question))),),
            target=CountTarget(answer),
            demonstration=last,
            key=f"{question} {plates}{' near' if near else ''}",
            calling_turns=() if near else tuple(calling),
            tools=(TOOL,),
            expected_calls=crops,
        )

    def _asked(self, plates: tuple[Plate, ...], asked: tuple[Plate, ...], rng: random.Random) -> tuple[str, int, tuple[str, ...]]:
        if not (self.which and len(asked) == 2):
            return *_question(plates, asked), _worked(plates, asked)
        first, second = asked
        answer, guess = 1 if first.digit > second.digit else 2, 1 if 2 * first.digit >= self.digits else 2
        question = f"Larger digit, 1 {first.color} or 2 {second.color}?"
        if guess == answer and rng.random() < self.glance:
            seen = f"{first.color} {first.digit}\n{'high' if guess == 1 else 'low'}"
            return question, answer, (_turn(f"{first.color}?", _call(first)), _turn(seen, f"\\boxed{{{answer}}}"))
        return question, answer, _compared(asked, answer)

    def _plates(self, rng: random.Random, number: int) -> tuple[Plate, ...]:
        colors = rng.sample(sorted(COLORS), number)
        places = rng.sample([(row, column) for row in range(3) for column in range(3)], number)
        digits = rng.sample(range(self.digits), number) if number <= self.digits else [rng.randrange(self.digits) for _ in range(number)]
        shifts = [(rng.randint(-self.shift, self.shift), rng.randint(-self.shift, self.shift)) for _ in range(number)]
        return tuple(Plate(c, d, *place, *shift) for c, d, place, shift in zip(colors, digits, places, shifts, strict=True))


def draw_plates(plates: tuple[Plate, ...]) -> PIL.Image.Image:
    image = PIL.Image.new("RGB", (SIZE, SIZE), BACKGROUND)
    pen = PIL.ImageDraw.Draw(image)
    for plate in plates:
        x, y = CENTERS[plate.column] + plate.right, CENTERS[plate.row] + plate.down
        _rectangle(pen, x - TILE // 2, y - TILE // 2, (TILE, TILE), COLORS[plate.color])
        left, top = x - LABEL[0] // 2, y - LABEL[1] // 2
        _rectangle(pen, left, top, LABEL, (255, 255, 255))
        for row, bits in enumerate(GLYPHS[plate.digit]):
            for column in range(5):
                if bits >> (4 - column) & 1:
                    _rectangle(pen, left + 2 + STROKE * column, top + 2 + STROKE * row, (STROKE, STROKE), (0, 0, 0))
    return image


def _rectangle(pen: PIL.ImageDraw.ImageDraw, left: int, top: int, size: tuple[int, int], fill: tuple[int, int, int]) -> None:
    pen.rectangle((left, top, left + size[0] - 1, top + size[1] - 1), fill=fill)


def close_up(plate: Plate) -> PIL.Image.Image:
    """What a crop of the plate's place shows."""
    x, y = CENTERS[plate.column], CENTERS[plate.row]
    return draw_plates((plate,)).crop((x - REACH, y - REACH, x + REACH, y + REACH))


def _question(plates: tuple[Plate, ...], asked: tuple[Plate, ...]) -> tuple[str, int]:
    if not asked:
        return "How many tiles?", len(plates)
    if len(asked) == 1:
        return f"Digit on {asked[0].color}?", asked[0].digit
    return f"Larger digit, {asked[0].color} or {asked[1].color}?", max(plate.digit for plate in asked)


def _worked(plates: tuple[Plate, ...], asked: tuple[Plate, ...]) -> tuple[str, ...]:
    """The assistant's turns: a look at each plate that is asked for, and what was read there in the turn after."""
    if not asked:
        return (_turn(" ".join(plate.color for plate in sorted(plates, key=lambda p: (p.row, p.column))), f"\\boxed{{{len(plates)}}}"),)
    if len(asked) == 1:
        (plate,) = asked
        return _turn(f"{plate.color}?", _call(plate)), _turn(f"{plate.color} {plate.digit}", f"\\boxed{{{plate.digit}}}")
    return _compared(asked, max(plate.digit for plate in asked))


def _compared(asked: tuple[Plate, ...], answer: int) -> tuple[str, ...]:
    first, second = asked
    compared = f"{first.digit}{'>' if first.digit > second.digit else '<'}{second.digit}"
    return (
        _turn(f"{first.color}?", _call(first)),
        _turn(f"{first.color} {first.digit}\n{second.color}?", _call(second)),
        _turn(f"{second.color} {second.digit}\n{compared}", f"\\boxed{{{answer}}}"),
    )


def _turn(thinking: str, said: str) -> str:
    return f"<think>\n{thinking}\n</think>\n\n{said}"


def _call(plate: Plate) -> str:
    arguments = {"bbox_2d": list(plate.box), "label": plate.color, "img_idx": 0}
    return f"<tool_call>\n{json.dumps({'name': TOOL, 'arguments': arguments})}\n</tool_call>"
