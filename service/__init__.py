"""HTTP in, picture out: the denoising service."""

__version__ = "0.1.0"
