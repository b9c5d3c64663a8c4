"""Pixel data that Elscint and Philips CT scanners put into private elements, compressed their own way (PMSCT_RLE1).

First runs: `A5 n v` is n + 1 times v. In what comes out, `5A l h` is a pixel of 16 bits, and any other byte the signed
difference to the pixel before.
"""

import re

import numpy as np

from hounsfield import errors
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import Tag
from hounsfield.imaging.codecs import Decoded
from hounsfield.imaging.description import PixelDescription

COMPRESSION = "PMSCT_RLE1"
_CREATOR = "ELSCINT1"
_GROUP = 0x07A10000
_COMPRESSION_TYPE = 0x11
_COMPRESSED_PIXELS = 0x0A
_RUN = re.compile(rb"\xa5(.)(.)", re.DOTALL)
_PIXEL = re.compile(rb"\x5a(..)", re.DOTALL)


def find_private_pixels(dataset: Dataset) -> bytes | None:
    """Give the compressed pixels of a data set that has them in a private element; None otherwise."""
    for block in range(0x10, 0x100):
        creator = _GROUP | block
        if creator in dataset and (dataset.text(creator) or "").strip() == _CREATOR:
            kind = dataset.raw(_GROUP | block << 8 | _COMPRESSION_TYPE)
            if kind.rstrip(b" \0") == COMPRESSION.encode():
                return dataset.raw(_GROUP | block << 8 | _COMPRESSED_PIXELS)
    return None


def private_tags(dataset: Dataset) -> list[Tag]:
    """The elements that hold private pixels; none in most data sets."""
    return [
        _GROUP | block << 8 | element
        for block in range(0x10, 0x100)
        if _GROUP | block in dataset and (dataset.text(_GROUP | block) or "").strip() == _CREATOR
        for element in (_COMPRESSED_PIXELS, _COMPRESSION_TYPE)
    ]


def decode_private(data: bytes, description: PixelDescription, /) -> Decoded:
    """Decode PMSCT_RLE1; `Corrupt` if it does not give all pixels."""
    if description.samples != 1 or description.bits_allocated != 16:
        raise errors.Unsupported(f"{COMPRESSION} with other pixels than grey ones of 16 bits")
    pixels = description.pixels
    # A pixel takes three bytes at most, so longer runs are another's mistake or a trap.
    if sum(run[0] + 1 for run, _ in _RUN.findall(data)) > 3 * pixels + 256:
        raise errors.Corrupt(f"{COMPRESSION} expands beyond its image")
    expanded = _RUN.sub(lambda run: run[2] * (run[1][0] + 1), data)
    if len(expanded) < pixels:
        raise errors.Corrupt(f"{COMPRESSION} gives {len(expanded)} pixels at most instead of {pixels}")
    values = np.zeros(pixels, np.uint16)
    filled, previous = 0, 0
    chunks = _PIXEL.split(expanded)
    for index, chunk in enumerate(chunks):
        if index % 2:
            steps = np.frombuffer(chunk, "<u2").astype(np.int64)
        else:
            steps = previous + np.cumsum(np.frombuffer(chunk, np.int8), dtype=np.int64)
        steps = steps[: pixels - filled]
        values[filled : filled + len(steps)] = steps & 0xFFFF
        filled += len(steps)
        previous = int(steps[-1]) & 0xFFFF if len(steps) else previous
        if filled == pixels:
            break
    if filled < pixels:
        raise errors.Corrupt(f"{COMPRESSION} gives {filled} pixels instead of {pixels}")
    shape = (description.rows, description.columns, 1)
    return Decoded(
        values.reshape(shape), description.photometric, description.bits_stored, is_as_allocated=True
    )
