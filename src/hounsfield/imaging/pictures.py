"""Pictures that people upload: PNG, JPEG and PAM files, decoded to be the pixels of an instance. PS3.3 C.7.6.3."""

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.imaging import bitstream
from hounsfield.imaging.description import MONOCHROME2, RGB, YBR_FULL_422
from hounsfield.imaging.limits import DEFAULT_LIMITS, Limits

PNG, JPEG, PAM = "image/png", "image/jpeg", "image/x-portable-arbitrarymap"
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_SAMPLES = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
_LONGEST_PAM_HEADER = 4096
_PAM_FIELD = re.compile(r"^(WIDTH|HEIGHT|DEPTH|MAXVAL) +([0-9]{1,9})$", re.MULTILINE)
_LARGEST_SIDE = 0xFFFF
_SOF0 = 0xC0


@dataclass(frozen=True, slots=True)
class Picture:
    """The value of pixel data, native and little endian unless `is_encapsulated`, and what describes it."""

    rows: int
    columns: int
    samples: int
    bits: int
    photometric: str
    value: bytes
    is_encapsulated: bool = False


def read_picture(mime_type: str, data: bytes, limits: Limits = DEFAULT_LIMITS) -> Picture:
    """Decode a picture; transparency is dropped.

    Raises
    ------
    Corrupt
        If it is damaged, or too large.
    Unsupported
        If it is of another type, or has other samples than grey or red, green and blue.
    """
    reader = {PNG: _read_png, JPEG: _read_jpeg, PAM: _read_pam}.get(mime_type)
    if reader is None:
        raise errors.Unsupported(f"No picture is of the type {mime_type[:64]}")
    return _picture(reader(data, limits))


def embed_jpeg(data: bytes) -> Picture:
    """A JPEG file as it is, for JPEG Baseline (1.2.840.10008.1.2.4.50).

    Raises
    ------
    Corrupt
        If it is damaged.
    Unsupported
        If it is of another process than baseline.
    """
    header = bitstream.read_jpeg(data)
    if header.precision != 8 or header.samples not in (1, 3) or bitstream.jpeg_process(data) != _SOF0:
        raise errors.Unsupported("Only baseline JPEG with one or three samples of 8 bits is kept as it is")
    photometric = MONOCHROME2 if header.samples == 1 else YBR_FULL_422
    value = data + b"\0" * (len(data) % 2)
    return Picture(header.rows, header.columns, header.samples, 8, photometric, value, is_encapsulated=True)


def _picture(array: NDArray[Any]) -> Picture:
    """Shape (rows, columns[, samples]), 8 or 16 bits."""
    if array.ndim == 2:
        array = array[:, :, np.newaxis]
    if array.shape[2] in (2, 4):
        array = array[:, :, :-1]
    if array.ndim != 3 or array.shape[2] not in (1, 3) or array.dtype.kind not in "ub":
        raise errors.Unsupported("A picture must be grey, or red, green and blue")
    if array.dtype.itemsize not in (1, 2):
        raise errors.Unsupported("A picture must have 8 or 16 bits a sample")
    rows, columns, samples = array.shape
    bits = array.dtype.itemsize * 8
    if array.dtype.kind == "b":
        array = array.astype(np.uint8) * 255
    value = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).tobytes()
    photometric = MONOCHROME2 if samples == 1 else RGB
    return Picture(rows, columns, samples, bits, photometric, value + b"\0" * (len(value) % 2))


def _check(rows: int, columns: int, sample_bytes: int, limits: Limits) -> None:
    """Refuse what would take too much memory before it is decoded."""
    if not 0 < rows <= _LARGEST_SIDE or not 0 < columns <= _LARGEST_SIDE:
        raise errors.Corrupt(f"A picture of {rows} by {columns} pixels")
    if rows * columns > limits.image_pixels or rows * columns * sample_bytes > limits.frame_bytes:
        raise errors.Corrupt(f"A picture of {rows} by {columns} pixels is too large")


def _read_png(data: bytes, limits: Limits) -> NDArray[Any]:
    import imagecodecs

    if data[:8] != _PNG_SIGNATURE or data[12:16] != b"IHDR" or len(data) < 33:
        raise errors.Corrupt("Not a PNG file")
    columns, rows = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    depth, kind = data[24], data[25]
    _check(rows, columns, _PNG_SAMPLES.get(kind, 4) * max(1, depth // 8), limits)
    try:
        return np.asarray(imagecodecs.png_decode(data))
    except (RuntimeError, ValueError, TypeError, MemoryError) as cause:
        raise errors.Corrupt("A PNG file cannot be decoded") from cause


def _read_jpeg(data: bytes, limits: Limits) -> NDArray[Any]:
    import imagecodecs

    header = bitstream.read_jpeg(data)
    _check(header.rows, header.columns, max(1, header.samples) * 2, limits)
    if header.samples not in (1, 3) or header.precision != 8:
        raise errors.Unsupported("A JPEG picture must have one or three samples of 8 bits")
    if b"\xff\xd9" not in data:  # libjpeg would fill up what is missing with grey.
        raise errors.Corrupt("A JPEG file is cut off")
    try:
        return np.asarray(imagecodecs.jpeg8_decode(data))
    except (RuntimeError, ValueError, TypeError, MemoryError) as cause:
        raise errors.Corrupt("A JPEG file cannot be decoded") from cause


def _read_pam(data: bytes, limits: Limits) -> NDArray[Any]:
    end = data[:_LONGEST_PAM_HEADER].find(b"ENDHDR\n")
    if data[:3] != b"P7\n" or end < 0:
        raise errors.Corrupt("Not a PAM file")
    header = data[:end].decode("ascii", "replace")
    found = {
        name: int(value)
        for name, value in re.findall(r"^(WIDTH|HEIGHT|DEPTH|MAXVAL) +(\d{1,9})$", header, re.MULTILINE)
    }
    columns, rows, samples = (found.get(name, 0) for name in ("WIDTH", "HEIGHT", "DEPTH"))
    sample_bytes = {255: 1, 65535: 2}.get(found.get("MAXVAL", 0), 0)
    if samples not in (1, 2, 3, 4) or not sample_bytes:
        raise errors.Unsupported("A PAM file must have one to four samples of 8 or 16 bits")
    _check(rows, columns, samples * sample_bytes, limits)
    pixels = data[end + 7 :]
    size = rows * columns * samples * sample_bytes
    if len(pixels) < size:
        raise errors.Corrupt("A PAM file is cut off")
    dtype = np.dtype(np.uint8) if sample_bytes == 1 else np.dtype(">u2")
    return np.frombuffer(pixels[:size], dtype).reshape(rows, columns, samples)
