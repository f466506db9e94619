"""Ink on a page that is not MNIST's: strokes of pens along vector digits and letters, and printed type.

Every function gives the share of each pixel that ink covers, `[height, width]`, 0 … 1: what a denoiser is to find. So
it learns strokes, not only digits. The strokes are those that A. V. Hershey drew for the U.S. National Bureau of
Standards (1967), from the package Hershey-Fonts; the type is DejaVu, STIX and Computer Modern, from matplotlib.
"""

import functools
import math
import string
from pathlib import Path

import HersheyFonts
import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.mnist import Pixels
from training.paper import chance

Points = NDArray[np.float64]

HANDS = ("futural", "rowmans", "scripts", "cursive", "greeks", "futuram", "scriptc", "timesr")
HERSHEY_CAP_UNITS = 21
FACES = (
    "DejaVuSans", "DejaVuSans-Bold", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold",
    "DejaVuSerif-Italic", "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "cmr10", "cmb10", "cmss10", "cmtt10",
)  # fmt: skip
# Pages are drawn so many times their size and averaged, which gives strokes grey edges.
STROKES_ENLARGED = 3
TYPE_ENLARGED = 2
# Heights of a capital at the width of stroke that a denoiser works at, and how wide the strokes of a pen are.
CAP_PX = (11.0, 52.0)
WIDTH_PER_CAP = (0.06, 0.24)
WIDTH_PX = (1.0, 12.0)
TYPE_PX = (9.0, 46.0)
SHARE_OF_DIGITS = 0.55
SHARE_OF_SCRIBBLES = 0.08
SHARE_WITH_PRESSURE = 0.4
SHARE_TURNED = 0.4
MOST_DEGREES = 6.0


def write(shape: tuple[int, int], larger: float, random: np.random.Generator) -> Pixels:
    """A page written by one hand with one pen, `larger` times the usual size."""
    cap = larger * _evenly_by_ratio(CAP_PX, random)
    low, high = WIDTH_PX
    width = float(np.clip(cap * _evenly_by_ratio(WIDTH_PER_CAP, random), low, high * max(1.0, larger)))
    hand = _hand(HANDS[random.integers(len(HANDS))])
    pressure = random.uniform(0.1, 0.5) if chance(SHARE_WITH_PRESSURE, random) else 0.0
    slant = random.uniform(-0.25, 0.35)
    waves = _waves(cap, random)
    canvas = Image.new("L", (shape[1] * STROKES_ENLARGED, shape[0] * STROKES_ENLARGED))
    draw = ImageDraw.Draw(canvas)
    crowd = random.uniform(0.4, 1)
    baseline = random.uniform(0.3, 1.2) * cap
    while baseline < shape[0] + cap:
        x = random.uniform(-1, 1) * cap
        drift = random.uniform(-0.05, 0.05)
        while x < shape[1]:
            strokes, advance = _glyph(hand, random)
            if chance(crowd, random):
                size = cap * random.uniform(0.85, 1.15)
                for stroke in strokes:
                    place = stroke @ np.array([[1, 0], [-slant, 1]]) * size + (x, baseline + drift * x)
                    bent = _bend(_round_corners(place), waves)
                    _draw(draw, bent * STROKES_ENLARGED, width * STROKES_ENLARGED, pressure, random)
            x += cap * (advance + random.uniform(-0.05, 0.25))
        baseline += cap * random.uniform(1.3, 2.2)
    return _finish(canvas, STROKES_ENLARGED, random)


def type_set(shape: tuple[int, int], larger: float, random: np.random.Generator) -> Pixels:
    """A page of printed words and numbers in one face, `larger` times the usual size."""
    size = larger * _evenly_by_ratio(TYPE_PX, random)
    font = _font(FACES[random.integers(len(FACES))], round(size * TYPE_ENLARGED))
    canvas = Image.new("L", (shape[1] * TYPE_ENLARGED, shape[0] * TYPE_ENLARGED))
    draw = ImageDraw.Draw(canvas)
    y = -random.uniform(0, size)
    apart = size * random.uniform(1.05, 1.9)
    while y < shape[0]:
        x = random.uniform(-size, size)
        while x < shape[1]:
            word = _word(random)
            draw.text((x * TYPE_ENLARGED, y * TYPE_ENLARGED), word, fill=255, font=font)
            x += font.getlength(word) / TYPE_ENLARGED + size * random.uniform(0.2, 0.9)
        y += apart
    return _finish(canvas, TYPE_ENLARGED, random)


def _evenly_by_ratio(bounds: tuple[float, float], random: np.random.Generator) -> float:
    return math.exp(random.uniform(math.log(bounds[0]), math.log(bounds[1])))


