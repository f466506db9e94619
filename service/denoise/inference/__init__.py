"""Models that run: one ONNX file as a callable, batches, tiles, and how much may be inside at a time."""
