"""Cleans noisy pictures of handwritten digits with autoencoders: as a web service, a command, and from Python."""

import os

# Since 1.31 onnxruntime reports its use to its makers unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# Pictures are worked on side by side, as many as there are CPUs: numpy needs no threads of its own for each.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

__version__ = "0.2.0"
