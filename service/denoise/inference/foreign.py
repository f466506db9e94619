"""How a foreign model may take pictures: how it lays them out, and how it understands its numbers."""

from itertools import product
from typing import NamedTuple

GREY, COLOR = 1, 3
# Of heights and widths. The service gives multiples of the first by itself.
MULTIPLES = (4, 8, 16, 32, 64)
WORDS = {GREY: "grey", COLOR: "colour"}


class Range(NamedTuple):
    """Where black and white are in a model's numbers."""

    black: float
    white: float

    def __str__(self) -> str:
        return f"{self.black:g} … {self.white:g}"


RANGES = (Range(0, 1), Range(0, 255), Range(-1, 1))


class Form(NamedTuple):
    """How a model lays out pictures.

    Attributes:
        channels_first: `[batch, channels, height, width]`; else the channels come last.
        channels: 1 or 3 of what it takes.
        channels_given: 1 or 3 of what it gives; 0 while that is not known.
        size: height and width; None when it takes any.
        multiple: of which height and width have to be where it takes any.
    """

    channels_first: bool
    channels: int
    channels_given: int
    size: tuple[int, int] | None
    multiple: int = MULTIPLES[0]

    def __str__(self) -> str:
        size = f"{self.size[1]}×{self.size[0]}" if self.size else f"any size in multiples of {self.multiple}"
        place = "first" if self.channels_first else "last"
        return f"{size}, in {WORDS[self.channels]}, channels {place}, and gives them in {WORDS[self.channels_given]}"


class Reading(NamedTuple):
    """How a model understands its numbers.

    Attributes:
        range: where black and white are.
        dark_ink: whether ink is dark on light paper.
        gives_noise: whether it gives what is to be taken off, not what is left.
    """

    range: Range
    dark_ink: bool
    gives_noise: bool

    def __str__(self) -> str:
        ink = "dark ink on white" if self.dark_ink else "light ink on black"
        given = "the noise, which is taken off the picture" if self.gives_noise else "the clean picture"
        return f"{ink}, {self.range}; it gives {given}"


# The simplest comes first.
READINGS = [Reading(*each) for each in product(RANGES, (False, True), (False, True))]
