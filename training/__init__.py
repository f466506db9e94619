"""MNIST archives in, models/*.onnx out. Needs TensorFlow, runs offline; the service never imports it."""

import os

# Since 1.31 onnxruntime reports its use to its makers unless this is set before it is imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
