"""WebP files for browsers: without loss, unless a quality is asked for."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors

_SIDE_MAX = 16383  # of the format


def encode_webp(image: NDArray[Any], quality: int | None = None) -> bytes:
    """Write an 8-bit image, shape (rows, columns) or (rows, columns, 3).

    Raises
    ------
    BadRequest
        If `quality` is not in 1..100.
    Unsupported
        If the image is not 8-bit grey or RGB, or a side is longer than WebP allows.
    """
    if quality is not None and not 1 <= quality <= 100:
        raise errors.BadRequest(f"WebP quality {quality} is not in 1..100")
    if image.ndim == 2:
        image = np.repeat(image[:, :, np.newaxis], 3, axis=2)  # WebP knows no grey
    if image.dtype != np.uint8 or image.shape[2] != 3:
        raise errors.Unsupported(f"WebP cannot hold samples of type {image.dtype}, shape {image.shape}")
    if max(image.shape[:2]) > _SIDE_MAX:
        raise errors.Unsupported(f"WebP cannot hold {image.shape[1]} columns by {image.shape[0]} rows")
    import imagecodecs  # loads slowly, and most requests ask for PNG

    if quality is None:
        return bytes(imagecodecs.webp_encode(np.ascontiguousarray(image), lossless=True, method=1))
    return bytes(imagecodecs.webp_encode(np.ascontiguousarray(image), level=quality))
