"""Frames as NumPy files: the format `.npy`, version 1.0, and `.npz` for a compressed one."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.imaging.decode import Pixels
from hounsfield.imaging.lut import Rescale, modality_values
from hounsfield.imaging.tables import LookupTable


def frame_values(pixels: Pixels, modality: Rescale | LookupTable, *, is_rescaled: bool) -> NDArray[Any]:
    """The values of a frame, shape (rows, columns, samples).

    Grey values are those of the modality as float32 (HU for CT) if `is_rescaled`, else as they are stored. Colour
    is never rescaled; a single bit is 0 or 255.
    """
    array = pixels.array
    if array.shape[-1] != 1:
        return array
    if pixels.description.bits_allocated == 1:
        array = array * np.uint8(255)
    return modality_values(array, modality).astype(np.float32) if is_rescaled else array


def encode_npy(frames: Sequence[NDArray[Any]], *, is_single: bool, is_compressed: bool) -> bytes:
    """A file of one frame, or of several one after the other along a new first axis."""
    array = frames[0] if is_single else np.stack(frames)
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"), copy=False))
    target = BytesIO()
    if is_compressed:
        np.savez_compressed(target, array)
    else:
        np.lib.format.write_array(target, array, version=(1, 0), allow_pickle=False)
    return target.getvalue()
