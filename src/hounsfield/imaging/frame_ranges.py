"""Which bytes of a file one frame needs, for storage from which parts can be read. PS3.5 8 and A.4."""

from collections.abc import Callable
from struct import Struct

from hounsfield.dicom.part10 import Head
from hounsfield.errors import ArchiveError, Corrupt
from hounsfield.imaging import codecs
from hounsfield.imaging.description import describe
from hounsfield.imaging.frames import native_frame_bits

Fetch = Callable[[int, int], bytes]
"""Gives the bytes of the file from a place, so many."""

Range = tuple[int, int]

_ITEM = Struct("<II")
_ITEM_TAG = 0xE000FFFE
_EXTENDED_OFFSETS = 0x7FE00001
_HEADER = 12
_SLACK = 16


def frame_ranges(head: Head, size: int, number: int, fetch: Fetch) -> list[Range] | None:
    """The bytes that `frames.read_frame` looks at for frame `number`, from 1, beside those of the head.

    Parameters
    ----------
    head
        Of the file, as read from its beginning.
    size
        Of the file.
    number
        Of the frame.
    fetch
        Reads parts of the file: a few bytes of offset tables.

    Returns
    -------
    Where parts begin and end, or None if the whole file is needed: it is deflated, or has several compressed frames and
    no offset table.
    """
    offset = head.pixel_data_offset
    if offset is None or head.pixel_data_tag is None:
        return None
    try:
        description = describe(head.dataset, pixel_data_vr=head.pixel_data_vr or "OW")
    except ArchiveError:
        return None
    start = offset + (_HEADER if head.dataset.encoding.is_explicit else 8)
    if head.pixel_data_length is not None:
        if head.transfer_syntax_uid not in codecs.NATIVE or description.photometric.endswith("_422"):
            return None
        bits = native_frame_bits(description)
        begin, end = start + bits * (number - 1) // 8, start + (bits * number + 7) // 8
        return _clipped([(offset, start), (begin - _SLACK, end + _SLACK)], size)
    if not head.dataset.encoding.is_explicit:
        return None
    frames = description.number_of_frames
    try:
        return _clipped(_encapsulated(head, start, size, number, frames, fetch), size)
    except (Corrupt, ValueError):
        return None


def _encapsulated(head: Head, start: int, size: int, number: int, frames: int, fetch: Fetch) -> list[Range]:
    """`ValueError` if there is no table to tell."""
    tag, length = _ITEM.unpack(fetch(start, _ITEM.size))
    first = start + _ITEM.size + length
    if tag != _ITEM_TAG or not 1 <= number <= frames or first > size:
        raise ValueError("no offset table")
    lead = [(start - _HEADER, start + _ITEM.size)]
    if frames == 1:
        return [*lead, (first, size)]
    extended = head.dataset.raw(_EXTENDED_OFFSETS)
    if len(extended) == 8 * frames:
        table, width = extended, 8
    elif length == 4 * frames:
        table, width = b"", 4
        lead.append((start + _ITEM.size, start + _ITEM.size + 4))
        low, high = max(number - 2, 0), min(number + 1, frames)
        lead.append((start + _ITEM.size + 4 * low, start + _ITEM.size + 4 * high))
    else:
        raise ValueError("no offset table")

    def entry(index: int) -> int:
        if width == 8:
            return int.from_bytes(table[8 * index : 8 * index + 8], "little")
        return int.from_bytes(fetch(start + _ITEM.size + 4 * index, 4), "little")

    begin = first + entry(number - 1)
    end = size if number == frames else first + entry(number)
    if not first <= begin < end <= size:
        raise ValueError("a wrong offset table")
    return [*lead, (begin, end)]


def _clipped(ranges: list[Range], size: int) -> list[Range]:
    return [(max(begin, 0), min(end, size)) for begin, end in ranges]
