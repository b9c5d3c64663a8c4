"""PNG files of grey and RGB images, fast rather than small. ISO/IEC 15948.

Every row takes filter 1 (Sub), which NumPy computes in one pass, and the lowest level of ISA-L's deflate: ten times
faster than libpng's default on CT slices, and smaller than its level 1. The same image always gives the same bytes.
Previews in colours are as libpng makes them: smaller, slower, and Orthanc's to the byte.
"""

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from isal import isal_zlib
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging.png_filters import deflate_filtered

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_FILTER_SUB = 1
_COLOUR_TYPES = {1: 0, 3: 2}
_SIDE_MAX = 0x7FFFFFFF
# What libpng does unless told otherwise.
_LEVEL, _FILTERED, _ALL_FILTERS, _PIECE = 6, 1, 0xF8, 8192
_LARGE = 1 << 20
"""Bytes of an image from which a second thread is worth its start."""


def encode_png(image: NDArray[Any]) -> bytes:
    """Write an image as a PNG file.

    Parameters
    ----------
    image
        Shape (rows, columns) or (rows, columns, samples) with 1 or 3 samples; 8 bits, or 16 bits of which signed ones
        are written as their two's complement, as PNG knows no sign.

    Raises
    ------
    Unsupported
        If the image is empty or of another type.
    """
    if image.ndim == 2:
        image = image[:, :, np.newaxis]
    header = _header(image)
    return _file(header, [isal_zlib.compress(_filtered(image), 1)])


def encode_preview_png(image: NDArray[Any]) -> bytes:
    """The same; colours of 8 bits as libpng writes them by itself, and so Orthanc, to the byte where zlib is zlib."""
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        return encode_png(image)
    header, pixels = _header(image), np.ascontiguousarray(image)
    if pixels.size < _LARGE:
        import imagecodecs  # loads slowly, and most images are grey

        return bytes(imagecodecs.png_encode(pixels, level=_LEVEL, strategy=_FILTERED, filter=_ALL_FILTERS))
    data = deflate_filtered(pixels.reshape(len(pixels), -1), pixels.shape[2])
    return _file(header, [data[start : start + _PIECE] for start in range(0, len(data), _PIECE)])


def _header(image: NDArray[Any]) -> bytes:
    rows, columns, samples = image.shape
    if samples not in _COLOUR_TYPES or image.dtype.kind not in "ui" or image.dtype.itemsize not in (1, 2):
        raise errors.Unsupported(f"PNG cannot hold {samples} samples of type {image.dtype}")
    if not 0 < rows <= _SIDE_MAX or not 0 < columns <= _SIDE_MAX:
        raise errors.Unsupported(f"PNG cannot hold {columns} columns by {rows} rows")
    return struct.pack(">IIBBBBB", columns, rows, image.dtype.itemsize * 8, _COLOUR_TYPES[samples], 0, 0, 0)


def _file(header: bytes, data: Sequence[bytes]) -> bytes:
    chunks = [(b"IHDR", header), *((b"IDAT", piece) for piece in data), (b"IEND", b"")]
    return b"".join([_SIGNATURE, *(part for chunk in chunks for part in _chunk(*chunk))])


def _filtered(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Rows of a filter byte and the differences to the pixel on the left, modulo 256. Section 9.2."""
    rows, columns, samples = image.shape
    size = image.dtype.itemsize
    big_endian = np.ascontiguousarray(image, dtype=image.dtype.newbyteorder(">"))
    raw = big_endian.view(np.uint8).reshape(rows, columns * samples * size)
    pixel = samples * size
    out = np.empty((rows, raw.shape[1] + 1), np.uint8)
    out[:, 0] = _FILTER_SUB
    out[:, 1 : 1 + pixel] = raw[:, :pixel]
    np.subtract(raw[:, pixel:], raw[:, :-pixel], out=out[:, 1 + pixel :])
    return out


def _chunk(kind: bytes, body: bytes) -> tuple[bytes, bytes, bytes, bytes]:
    check = isal_zlib.crc32(body, isal_zlib.crc32(kind))
    return struct.pack(">I", len(body)), kind, body, struct.pack(">I", check)
