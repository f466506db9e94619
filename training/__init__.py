"""MNIST archives in, models/*.onnx out. Needs TensorFlow, runs offline; the service never imports it."""