@functools.cache
def _hand(name: str) -> dict[str, list[Points]]:
    """The strokes of a Hershey font's characters, by character: capitals are 1 high, and the baseline is at 0."""
    fonts = HersheyFonts.HersheyFonts()
    fonts.load_default_font(name)
    baseline = fonts.render_options["base_line"]
    hand = {}
    for character in string.digits + string.ascii_letters:
        strokes = [np.array(list(stroke), np.float64) for stroke in fonts.strokes_for_text(character)]
        if strokes:  # The Greek hand has fewer letters.
            hand[character] = [(stroke - (0, baseline)) / HERSHEY_CAP_UNITS for stroke in strokes]
    return hand


def _glyph(hand: dict[str, list[Points]], random: np.random.Generator) -> tuple[list[Points], float]:
    """The strokes of a digit, a letter or a scribble, and how far the next one stands from it."""
    if chance(SHARE_OF_SCRIBBLES, random):
        turns = np.cumsum(random.normal(random.normal(0, 0.4), 0.5, 12))
        steps = random.uniform(0.08, 0.3) * np.stack([np.cos(turns), np.sin(turns)], axis=1)
        scribble = np.cumsum(steps, axis=0)
        return [scribble - scribble.min(axis=0) - (0, random.uniform(0.3, 1))], float(np.ptp(scribble[:, 0]))
    characters = string.digits if chance(SHARE_OF_DIGITS, random) else list(hand)
    strokes = hand[characters[random.integers(len(characters))]]
    return strokes, max(0.3, *(float(stroke[:, 0].max()) for stroke in strokes))


def _bend(points: Points, waves: Points) -> Points:
    """Points `[count, 2]`, px, moved by waves: rows of amplitude across and down, frequency across and down, phase."""
    swing: Points = np.sin(points @ waves[:, 2:4].T + waves[:, 4])
    return points + swing @ waves[:, :2]


def _waves(cap: float, random: np.random.Generator) -> Points:
    """Three waves, one to four capitals long: an elastic page on which no two characters are alike."""
    amplitudes = random.normal(0, 0.045 * cap, (3, 2))
    angle, length = random.uniform(0, 2 * math.pi, 3), cap * random.uniform(1, 4, 3)
    frequencies = 2 * math.pi * np.stack([np.cos(angle), np.sin(angle)], axis=1) / length[:, np.newaxis]
    return np.concatenate([amplitudes, frequencies, random.uniform(0, 2 * math.pi, (3, 1))], axis=1)


def _round_corners(points: Points) -> Points:
    """A line with its corners cut once (Chaikin, 1974): Hershey's curves have corners that no hand draws."""
    if len(points) < len(("start", "corner", "end")):
        return points
    before, after = points[:-1], points[1:]
    cut = np.stack([0.75 * before + 0.25 * after, 0.25 * before + 0.75 * after], axis=1).reshape(-1, 2)
    return np.concatenate([points[:1], cut, points[-1:]])


def _draw(
    draw: ImageDraw.ImageDraw, points: Points, width: float, pressure: float, random: np.random.Generator
) -> None:
    """Draws a stroke with a round pen, whose width swings along it by the share `pressure`."""
    swing = np.sin(random.uniform(0, 2 * math.pi) + np.linspace(0, random.uniform(1, 6), len(points)))
    widths = (width * (1 + pressure * swing)).tolist()
    places = points.tolist()
    if pressure:
        for (x, y), (to_x, to_y), wide in zip(places[:-1], places[1:], widths, strict=False):
            draw.line((x, y, to_x, to_y), 255, max(1, round(wide)))
    else:
        draw.line([number for place in places for number in place], 255, max(1, round(width)))
    for (x, y), wide in zip(places, widths, strict=True):
        draw.ellipse((x - wide / 2, y - wide / 2, x + wide / 2, y + wide / 2), 255)


@functools.lru_cache(maxsize=256)
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(mpl.get_data_path(), "fonts", "ttf", f"{face}.ttf"), size)


def _word(random: np.random.Generator) -> str:
    """A number, or letters with a capital now and then; what they spell does not matter."""
    length = int(random.integers(1, 9))
    if chance(SHARE_OF_DIGITS, random):
        return "".join(random.choice(list(string.digits + ".,-/"), length))
    letters = "".join(random.choice(list(string.ascii_lowercase), length))
    return letters.capitalize() if chance(0.3, random) else letters


def _finish(canvas: Image.Image, enlarged: int, random: np.random.Generator) -> Pixels:
    """The canvas at its own size, turned a little now and then."""
    if chance(SHARE_TURNED, random):
        canvas = canvas.rotate(random.uniform(-MOST_DEGREES, MOST_DEGREES), Image.Resampling.BILINEAR)
    return np.asarray(canvas.reduce(enlarged), np.float32) / np.float32(255)
