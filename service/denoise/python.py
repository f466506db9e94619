"""What `import denoise` offers: pictures cleaned and pages read, by a model in this process or by a running service."""

from functools import lru_cache, partial
from os import PathLike
from typing import Any, Literal, NamedTuple, TypedDict, TypeVar, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from denoise import cleaning, machine, settings
from denoise.bulk.threads import map_in_threads
from denoise.cli.client import HttpClient
from denoise.inference import denoiser
from denoise.inference.denoiser import Denoiser
from denoise.pictures import images, objects
from denoise.pictures.digits import Found
from denoise.pictures.objects import Object, PilImage
from denoise.pictures.parameters import Parameters, merge

Invert = Literal["auto", "true", "false"] | bool
Color = Literal["grey", "keep"]
# The answer is of the kind of the picture.
Same = TypeVar("Same", bytes, NDArray[Any], PilImage)
Path = str | PathLike[str]


class Options(TypedDict, total=False):
    """How a picture is to be cleaned, as the arguments of `clean` that follow the model."""

    invert: Invert
    color: Color
    strength: float


class ModelAndOptions(Options, total=False):
    """The arguments of `clean` that follow the picture."""

    model: str | None


class Box(NamedTuple):
    """Where a digit is on its page, in the page's pixels: its upper left corner, and how large it is.

    `wide` says that it is so wide that it must be several digits that touch.
    """

    x: int
    y: int
    width: int
    height: int
    wide: bool


class Digits(NamedTuple):
    """The digits of a page in reading order, each with its box.

    Attributes:
        boxes: where they are.
        pictures: uint8 `[count, 28, 28]`, light ink on black, framed as MNIST frames its digits.
    """

    boxes: list[Box]
    pictures: NDArray[np.uint8]


class LoadedModel:
    """A model that has been loaded, to clean many pictures with. Threads may share it."""

    def __init__(self, model: Denoiser, max_pixels: int) -> None:
        self._model, self._max_pixels = model, max_pixels

    @property
    def name(self) -> str:
        """As `denoise models` lists it."""
        return self._model.name

    @overload
    def __call__(self, pictures: Same, **options: Unpack[Options]) -> Same: ...
    @overload
    def __call__(self, pictures: Path, **options: Unpack[Options]) -> PilImage: ...
    @overload
    def __call__(self, pictures: list[Any], **options: Unpack[Options]) -> list[Any]: ...
    def __call__(self, pictures: Any, *, invert: Invert = "auto", color: Color = "grey", strength: float = 1.0) -> Any:
        """One picture clean, as `clean` has it; or many, a list or an array `[count, height, width]`, in their order.

        Many are worked on side by side, one for each CPU. Raises as `clean` does.
        """
        clean_one = partial(self._clean, _parameters(invert=invert, color=color, strength=strength))
        several = objects.split(pictures)
        if several is None:
            return clean_one(pictures)
        answers = list(map_in_threads(clean_one, several, min(machine.cpus(), max(1, len(several)))))
        return np.stack(answers) if isinstance(pictures, np.ndarray) and answers else answers or pictures

    def digits(self, page: Object, *, invert: Invert = "auto") -> Digits:
        """The digits of a page, as the function `digits` has them; only by a model that takes any size."""
        given = objects.read(page, in_colour=False)
        prepared = cleaning.prepare(given, self._model.size, _parameters(invert=invert), self._max_pixels)
        answer, _ = cleaning.run(self._model, prepared)
        return _digits(cleaning.find_digits(prepared, answer))

    def _clean(self, parameters: Parameters, picture: Object) -> Any:
        given = objects.read(picture, in_colour=parameters.color == "keep")
        cleaned = cleaning.clean(given, self._model, parameters, self._max_pixels)
        return objects.write(cleaned.shown, picture)


