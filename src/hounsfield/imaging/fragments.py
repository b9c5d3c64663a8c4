"""Finding the fragments of one frame in encapsulated pixel data. PS3.5 A.4.

Encapsulated pixel data is a sequence of items: first the Basic Offset Table, maybe empty, then fragments, then a
delimiter. Which fragments make which frame is told by an offset table, else by there being one fragment a frame, else
by how the frames' bit streams begin. A table is believed only where the bytes agree, so a wrong one costs time, not an
image.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from hounsfield import errors
from hounsfield.imaging.limits import Limits

Span = tuple[int, int]
"""Where a fragment's bytes begin and end in the buffer, without its item header."""

_ITEM = 0xE000FFFE  # (FFFE,E000) as the little-endian number its four bytes make
_DELIMITER = 0xE0DDFFFE
_HEADER = struct.Struct("<II")
_HEADER_SIZE = 8


@dataclass(frozen=True, slots=True)
class Encapsulated:
    """Where one instance's fragments are and what is known of its frames."""

    data: memoryview
    start: int
    """Offset of the first item, the Basic Offset Table."""

    frames: int
    begins_frame: Callable[[bytes], bool] | None
    """Whether a fragment starting with these bytes (at most 64) begins a frame; None if it cannot be told."""

    extended_offsets: bytes = b""
    """Extended Offset Table (7FE0,0001), little-endian 64-bit numbers; empty if there is none."""


def locate_frame(encapsulated: Encapsulated, number: int, limits: Limits) -> list[Span]:
    """Find the fragments of a frame.

    Parameters
    ----------
    encapsulated
        The pixel data, its items in little endian.
    number
        Frame number from 1, at most `encapsulated.frames`.
    limits
        How many fragments to walk at most.

    Raises
    ------
    Corrupt
        If the items do not follow PS3.5 A.4 or the frame is not there.
    """
    tag, begin, first = _item(encapsulated.data, encapsulated.start)
    if tag != _ITEM or first > len(encapsulated.data):
        raise errors.Corrupt("encapsulated pixel data does not begin with an offset table")
    if encapsulated.frames > 1:
        offset_table = _offsets(encapsulated, number, (begin, first))
        spans = offset_table and _between(encapsulated, first, *offset_table)
        if spans:
            return spans
    spans, is_truncated = _walk(encapsulated.data, first, limits)
    return _group(encapsulated, spans, number, is_truncated=is_truncated)


def locate_collection(
    encapsulated: Encapsulated, number: int, count_frames: Callable[[bytes], int], limits: Limits
) -> tuple[list[Span], int]:
    """Find the fragments of the bit stream that has a frame among others, and which of its frames that is, from 0.

    JPEG 2000 Part 2 may put frames together as components of one bit stream. `count_frames` tells how many from how it
    begins (at most 64 bytes). Offset tables are of no help: whatever they say, bit streams are walked. Errors as of
    `locate_frame`.
    """
    tag, _, first = _item(encapsulated.data, encapsulated.start)
    if tag != _ITEM or first > len(encapsulated.data):
        raise errors.Corrupt("encapsulated pixel data does not begin with an offset table")
    spans, is_truncated = _walk(encapsulated.data, first, limits)
    begins = encapsulated.begins_frame or bool
    starts = [index for index, span in enumerate(spans) if begins(_opening(encapsulated.data, span))]
    before = 0
    for start, stop in pairwise([*starts, len(spans)]):
        count = count_frames(_opening(encapsulated.data, spans[start]))
        if before < number <= before + count and not (is_truncated and stop == len(spans)):
            return spans[start:stop], number - before - 1
        before += count
    raise errors.Corrupt(f"frame {number} is missing or cut off in the pixel data")


def _item(data: memoryview, offset: int) -> tuple[int, int, int]:
    """Tag of the item at `offset`, and where its value begins and ends (maybe past the end of the data)."""
    if offset < 0 or offset + _HEADER_SIZE > len(data):
        raise errors.Corrupt("encapsulated pixel data ends within an item header")
    tag, length = _HEADER.unpack_from(data, offset)
    return tag, offset + _HEADER_SIZE, offset + _HEADER_SIZE + length


def _offsets(encapsulated: Encapsulated, number: int, basic: Span) -> tuple[int, int | None] | None:
    """Where the frame's first item and the item after its last begin, counted from the first fragment.

    The second is None for the last frame. None altogether if there is no table or it has not one entry a frame.
    """
    frames = encapsulated.frames
    if len(encapsulated.extended_offsets) == 8 * frames:
        table, form, size = memoryview(encapsulated.extended_offsets), "<Q", 8
    elif basic[1] - basic[0] == 4 * frames:
        table, form, size = encapsulated.data[basic[0] : basic[1]], "<I", 4
    else:
        return None

    def entry(index: int) -> int:
        return int(struct.unpack_from(form, table, index * size)[0])

    # Only the neighbours are looked at: a whole slide has a million entries.
    begin, end = entry(number - 1), None if number == frames else entry(number)
    is_ordered = entry(0) == 0 and (number == 1 or entry(number - 2) < begin) and (end is None or begin < end)
    return (begin, end) if is_ordered else None


