"""JPEG files for browsers: baseline, 8 bits, grey or RGB."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors

QUALITY_DEFAULT = 90
_SIDE_MAX = 65500  # libjpeg's own limit, a little under the format's 65535


def encode_jpeg(image: NDArray[Any], quality: int = QUALITY_DEFAULT) -> bytes:
    """Write an 8-bit image, shape (rows, columns) or (rows, columns, samples), as JPEG.

    Raises
    ------
    BadRequest
        If `quality` is not in 1..100.
    Unsupported
        If the image is not 8-bit grey or RGB, or a side is longer than JPEG allows.
    """
    if not 1 <= quality <= 100:
        raise errors.BadRequest(f"JPEG quality {quality} is not in 1..100")
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.dtype != np.uint8 or (image.ndim == 3 and image.shape[2] != 3):
        raise errors.Unsupported(f"JPEG cannot hold samples of type {image.dtype}, shape {image.shape}")
    if not 0 < image.shape[0] <= _SIDE_MAX or not 0 < image.shape[1] <= _SIDE_MAX:
        raise errors.Unsupported(f"JPEG cannot hold {image.shape[1]} columns by {image.shape[0]} rows")
    import imagecodecs  # loads slowly, and most requests ask for PNG

    return bytes(imagecodecs.jpeg8_encode(np.ascontiguousarray(image), quality))