class Client:
    """A running service that cleans pictures and reads pages. Threads may share it; connections are kept."""

    def __init__(self, url: str, key: str | None = None) -> None:
        """`url` as the service prints it, and a key where it wants one. Raises BadParameter."""
        self._http = HttpClient(url, key)

    @overload
    def clean(self, picture: Same, **options: Unpack[ModelAndOptions]) -> Same: ...
    @overload
    def clean(self, picture: Path, **options: Unpack[ModelAndOptions]) -> PilImage: ...
    def clean(
        self,
        picture: Any,
        *,
        model: str | None = None,
        invert: Invert = "auto",
        color: Color = "grey",
        strength: float = 1.0,
    ) -> Any:
        """A picture clean, as the function `clean` has it. Images and arrays travel with 8 bits a sample.

        Raises:
            RequestError: the service does not answer, or refuses the picture; the message says why.
        """
        parameters = _parameters(model=model, invert=invert, color=color, strength=strength)
        in_colour = color == "keep"
        answer = self._http.clean(objects.as_file(picture, in_colour=in_colour), "png", "denoise", parameters).content
        if isinstance(picture, bytes):
            return answer
        shown = images.read(answer, settings.MAX_PIXELS, in_colour=in_colour)
        return objects.write(shown.grey if shown.colours is None else shown.colours, picture)

    def digits(self, page: Object, *, model: str | None = None, invert: Invert = "auto") -> Digits:
        """The digits of a page, as the function `digits` has them. Raises RequestError as `clean` does."""
        content = objects.as_file(page, in_colour=False)
        return _digits(self._http.digits(content, _parameters(model=model, invert=invert)))


@overload
def clean(picture: Same, **options: Unpack[ModelAndOptions]) -> Same: ...
@overload
def clean(picture: Path, **options: Unpack[ModelAndOptions]) -> PilImage: ...
def clean(
    picture: Any,
    *,
    model: str | None = None,
    invert: Invert = "auto",
    color: Color = "grey",
    strength: float = 1.0,
) -> Any:
    """A picture without its noise, of the kind that came.

    Args:
        picture: the bytes of a file, which become those of a PNG; an image of Pillow; an array of NumPy, `[height,
            width]` alone or with a last dimension of 1, 2, 3 or 4, uint8, uint16 or floats 0 … 1, whose answer has its
            shape and type; or the path of a file, whose answer is an image of Pillow.
        model: one that `denoise models` lists; None for the best.
        invert: whether the ink is dark on light paper; "auto" to find out.
        color: "keep" for ink in its colour on white paper.
        strength: 0 … 1, how much of the answer there is; the rest is the picture.

    Raises:
        RequestError: the picture cannot be read, or an argument is outside of its choices; the message says why.
        SetupError: the models cannot be loaded.
        OSError: the file cannot be read.
    """
    return load(model)(picture, invert=invert, color=color, strength=strength)


def digits(page: Object, *, model: str | None = None, invert: Invert = "auto") -> Digits:
    """The digits that are written on a page: where they are, and a picture of each as MNIST has them.

    Args:
        page: as the picture of `clean`.
        model: one that takes pictures of any size; None for the best.
        invert: whether the ink is dark on light paper; "auto" to find out.

    Raises as `clean` does, and TooLarge where a page shows more than 5,000 digits.
    """
    known = _all_models()
    usual = denoiser.default(known, "denoise", settings.read().default_model)
    return load(denoiser.for_pages(known, model, usual).name).digits(page, invert=invert)


def load(model: str | None = None) -> LoadedModel:
    """A model to clean many pictures with: one that `denoise models` lists, or the best.

    It is loaded once, with the settings that the environment has then. Raises UnknownModel, SetupError.
    """
    there = settings.read()
    name = model or denoiser.default(_all_models(), "denoise", there.default_model) or next(iter(_all_models()))
    return LoadedModel(_load(denoiser.named(_all_models(), name).name), there.max_pixels)


@lru_cache
def _all_models() -> dict[str, Denoiser]:
    """Every model there is. Raises SetupError."""
    there = settings.read()
    return denoiser.load(there.models, there.device, machine.cpus())


@lru_cache
def _load(name: str) -> Denoiser:
    """A model in the fastest way there is for it. Raises SetupError."""
    there = settings.read()
    path = there.models / f"{name}.onnx"
    (loaded,) = denoiser.load_files([path], there.device, machine.cpus(), there.precision)
    return loaded


def _parameters(**given: Any) -> Parameters:
    """Raises BadParameter when one is outside of its choices."""
    return merge(Parameters(), given)


def _digits(found: Found) -> Digits:
    return Digits([Box(*row) for row in found.rows()], found.pictures)
