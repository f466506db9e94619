"""What a running service tells in JSON, as far as it is of use here."""

from typing import Literal

import numpy as np
from pydantic import Base64Bytes, BaseModel, Field, NonNegativeInt

from denoise.errors import BrokenBody
from denoise.pictures import images, mnist
from denoise.pictures.digits import MOST_DIGITS, Found
from denoise.pictures.marks import Boxes

LONGEST_NAME = 255


class InputCard(BaseModel):
    """A model's input, as its card tells it."""

    shape: list[int | str]


class Card(BaseModel):
    """What a service says of a model, as far as it is of use here."""

    name: str = Field(max_length=LONGEST_NAME)
    task: Literal["denoise", "reconstruct"]
    title: str
    default: bool
    sha256: str = Field("", max_length=LONGEST_NAME)
    scores: dict[str, float]
    inputs: list[InputCard]

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width of the pictures it takes; None when it takes any."""
        match self.inputs:
            case [InputCard(shape=[_, int(height), int(width), _])]:
                return height, width
        return None


class Cards(BaseModel):
    """The models of a service."""

    models: list[Card]


class Versions(BaseModel):
    """What versions a service tells, as far as they are of use here."""

    denoise: str = Field(min_length=1, max_length=LONGEST_NAME)


class Info(BaseModel):
    """What a service says of itself, as far as it is of use here."""

    versions: Versions


class DigitCard(BaseModel):
    """A digit of a page, as a service tells it."""

    x: NonNegativeInt
    y: NonNegativeInt
    width: NonNegativeInt
    height: NonNegativeInt
    wide: bool
    picture: Base64Bytes


class PageCard(BaseModel):
    """The digits of a page, as a service tells them."""

    digits: list[DigitCard] = Field(max_length=MOST_DIGITS)


def as_found(cards: list[DigitCard]) -> Found:
    """Digits as they are found here. Raises RequestError where a picture is none, or of another size."""
    left, top, width, height = (
        np.array([getattr(card, name) for card in cards], np.int64) for name in ("x", "y", "width", "height")
    )
    pictures = np.zeros((len(cards), mnist.SIDE, mnist.SIDE), np.uint8)
    for picture, card in zip(pictures, cards, strict=True):
        pixels = images.decode(card.picture, picture.size)
        if pixels.shape != picture.shape:
            raise BrokenBody(f"A digit's picture has {pixels.shape[1]}×{pixels.shape[0]} pixels.")
        picture[:] = np.rint(pixels * 255)
    wide = np.array([card.wide for card in cards], bool)
    return Found(Boxes(top, left, top + height, left + width), wide, pictures)
