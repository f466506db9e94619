"""One ONNX model as a callable, pixels in and pixels out, and all models of a folder."""

import hashlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from denoise.errors import BadParameter, DeviceFailed, SetupError, UnknownModel
from denoise.inference import choice, contract, onnx_runner, proof, ways
from denoise.inference.choice import Choice
from denoise.inference.clock import warm_and_time
from denoise.inference.contract import Task
from denoise.inference.ways import CPU, CUDA, CUDA_TFLOAT32, OPENVINO, TOLERANCES, Way, Ways
from denoise.pictures import Pixels
from denoise.settings import AllowedPrecision, Device

log = logging.getLogger(__name__)


class Restored(NamedTuple):
    """A model's answer to a batch.

    Attributes:
        pixels: `[batch, height, width, 1]`, 0 … 1.
        code: `[batch, ...]`; None of a model without a hidden code.
    """

    pixels: Pixels
    code: Pixels | None


class Denoiser:
    """A model that has been loaded and has passed its probe. Threads may share it.

    Attributes:
        name: the file's stem.
        task: `reconstruct` or `denoise`.
        size: height and width of the pictures it takes; None when it takes any.
        inputs, outputs: its tensors, in the file's order.
        way: how it really runs; `provider` and `precision` are its parts.
        ruled_out: why it does not run in each of the other ways, by the way.
        difference: largest difference, per pixel, between its answer to the probe and Keras'.
        seconds_per_pixel: as timed at its start; None where there was nothing to choose.
        sha256: of the file.
        facts: title, training_data, noise, date, as the file tells them.
        scores: on the test digits, by name.
        parameters: how many numbers were trained.
    """

    def __init__(self, path: Path, way: Way, threads: int) -> None:
        """Loads the file to run in a way, and proves it; large pictures run with `threads` threads.

        Raises SetupError when the file does not hold its contract, or does not run in that way.
        """
        content = _read(path)
        description = onnx_runner.describe(path, content)
        promise = contract.read(path, description)
        self.name = path.stem
        self.sha256 = hashlib.sha256(content).hexdigest()
        self.inputs, self.outputs = description.inputs, description.outputs
        self.task, self.size = promise.task, promise.size
        self.facts, self.scores, self.parameters = promise.facts, promise.scores, promise.parameters
        self.way, (self.provider, self.precision) = way, way
        self.ruled_out: Mapping[Way, str] = {}
        self.seconds_per_pixel: float | None = None
        self._runner = ways.open_file(way, path, content, any_size=self.size is None, threads=threads)
        self.difference = self._check(path, promise.probe)

    def __call__(self, pixels: Pixels) -> Restored:
        """The answer to a batch `[batch, height, width, 1]`, light ink on black, 0 … 1, of the model's `size`.

        Raises DeviceFailed when the model runs on a GPU and that fails.
        """
        try:
            return self._run(pixels)
        except Exception as error:  # onnxruntime's exceptions have no base class of their own.
            if not self.way.on_gpu:
                raise
            log.exception("%s failed on the GPU", self.name)
            raise DeviceFailed(f"The GPU that runs {self.name} failed, or has no memory left for this.") from error

    def _run(self, pixels: Pixels) -> Restored:
        answers = self._runner.run(pixels)
        named = dict(zip((output.name for output in self.outputs), answers, strict=True))
        return Restored(named["restored"], named.get("code"))

    def give_back(self) -> None:
        """Returns to the system the memory that large pictures took and that is not in use now."""
        self._runner.give_back()

    def _check(self, path: Path, probe: contract.Probe) -> float:
        """The largest difference between the answer to the probe and Keras'. Raises SetupError when it is too large."""
        try:
            found = proof.compare(self._run(probe.pixels).pixels, probe.restored)
        except Exception as error:  # The runtimes' exceptions have no base class of their own.
            raise SetupError(f"{path} does not run on {self.provider}: {error}") from error
        tolerance = TOLERANCES[self.precision]
        if not found.fits(tolerance):
            raise SetupError(
                f"{path} fails its self-check on {self.provider}: its answer to the probe is off by {found}; "
                f"allowed is {tolerance}."
            )
        return found.largest


