"""Overlays in the unused bits of native pixels. PS3.3 C.9.2 (as retired), PS3.5 8.1.2.

An encoder sees the bits stored alone, so these planes move to Overlay Data (60xx,3000), where the standard wants them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.encode import Value
from hounsfield.dicom.scan import Encoding
from hounsfield.dicom.tags import Tag
from hounsfield.imaging.codecs import Decoded
from hounsfield.imaging.description import PixelDescription

_FIRST_GROUP, _LAST_GROUP = 0x6000, 0x601E
_ROWS, _COLUMNS, _FRAMES_IN_OVERLAY, _FRAME_ORIGIN = 0x10, 0x11, 0x15, 0x51
_BITS_ALLOCATED, _BIT_POSITION, _DATA = 0x100, 0x102, 0x3000


@dataclass(frozen=True, slots=True)
class Plane:
    """An overlay: its group, and the bit of every pixel that it has."""

    group: int
    bit: int


def find_planes(dataset: Dataset, pixels: PixelDescription) -> list[Plane]:
    """The overlays that lie in bits of the pixels that are not stored values."""
    found = []
    for group in range(_FIRST_GROUP, _LAST_GROUP + 2, 2):
        tag = group << 16
        if tag | _BIT_POSITION not in dataset or tag | _DATA in dataset or pixels.samples != 1:
            continue
        bit = dataset.int(tag | _BIT_POSITION) or 0
        lowest = pixels.high_bit + 1 - pixels.bits_stored
        is_unused = bit > pixels.high_bit or bit < lowest
        size = dataset.int(tag | _ROWS), dataset.int(tag | _COLUMNS)
        if is_unused and bit < pixels.bits_allocated and size == (pixels.rows, pixels.columns):
            found.append(Plane(group, bit))
    return found


def plane_of(decoded: Decoded, bit: int) -> bytes:
    """One bit of every pixel, a byte each."""
    words = decoded.array[..., 0]
    if words.dtype.kind == "f" or bit >= 8 * words.dtype.itemsize:
        return bytes(words.size)
    return np.ascontiguousarray((words >> bit) & 1).astype(np.uint8).tobytes()


def plane_changes(
    planes: Sequence[Plane], frames: Sequence[tuple[bytes, ...]], encoding: Encoding
) -> dict[Tag, Value | None]:
    """The attributes that say of these planes what they said before, as Overlay Data."""
    changes: dict[Tag, Value | None] = {}
    for index, plane in enumerate(planes):
        tag = plane.group << 16
        packed = pack_bits([overlays[index] for overlays in frames])
        packed += b"\0" * (len(packed) % 2)
        if encoding.is_big_endian:
            packed = np.frombuffer(packed, "<u2").byteswap().tobytes()
        changes |= {tag | _BITS_ALLOCATED: "1", tag | _BIT_POSITION: "0", tag | _DATA: packed}
        if len(frames) > 1:
            changes |= {tag | _FRAMES_IN_OVERLAY: str(len(frames)), tag | _FRAME_ORIGIN: "1"}
    return changes


def pack_bits(frames: Sequence[bytes]) -> bytes:
    """Bits given a byte each, packed without gaps, the first in the least significant bit. PS3.5 8.1.1."""
    return np.packbits(np.frombuffer(b"".join(frames), np.uint8), bitorder="little").tobytes()
