"""What a picture is expected to cost, in seconds, from what runs have cost so far."""

from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import Way

# A model takes so long per pixel that it sees, until a run of it has been timed, at its start or later.
FIRST_GUESS_S = 2e-6
# To decode, frame and encode a pixel takes so long.
HANDLING_S = 1e-7
# A picture takes so long besides, however small it is.
PICTURE_S = 3e-4
# The weight of the estimate so far against a new run.
INERTIA = 0.8


class Costs:
    """The seconds that each model takes per pixel, measured while they run."""

    def __init__(self) -> None:
        self._per_pixel: dict[tuple[str, Way], float] = {}

    def of_pixel(self, model: Denoiser) -> float:
        """Seconds that a model takes for a pixel."""
        return self._per_pixel.get(_key(model)) or model.seconds_per_pixel or FIRST_GUESS_S

    def of_picture(self, model: Denoiser, pixels: int, seen: int) -> float:
        """Seconds that a picture of so many pixels is expected to take, from its bytes to those of its answer.

        `seen` are the pixels that the model is shown.
        """
        return PICTURE_S + HANDLING_S * pixels + self.of_pixel(model) * seen

    def observe(self, model: Denoiser, pixels: int, seconds: float) -> None:
        """Learns from a run of so many pixels."""
        key = _key(model)
        before = self._per_pixel.get(key, model.seconds_per_pixel or seconds / pixels)
        self._per_pixel[key] = INERTIA * before + (1 - INERTIA) * seconds / pixels


def _key(model: Denoiser) -> tuple[str, Way]:
    """What is measured by itself: a model that is loaded anew may run in another way."""
    return model.sha256, model.way