def _between(encapsulated: Encapsulated, first: int, begin: int, end: int | None) -> list[Span] | None:
    """The fragments from one offset to the other, or None if the bytes say the table is wrong."""
    data = encapsulated.data
    position, stop = first + begin, len(data) if end is None else first + end
    spans: list[Span] = []
    while position < stop:
        if position + _HEADER_SIZE > len(data):
            return None
        tag, begin_value, end_value = _item(data, position)
        if tag == _DELIMITER and end is None:
            break
        if tag != _ITEM or end_value > stop:
            return None
        spans.append((begin_value, end_value))
        position = end_value
    if encapsulated.begins_frame is None:
        return spans or None
    starts = [encapsulated.begins_frame(_opening(data, span)) for span in spans]
    return spans if starts and starts[0] and not any(starts[1:]) else None


def _walk(data: memoryview, first: int, limits: Limits) -> tuple[list[Span], bool]:
    """Every fragment from `first` on, and whether the last one is cut off."""
    spans: list[Span] = []
    position = first
    while position + _HEADER_SIZE <= len(data):
        tag, begin, end = _item(data, position)
        if tag == _DELIMITER:
            return spans, False
        if tag != _ITEM:
            raise errors.Corrupt("encapsulated pixel data holds something else than items")
        if len(spans) == limits.fragments:
            raise errors.Corrupt(
                f"encapsulated pixel data has over {limits.fragments} fragments and no offset table"
            )
        spans.append((begin, min(end, len(data))))
        if end > len(data):
            return spans, True
        position = end
    # Some gateways leave out the delimiter: whole items up to the end are taken for all of them.
    return spans, False


def _group(encapsulated: Encapsulated, spans: list[Span], number: int, *, is_truncated: bool) -> list[Span]:
    """The fragments of a frame among all there are, without the help of a table."""
    if not spans:
        raise errors.Corrupt("encapsulated pixel data has no fragment")
    starts = _starts(encapsulated, spans)
    is_last = number == len(starts)
    if number > len(starts) or (is_last and is_truncated):
        raise errors.Corrupt(f"frame {number} is missing or cut off in the pixel data")
    return spans[starts[number - 1] : None if is_last else starts[number]]


def _starts(encapsulated: Encapsulated, spans: list[Span]) -> Sequence[int]:
    """Indices of the fragments that begin a frame."""
    if encapsulated.frames == 1:
        return [0]
    if len(spans) == encapsulated.frames:
        return range(len(spans))
    if encapsulated.begins_frame is None:
        raise errors.Corrupt(f"{len(spans)} fragments for {encapsulated.frames} frames, and no offset table")
    starts = [
        index
        for index, span in enumerate(spans)
        if encapsulated.begins_frame(_opening(encapsulated.data, span))
    ]
    if len(starts) > encapsulated.frames or starts[:1] != [0]:
        raise errors.Corrupt(
            f"{len(starts)} bit streams for {encapsulated.frames} frames, and no offset table"
        )
    return starts


def _opening(data: memoryview, span: Span) -> bytes:
    return bytes(data[span[0] : min(span[0] + 64, span[1])])


def begins_jpeg(opening: bytes) -> bool:
    """Whether a JPEG or JPEG-LS stream begins here: SOI and another marker."""
    return opening[:3] == b"\xff\xd8\xff"


def begins_jpeg_2000(opening: bytes) -> bool:
    """Whether a JPEG 2000 code stream begins here, bare or wrongly wrapped in a JP2 file."""
    return opening[:4] == b"\xff\x4f\xff\x51" or opening[:8] == b"\0\0\0\x0cjP  "


def begins_jpeg_xl(opening: bytes) -> bool:
    """Whether a JPEG XL code stream or container begins here."""
    return opening[:2] == b"\xff\x0a" or opening[:8] == b"\0\0\0\x0cJXL "


def begins_rle(opening: bytes) -> bool:
    """Whether these are the 64 bytes of an RLE header: segments in order, the first right behind. PS3.5 G.5."""
    if len(opening) < 64:
        return False
    count, *offsets = struct.unpack("<16I", opening[:64])
    if not 1 <= count <= 15 or offsets[0] != 64 or any(offsets[count:]):
        return False
    return all(a < b for a, b in pairwise(offsets[:count]))
