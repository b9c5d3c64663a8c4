"""What libpng makes of a large image, in two threads. ISO/IEC 15948 9 and 10.

A row takes the filter whose bytes, as signed numbers, have the least sum of absolute values, of several the first.
The rows are compressed by level 6 of zlib, with its strategy for filtered data. Here a thread filters while another
compresses, so that only compressing takes time. Every step goes over a block of rows at once, as 8-bit numbers, of
which NumPy takes 16 or 32 in one instruction.
"""

import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]

_LEVEL, _MEMORY_LEVEL, _WINDOW_BITS = 6, 8, 15
_BLOCK = 128 << 10
"""Bytes of rows that are filtered at once: all that is made of them should stay in the cache."""
_LANES = 64
_SUMS = 255  # of two magnitudes of up to 128 each, that 16 bits can hold


def deflate_filtered(raw: Bytes, pixel: int) -> bytes:
    """Filter and compress rows of samples.

    Parameters
    ----------
    raw
        Shape (rows, bytes of a row). Below 16 KiB, and for a single row or column, libpng does otherwise.
    pixel
        Bytes of a pixel.
    """
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL, zlib.Z_FILTERED)
    return b"".join(
        [*(compressor.compress(block.data) for block in _filtered(raw, pixel)), compressor.flush()]
    )


def _filtered(raw: Bytes, pixel: int) -> Iterator[Bytes]:
    """Blocks of rows with their filters, each made by another thread while the one before is used."""
    rows, step = len(raw), max(_BLOCK // raw.shape[1], 1)
    with ThreadPoolExecutor(1, thread_name_prefix="PNG") as pool:
        pending = pool.submit(filter_rows, raw, 0, min(step, rows), pixel)
        for first in range(step, rows, step):
            ready = pending.result()
            pending = pool.submit(filter_rows, raw, first, min(first + step, rows), pixel)
            yield ready
        yield pending.result()


def filter_rows(raw: Bytes, first: int, last: int, pixel: int) -> Bytes:
    """Rows `first` to `last`, which is not among them, each as the number of its filter and its filtered bytes."""
    rows, width = last - first, raw.shape[1]
    stride = -(-(pixel + width) // (2 * _LANES)) * 2 * _LANES
    # Nothing is left of a row or above the first one. One row more, so that neighbours are a shift away.
    padded = np.zeros((rows + 2, stride), np.uint8)
    above = max(first - 1, 0)
    padded[2 - (first - above) :, pixel : pixel + width] = raw[above:last]
    candidates = _candidates(padded, pixel)
    candidates[:, :, :pixel] = 0
    candidates[:, :, pixel + width :] = 0
    chosen = np.stack([_row_sums(each) for each in candidates]).argmin(axis=0)
    out = np.empty((rows, width + 1), np.uint8)
    out[:, 0] = chosen
    out[:, 1:] = candidates[chosen, np.arange(rows), pixel : pixel + width]
    return out


def _candidates(padded: Bytes, pixel: int) -> Bytes:
    """All rows but the first two by all filters, shape (5, rows, bytes): None, Sub, Up, Average, Paeth. 9.2."""
    rows, stride = padded.shape[0] - 2, padded.shape[1]
    flat, begin = padded.reshape(-1), 2 * stride
    x, a, b, c = (flat[begin - back : flat.size - back] for back in (0, pixel, stride, stride + pixel))
    made = np.empty((5, rows * stride), np.uint8)
    made[0] = x
    np.subtract(x, a, out=made[1])
    np.subtract(x, b, out=made[2])
    np.subtract(x, (a & b) + ((a ^ b) >> 1), out=made[3])
    np.subtract(x, _paeth(a, b, c), out=made[4])
    return made.reshape(5, rows, stride)


def _paeth(a: Bytes, b: Bytes, c: Bytes) -> Bytes:
    """Of the left, the upper and the upper left byte the one nearest to a + b - c, the first of several. 9.4.

    The distances are |b - c| for the left, |a - c| for the upper one, and for the upper left one the sum of both if
    a and b are on the same side of c, which is never the least, or else their difference.
    """
    higher_b, higher_a = np.maximum(b, c), np.maximum(a, c)
    to_left, to_upper = higher_b - np.minimum(b, c), higher_a - np.minimum(a, c)
    nearer = np.minimum(to_left, to_upper)
    takes_corner = np.maximum(to_left, to_upper) - nearer < nearer
    takes_corner &= (higher_b == b) != (higher_a == a)
    predicted = b ^ ((a ^ b) & _mask(to_left <= to_upper))
    predicted ^= (predicted ^ c) & _mask(takes_corner)
    return predicted


def _mask(chosen: NDArray[np.bool_]) -> Bytes:
    """All bits where true. Selecting by them is several times as fast as `numpy.where`."""
    return np.negative(chosen.view(np.uint8))


def _row_sums(filtered: Bytes) -> NDArray[np.uint32]:
    """The sums of the magnitudes in each row, in 16 bits as far as they last: ten times as fast as in 32."""
    pairs = np.abs(filtered.view(np.int8)).view(np.uint16)
    seconds = pairs >> 8
    pairs &= 0xFF
    pairs += seconds
    lanes = pairs.reshape(len(filtered), -1, _LANES)
    sums = np.zeros(len(filtered), np.uint32)
    for start in range(0, lanes.shape[1], _SUMS):
        some = lanes[:, start : start + _SUMS].sum(axis=1, dtype=np.uint16)
        sums += some.sum(axis=1, dtype=np.uint32)
    return sums