class _Loader:
    """Loads models, each in the best of the ways that are open; a GPU that fails once is not tried again."""

    def __init__(self, found: Ways, threads: int) -> None:
        self._ways, self._threads = found, threads

    def choose(self, path: Path) -> tuple[Denoiser, Choice]:
        """A file's model, once all ways have been tried. Raises SetupError."""
        return choice.choose(self._ways, lambda way: self._try(path, way))

    def load(self, path: Path, chosen: Choice) -> Denoiser:
        """A file's model in a way that was chosen before. Raises SetupError."""
        denoiser = Denoiser(path, chosen.way, self._threads)
        if len(self._ways.open) > 1:
            (denoiser.seconds_per_pixel,) = warm_and_time([denoiser], denoiser.size, on_gpu=chosen.way.on_gpu)
        return denoiser

    def _try(self, path: Path, way: Way) -> Denoiser:
        try:
            return Denoiser(path, way, self._threads)
        except SetupError as error:
            if way == CUDA and CPU in self._ways.open:
                log.warning("FALLING BACK TO THE CPU from %s on: %s", path.stem, error)
                self._ways = self._ways.without(CUDA, str(error)).without(CUDA_TFLOAT32, str(error))
            raise


def load(folder: Path, device: Device, threads: int, precision: AllowedPrecision = "float32") -> dict[str, Denoiser]:
    """Every model in `folder` by name, each in the fastest way that the settings allow and that proves itself.

    Raises:
        SetupError: there is no model, a file does not hold its contract, or `device` is `cuda` and there is none.
    """
    if not folder.is_dir():
        raise SetupError(f"There is no folder {folder.absolute()}; DENOISE_MODELS names the folder to serve.")
    paths = sorted(folder.glob("*.onnx"))
    if not paths:
        raise SetupError(f"There is no .onnx file in {folder.absolute()}; DENOISE_MODELS names the folder to serve.")
    return {
        path.stem: denoiser for path, denoiser in zip(paths, load_files(paths, device, threads, precision), strict=True)
    }


def load_files(paths: Sequence[Path], device: Device, threads: int, precision: AllowedPrecision) -> list[Denoiser]:
    """The models of some files, in their order. Raises SetupError as `load` does."""
    found = ways.find(device, precision)
    loader = _Loader(found, threads)
    keys = [hashlib.sha256(_read(path)).hexdigest() for path in paths]
    models: dict[Path, Denoiser] = {}
    with choice.share() as choices:
        for path, key in zip(paths, keys, strict=True):
            if key not in choices:
                models[path], choices[key] = loader.choose(path)
    for path, key in zip(paths, keys, strict=True):
        if path not in models:
            models[path] = loader.load(path, choices[key])
        models[path].ruled_out = {**found.closed, **choices[key].ruled_out}
        for way, why in models[path].ruled_out.items():
            log.debug("%s does not run on %s: %s", path.stem, way, why)
    return [models[path] for path in paths]


def load_elsewhere(path: Path, way: Way) -> Denoiser:
    """A file's model on one thread, in the way that another process chose; by the CPU provider where OpenVINO fails.

    The machines of a cluster need not be alike. Raises SetupError when the file does not run, or there is no GPU.
    """
    try:
        return Denoiser(path, way, 1)
    except SetupError:
        if way.provider != OPENVINO.provider:
            raise
        return Denoiser(path, CPU, 1)


def default(denoisers: Mapping[str, Denoiser], task: Task, named: str | None = None) -> str | None:
    """The name of the model that answers when a request names none: `named`, or else the one with the best PSNR.

    None when no model has that task. Raises SetupError when `named` is no model of that task.
    """
    names = [name for name, denoiser in denoisers.items() if denoiser.task == task]
    if named and named not in names:
        raise SetupError(f"DENOISE_DEFAULT_MODEL={named} is no model that can {task}; there are: {', '.join(names)}.")
    return named or max(names, key=lambda name: denoisers[name].scores.get("psnr", -np.inf), default=None)


def named(denoisers: Mapping[str, Denoiser], name: str) -> Denoiser:
    """The model of that name. Raises UnknownModel."""
    if name not in denoisers:
        raise UnknownModel(f"There is no model named '{name[:100]}'; there are: {', '.join(denoisers)}.")
    return denoisers[name]


def for_pages(denoisers: Mapping[str, Denoiser], wanted: str | None, usual: str | None) -> Denoiser:
    """The model that the digits of a page are found with: `wanted`, else `usual`, else the best.

    Raises:
        UnknownModel: there is none of that name, or none that takes any size.
        BadParameter: the one of that name takes pictures of one size, or does not denoise.
    """
    fitting = {name: model for name, model in denoisers.items() if model.task == "denoise" and model.size is None}
    if wanted is not None and named(denoisers, wanted).name not in fitting:
        raise BadParameter(
            f"The model '{wanted}' does not denoise pages of any size, on which digits are found; for that there are: "
            f"{', '.join(fitting) or 'none'}."
        )
    if wanted is not None:
        return fitting[wanted]
    name = usual if usual in fitting else default(fitting, "denoise")
    if name is None:
        raise UnknownModel("There is no model here that denoises pages of any size, on which digits could be found.")
    return fitting[name]


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path} cannot be read: {error.strerror}.") from None
