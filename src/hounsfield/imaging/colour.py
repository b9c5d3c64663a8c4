"""Colour to RGB: luminance and chrominance, and palettes. PS3.3 C.7.6.3.1.2 and C.7.9."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.tables import LookupTable, Palette

# Rows of the inverse of the matrix of YBR_FULL, in units of 1 / 65536: red, green, blue out of Cb and Cr.
_RED_CR = 91881
_GREEN_CB, _GREEN_CR = -22554, -46802
_BLUE_CB = 116130
_BAND_ROWS = 64


def ybr_full_to_rgb(array: NDArray[Any]) -> NDArray[Any]:
    """Convert YBR_FULL, shape (rows, columns, 3), any unsigned type; the same type comes back.

    Fractions are cut off, as DCMTK and Orthanc do: PS3.3 C.7.6.3.1.2 has real numbers and does not say. A band of
    rows at a time, so that what is in between stays in the processor's cache.
    """
    bits = array.dtype.itemsize * 8
    highest, middle = (1 << bits) - 1, 1 << (bits - 1)
    out = np.empty_like(array, order="C")
    wide: type[np.signedinteger[Any]] = np.int32 if bits == 8 else np.int64
    for top in range(0, array.shape[0], _BAND_ROWS):
        band = array[top : top + _BAND_ROWS]
        luminance = band[..., 0].astype(wide) << 16
        blue, red = band[..., 1].astype(wide) - middle, band[..., 2].astype(wide) - middle
        for sample, value in enumerate(
            (
                luminance + red * _RED_CR,
                luminance + blue * _GREEN_CB + red * _GREEN_CR,
                luminance + blue * _BLUE_CB,
            )
        ):
            out[top : top + _BAND_ROWS, :, sample] = np.clip(value >> 16, 0, highest)
    return out


def ybr_partial_to_rgb(array: NDArray[Any]) -> NDArray[Any]:
    """Convert 8-bit YBR_PARTIAL, whose luminance goes from 16 to 235 and chrominance from 16 to 240 (CCIR 601-2)."""
    wide = array.astype(np.float32)
    wide[..., 0] = (wide[..., 0] - 16) * (255 / 219)
    wide[..., 1:] = (wide[..., 1:] - 128) * (255 / 224) + 128
    return ybr_full_to_rgb(np.clip(np.rint(wide), 0, 255).astype(np.uint8))


def expand_422(raw: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Give every pixel of native YBR_FULL_422 or YBR_PARTIAL_422 its own chrominance: Y Y B R becomes YBR YBR."""
    quads = raw.reshape(rows, columns // 2, 4)
    out = np.empty((rows, columns, 3), raw.dtype)
    out[:, 0::2, 0], out[:, 1::2, 0] = quads[..., 0], quads[..., 1]
    for sample in (1, 2):
        out[:, 0::2, sample] = out[:, 1::2, sample] = quads[..., sample + 1]
    return out


def apply_palette(indices: NDArray[Any], palette: Palette) -> NDArray[np.uint8]:
    """Look up PALETTE COLOR pixels, shape (rows, columns) or (rows, columns, 1), as 8-bit RGB."""
    if indices.ndim == 3:
        indices = indices[..., 0]
    if indices.dtype.kind == "f":
        raise errors.Unsupported("PALETTE COLOR with floating point pixels")
    # One table of RGB entries for all three, over the values that occur.
    low, high = int(indices.min()), int(indices.max())
    if high - low > 0xFFFF:
        raise errors.Corrupt("PALETTE COLOR pixels beyond 16 bits")
    values = np.arange(low, high + 1)
    table = np.stack(
        [_as_uint8(channel, values) for channel in (palette.red, palette.green, palette.blue)], axis=1
    )
    return np.asarray(np.take(table, np.subtract(indices, low, dtype=np.int32), axis=0))


def _as_uint8(table: LookupTable, values: NDArray[Any]) -> NDArray[np.uint8]:
    entries = table.values[np.clip(values - table.first, 0, len(table.values) - 1)]
    return np.asarray(entries >> 8 if table.bits > 8 else entries, np.uint8)
