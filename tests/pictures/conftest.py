"""What tests of image files share: a ramp of all greys, and files of it."""

import io

import numpy as np
from PIL import Image

LIMIT = 1_000_000  # The most pixels that these tests let a file have.
RAMP = np.linspace(0, 255, 20 * 30).reshape(20, 30).astype(np.uint8)


def file(image: Image.Image, kind: str, **options: object) -> bytes:
    """The image as a file of this kind; `options` are Pillow's."""
    content = io.BytesIO()
    image.save(content, kind, **options)
    return content.getvalue()
