"""`denoise adopt`: a foreign ONNX denoiser is looked at, tried, and written as a file that the service serves."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from denoise.errors import SetupError
from denoise.inference.contract import Task
from denoise.inference.denoiser import Denoiser
from denoise.inference.ways import CPU


def adopt(path: Path, output: Path | None, task: Task, facts: Mapping[str, str], *, overwrite: bool) -> Iterator[str]:
    """Line by line what a model would be used for; with an `output` it is written there, and proved.

    Raises SetupError that says what keeps it from being adopted.
    """
    try:
        from denoise.inference import adoption  # noqa: PLC0415  # It needs an extra.
    except ImportError as error:
        raise SetupError(f"`denoise adopt` needs onnx: pip install 'denoise-service[adopt]' ({error}).") from None
    if output and output.suffix != ".onnx":
        raise SetupError(f"{output} does not end in .onnx, as the files that are served do.")
    if output and output.exists() and not overwrite:
        raise SetupError(f"{output} is there already; --overwrite puts another file in its place.")
    adopted = adoption.adopt(path, task, facts)
    yield from adoption.tell(adopted)
    if not output:
        yield f"It can be served at /{task}: -o FILE.onnx writes the file, for the folder of the other models."
        return
    difference = _write(output, adopted.content)
    yield f"{output} is written and proved within {difference:.1g}: in the folder of the models it is served at /{task}"
    yield f"as `{output.stem}`, for requests that name it. It has no scores, so it becomes no default by itself."


def _write(output: Path, content: bytes) -> float:
    """Writes the file when it has been proved, and gives the largest difference. Raises SetupError."""
    partial = output.with_suffix(".partial")
    try:
        partial.write_bytes(content)
        difference = Denoiser(partial, CPU, 1).difference
        partial.replace(output)
    except OSError as error:
        raise SetupError(f"{output} cannot be written: {error.strerror}.") from None
    finally:
        partial.unlink(missing_ok=True)
    return difference
