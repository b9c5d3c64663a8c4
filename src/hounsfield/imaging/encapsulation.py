"""Writing encapsulated pixel data: offset tables and fragments. PS3.5 A.4, PS3.3 C.7.6.3.1.8."""

from collections.abc import Sequence
from itertools import accumulate
from struct import pack

import numpy as np

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.encode import encode_element
from hounsfield.dicom.scan import EXPLICIT_LITTLE, UNDEFINED
from hounsfield.dicom.tags import ITEM, PIXEL_DATA, SEQUENCE_DELIMITATION, Tag

_EXTENDED_OFFSET_TABLE = 0x7FE00001
_EXTENDED_OFFSET_TABLE_LENGTHS = 0x7FE00002
_ICON_IMAGE_SEQUENCE = 0x00880200
_HEADER_SIZE = 8
_LARGEST_OFFSET = 0xFFFFFFFF


def encapsulated(frames: Sequence[bytes], *, largest_offset: int = _LARGEST_OFFSET) -> list[bytes]:
    """Pieces of Pixel Data (7FE0,0010), one fragment a frame.

    Before it is the Extended Offset Table (7FE0,0001) where an offset would be larger than the basic one can tell.
    """
    padded = [frame + b"\0" * (len(frame) % 2) for frame in frames]
    offsets = [0, *accumulate(_HEADER_SIZE + len(frame) for frame in padded[:-1])]
    parts = []
    table = b""
    if offsets[-1] <= largest_offset:
        table = np.asarray(offsets, "<u4").tobytes()
    else:
        lengths = np.asarray([len(frame) for frame in frames], "<u8").tobytes()
        parts += [
            encode_element(
                _EXTENDED_OFFSET_TABLE, "OV", np.asarray(offsets, "<u8").tobytes(), EXPLICIT_LITTLE
            ),
            encode_element(_EXTENDED_OFFSET_TABLE_LENGTHS, "OV", lengths, EXPLICIT_LITTLE),
        ]
    parts += [
        pack("<HH2sHI", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF, b"OB", 0, UNDEFINED),
        _header(ITEM, len(table)),
        table,
    ]
    for frame in padded:
        parts += [_header(ITEM, len(frame)), frame]
    parts.append(_header(SEQUENCE_DELIMITATION, 0))
    return parts


def _header(tag: Tag, length: int) -> bytes:
    return pack("<HHI", tag >> 16, tag & 0xFFFF, length)


def encapsulated_icons(dataset: Dataset) -> list[Tag]:
    """Icon Image Sequence (0088,0200) if its pixels are compressed: nobody could read them in another syntax."""
    for item in dataset.items(_ICON_IMAGE_SEQUENCE):
        element = item.element(PIXEL_DATA)
        if element and bytes(item.buffer[element.offset - 4 : element.offset]) == b"\xff\xff\xff\xff":
            return [_ICON_IMAGE_SEQUENCE]
    return []
