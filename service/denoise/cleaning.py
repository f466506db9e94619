"""The straight line of one picture: prepare, run, finish. Web, bulk, the command line and Python all go along it.

Arrays and tensors do not: they go to a model as they are.

*prepare*: the file's bytes are decoded, noise is laid over where it is wanted, the polarity and the scale are found.
*run*: the model cleans what it is shown, whole or in tiles. The web gathers small pictures for this step into batches.
*finish*: the answer goes back to its place, size and polarity in the picture.
"""

from typing import NamedTuple

import numpy as np

from denoise.inference import tiling
from denoise.inference.denoiser import Denoiser
from denoise.inference.tiling import TiledRun
from denoise.pictures import Colours, Pixels, capacity, colour, digits, framing, images, noise, strip, uncertainty
from denoise.pictures.digits import Found
from denoise.pictures.framing import Frame
from denoise.pictures.images import Dpi, Kind, Picture
from denoise.pictures.parameters import Parameters
from denoise.pictures.uncertainty import Doubts

# In tiles with margins a model sees some pixels twice; no picture is seen more than so many times.
MOST_SEEN = 2


class Prepared(NamedTuple):
    """A picture as a model takes it, and what is needed to put the answer back.

    Attributes:
        picture: what the file shows.
        noisy: its grey with the noise that was asked for.
        seen: light ink on black, of the size that the model takes.
        frame: where `seen` lies in the picture.
    """

    picture: Picture
    noisy: Pixels
    seen: Pixels
    frame: Frame


class Cleaned(NamedTuple):
    """A picture that is clean.

    Attributes:
        prepared: what went to the model.
        answer: what the model made of it, light ink on black, of the size of `prepared.seen`; with fine print as grey
            as it was seen.
        code: the model's hidden code, where it has one.
        restored: the answer in the size and polarity of the picture that was sent.
        shown: what was asked for: `restored`, the answer in the model's size, in colours, or a strip.
        dpi: its pixels per inch, where they are those of the picture that was sent.
    """

    prepared: Prepared
    answer: Pixels
    code: Pixels | None
    restored: Pixels
    shown: Pixels | Colours
    dpi: Dpi | None

    @property
    def inverted(self) -> bool:
        """Whether the ink was taken to be dark on light paper."""
        return self.prepared.frame.inverted

    def judge(self) -> Doubts:
        """How far the answer is to be trusted."""
        return uncertainty.judge(self.prepared.seen, self.answer, self.prepared.frame)

    @property
    def psnr(self) -> tuple[float, float] | None:
        """Peak signal-to-noise ratios in dB, to what was sent: of the noisy picture, and of the answer.

        None where no noise was laid over it.
        """
        sent, noisy = self.prepared.picture.grey, self.prepared.noisy
        return None if noisy is sent else (noise.psnr(sent, noisy), noise.psnr(sent, self.restored))

    def encode(self, kind: Kind) -> bytes:
        """`shown` as a file. Raises NotAcceptable when that kind cannot hold it."""
        return images.encode(self.shown, kind, self.dpi)


def prepare(
    picture: bytes | Pixels | Picture,
    size: tuple[int, int] | None,
    parameters: Parameters,
    max_pixels: int,
    sent_bytes: int | None = None,
) -> Prepared:
    """Decodes a file, or takes a picture or its pixels `[height, width]`, and makes of it what a model of `size` takes.

    `sent_bytes` is how many bytes came for the file, where it came packed.

    Raises:
        UnsupportedKind, TooLarge, BrokenBody: as `images.read`; the first also where a file shows more ink than so few
            bytes can hold.
        BadParameter: the picture is too thin for a model of any size.
    """
    if isinstance(picture, bytes):
        shown = images.read(picture, max_pixels, sent_bytes, in_colour=parameters.color == "keep")
    else:
        shown = picture if isinstance(picture, Picture) else Picture(picture)
    noisy = noise.gaussian(shown.grey, parameters.noise, parameters.seed) if parameters.noise else shown.grey
    prepared = Prepared(shown, noisy, *framing.fit(noisy, size, framing.INVERTED[parameters.invert]))
    if size is None and isinstance(picture, bytes):
        _check_inked(prepared, sent_bytes or len(picture))
    return prepared


def _check_inked(prepared: Prepared, size: int) -> None:
    """Refuses a file of `size` bytes that shows more ink than it can hold. Raises UnsupportedKind."""
    height, width = prepared.picture.grey.shape
    if MOST_SEEN * prepared.seen.size > capacity.most_pixels(size):
        capacity.check_inked(size, width, height, tiling.count_pixels(prepared.seen))


def start(model: Denoiser, prepared: Prepared) -> TiledRun:
    """The run of a model over a picture, for callers who let others have a turn between its pieces."""
    return TiledRun(model, prepared.seen, skip_blank=model.size is None)


def run(model: Denoiser, prepared: Prepared) -> tuple[Pixels, Pixels | None]:
    """What a model makes of a picture, `[height, width]`, and its hidden code where it has one."""
    return tiling.run(model, prepared.seen, skip_blank=model.size is None)


def finish(prepared: Prepared, answer: Pixels, code: Pixels | None, parameters: Parameters) -> Cleaned:
    """Puts the model's answer back to its place, size and polarity, in the form that was asked for.

    `answer`, light ink on black, has the shape of `prepared.seen`; `code` is the model's hidden code, of any shape.
    """
    answer = framing.keep_print(prepared.seen, answer, prepared.frame)
    whole = framing.restore(answer, prepared.frame, prepared.noisy)
    restored = _mix(prepared.noisy, whole, parameters.strength)
    shown: Pixels | Colours = restored
    dpi = prepared.picture.dpi if parameters.size == "input" else None
    if parameters.layout == "strip":
        shown, dpi = strip.explain(prepared.noisy, prepared.seen, code, restored), None
    elif parameters.color == "keep":
        shown = _colour(prepared, answer, whole, parameters)
    elif parameters.size == "native":
        seen, native = (framing.restore(each, prepared.frame, native=True) for each in (prepared.seen, answer))
        shown = _mix(seen, native, parameters.strength)
    return Cleaned(prepared, answer, code, restored, shown, dpi)


def _mix(sent: Pixels, answer: Pixels, strength: float) -> Pixels:
    return answer if strength == 1 else sent + np.float32(strength) * (answer - sent)


def _colour(prepared: Prepared, answer: Pixels, whole: Pixels, parameters: Parameters) -> Colours:
    """The answer, or the `whole` picture made of it, in the picture's colours: shades of grey where that has none."""
    picture, frame = prepared.picture, prepared.frame
    colours = colour.of_grey(picture.grey) if picture.colours is None else picture.colours
    if parameters.size == "native":
        colours = colour.take(colours, (answer.shape[0], answer.shape[1]), frame.rows, frame.columns)
        whole = framing.restore(answer, frame, native=True)
        colours = colours[: whole.shape[0], : whole.shape[1]]
    return colour.keep(colours, whole, frame.inverted, parameters.strength)


def clean(picture: bytes | Pixels | Picture, model: Denoiser, parameters: Parameters, max_pixels: int) -> Cleaned:
    """The whole line for one picture by itself. Raises as `prepare` does."""
    prepared = prepare(picture, model.size, parameters, max_pixels)
    return finish(prepared, *run(model, prepared), parameters)


def find_digits(prepared: Prepared, answer: Pixels) -> Found:
    """The digits of a page, from the answer of a model of any size; boxes in pixels of the picture. Raises TooLarge."""
    return digits.find_in(answer, prepared.frame)
