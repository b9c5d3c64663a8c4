"""Portable arbitrary maps (PAM, `P7`): a text header and raw big-endian samples."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors

_TUPLE_TYPES = {1: "GRAYSCALE", 3: "RGB"}


def encode_pam(image: NDArray[Any]) -> bytes:
    """Write an 8-bit or 16-bit image; signed samples are written as their two's complement.

    Shape (rows, columns) or (rows, columns, samples) with 1 or 3 samples. `Unsupported` for anything else.
    """
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
    rows, columns, samples = image.shape
    if samples not in _TUPLE_TYPES or image.dtype.kind not in "ui" or image.dtype.itemsize not in (1, 2):
        raise errors.Unsupported(f"PAM cannot hold {samples} samples of type {image.dtype}")
    highest = 255 if image.dtype.itemsize == 1 else 65535
    header = (
        f"P7\nWIDTH {columns}\nHEIGHT {rows}\nDEPTH {samples}\nMAXVAL {highest}\n"
        f"TUPLTYPE {_TUPLE_TYPES[samples]}\nENDHDR\n"
    )
    return header.encode("ascii") + image.astype(image.dtype.newbyteorder(">"), copy=False).tobytes()
