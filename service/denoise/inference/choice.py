"""Which way runs a model here: each way must prove itself, and the fastest of those that do serves the model.

Workers of a service make the choice once: the first one that needs it writes it to a file, the others and those that
replace them read it there.
"""

import contextlib
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from denoise.errors import SetupError
from denoise.inference import proof
from denoise.inference.clock import DIGIT, warm_and_time
from denoise.inference.proof import Difference
from denoise.inference.ways import OPENVINO, TOLERANCES, Way, Ways
from denoise.pictures import Pixels

if sys.platform != "win32":
    import fcntl

# The environment variable that names the workers' file.
FILE = "DENOISER_WAYS_FILE"
# A way is taken for the last one, or for the exact one of its provider, only where it needs at most this share of its
# time.
WORTHWHILE_SHARE = 0.85


class Answer(Protocol):
    """What a candidate answers."""

    @property
    def pixels(self) -> Pixels:
        """`[batch, height, width, 1]`, 0 … 1."""


class Candidate(Protocol):
    """A model that was loaded to run in a certain way, and passed the probe in its file."""

    way: Way
    size: tuple[int, int] | None
    seconds_per_pixel: float | None

    def __call__(self, pixels: Pixels) -> Answer:
        """The answer to a batch `[batch, height, width, 1]`."""


Model = TypeVar("Model", bound=Candidate)


class Choice(NamedTuple):
    """The way that serves a model, and why each other one that was tried does not."""

    way: Way
    ruled_out: Mapping[Way, str]


def choose(ways: Ways, load: Callable[[Way], Model]) -> tuple[Model, Choice]:
    """A model on the best of the ways that are open.

    `load` gives the model on a way, or raises SetupError. Raises that of the last way, which runs every sound model.
    """
    *others, last = ways.open
    reference = load(last)
    models, ruled_out = [reference], {}
    for way in others:
        if way == OPENVINO and (rival := next((m.way for m in models if m.way.provider == way.provider), None)):
            ruled_out[way] = f"{rival} works, which is faster wherever the processor has it."
            continue
        try:
            model = load(way)
            _prove(model, reference)
        except SetupError as error:
            ruled_out[way] = str(error)
        else:
            models.append(model)
    if len(models) == 1:
        return reference, Choice(last, ruled_out)
    seconds = warm_and_time(models, reference.size, on_gpu=any(model.way.on_gpu for model in models))
    times = {model.way: each for model, each in zip(models, seconds, strict=True)}
    worthwhile = [model for model in models if _is_worthwhile(model.way, times)]
    best = min(worthwhile, key=lambda model: times[model.way] * (WORTHWHILE_SHARE if model is reference else 1))
    best.seconds_per_pixel = times[best.way]
    slower = {way: _compare_times(way, best.way, times) for way in times if way != best.way}
    return best, Choice(best.way, ruled_out | slower)


def _prove(model: Candidate, reference: Candidate) -> None:
    """Raises SetupError when a way of less precision answers digits, and a page, too differently."""
    tolerance = TOLERANCES[model.way.precision]
    if tolerance == TOLERANCES[reference.way.precision]:
        return  # The probe in the file was proof enough.
    try:
        found = [proof.compare(model(batch).pixels, reference(batch).pixels) for batch in proof.examples(model.size)]
    except Exception as error:  # The runtimes' exceptions have no base class of their own.
        raise SetupError(f"It does not run: {error}") from error
    worst = Difference(max(each.largest for each in found), max(each.mean for each in found))
    if not worst.fits(tolerance):
        raise SetupError(f"Its answers are off by {worst}; allowed is {tolerance}.")


def _is_worthwhile(way: Way, times: Mapping[Way, float]) -> bool:
    """Whether a way saves enough time for what it is less exact than float32 by the same provider."""
    exact = Way(way.provider, "float32")
    return way == exact or exact not in times or times[way] <= WORTHWHILE_SHARE * times[exact]


def _compare_times(way: Way, best: Way, times: Mapping[Way, float]) -> str:
    own, least = (round(1e6 * times[each] * DIGIT[0] * DIGIT[1]) for each in (way, best))
    return f"It takes {own:,} µs for a digit, {best} {least:,} µs."


@contextlib.contextmanager
def share() -> Iterator[dict[str, Choice]]:
    """The choices that workers have made so far, by the sha256 of the model's file; those that are added are kept.

    One worker at a time is in this context, so that none disturbs another's clock. Outside of a service it is empty.
    """
    if FILE not in os.environ or sys.platform == "win32":  # Windows has but one worker.
        yield {}
        return
    with Path(os.environ[FILE]).open("a+", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.seek(0)
        choices = _read(file.read())
        known = set(choices)
        yield choices
        if choices.keys() != known:
            file.truncate(0)
            file.write(_write(choices))


def _read(text: str) -> dict[str, Choice]:
    with contextlib.suppress(ValueError, TypeError, KeyError):  # A worker may have died while it wrote.
        return {
            key: Choice(Way(*entry["way"]), {Way(*way): why for way, why in entry["ruled_out"]})
            for key, entry in json.loads(text).items()
        }
    return {}


def _write(choices: Mapping[str, Choice]) -> str:
    return json.dumps(
        {key: {"way": choice.way, "ruled_out": list(choice.ruled_out.items())} for key, choice in choices.items()}
    )
