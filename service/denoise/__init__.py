"""Cleans noisy pictures of handwritten digits with autoencoders: as a web service, a command, and from Python."""

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from denoise.python import Box, Client, Digits, LoadedModel, clean, digits, load

# Since 1.31 onnxruntime reports its use to its makers unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Pictures are worked on side by side, as many as there are CPUs: numpy needs no threads of its own for each.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.2.0"
__all__ = ["Box", "Client", "Digits", "LoadedModel", "clean", "digits", "load"]


def __getattr__(name: str) -> Any:
    """What is offered is imported when it is first asked for: most who import the package want another part of it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from denoise import python  # noqa: PLC0415  # It brings the models' runtime.

    return getattr(python, name)
