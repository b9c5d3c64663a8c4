"""Where the data set begins in a file. PS3.10 7.1."""

import struct

from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.scan import Buffer

_META_ELEMENT = struct.Struct("<HH2sH")
_META_GROUP = 0x0002
_LONG_VRS = frozenset((b"OB", b"OW", b"UN", b"SQ", b"UT", b"UC", b"UR"))
_LONGEST_META = 1 << 16


def data_set_offset(file: Buffer) -> int:
    """Where the data set begins in a file: after the File Meta Information, whose elements are counted. PS3.10 7.1.

    Its group length is not trusted: some programs write a wrong one.
    """
    view = memoryview(file)[:_LONGEST_META]
    position = 132
    if bytes(view[128:132]) != b"DICM":
        return read_head(file).dataset_offset
    while position + 12 <= len(view):
        group, _, vr, short = _META_ELEMENT.unpack_from(view, position)
        if group != _META_GROUP:
            return position
        if vr in _LONG_VRS:
            position += 12 + int.from_bytes(view[position + 8 : position + 12], "little")
        else:
            position += 8 + short
    return read_head(file).dataset_offset
