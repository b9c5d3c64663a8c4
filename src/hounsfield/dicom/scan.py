"""Find where the elements of a data set are, without decoding any. PS3.5 7.1, 7.5.

A scan makes one dictionary entry an element. Sequences of defined length are jumped over; those of undefined
length are walked without building anything, and the walk remembers where large nested ones end, so that reading
them later does not walk them again at every level.

Real files break rules: odd lengths, unknown VRs, implicit elements amid explicit ones, missing delimiters.
What can be understood is; what would need guessing ends the scan and is reported as truncation.
"""

import mmap
from dataclasses import dataclass
from struct import Struct
from types import MappingProxyType
from typing import NamedTuple

from hounsfield.dicom.tags import ITEM, ITEM_DELIMITATION, PIXEL_DATA, SEQUENCE_DELIMITATION, Tag
from hounsfield.errors import Corrupt

Buffer = bytes | bytearray | memoryview | mmap.mmap

MAXIMUM_DEPTH = 64
MAXIMUM_ELEMENTS = 200_000
MAXIMUM_ITEMS = 250_000
MAXIMUM_STEPS = 4_000_000
UNDEFINED = 0xFFFFFFFF

SHORT_VRS = MappingProxyType(
    {
        vr.encode(): vr
        for vr in [
            "AE",
            "AS",
            "AT",
            "CS",
            "DA",
            "DS",
            "DT",
            "FL",
            "FD",
            "IS",
            "LO",
            "LT",
            "PN",
            "SH",
            "SL",
            "SS",
            "ST",
            "TM",
            "UI",
            "UL",
            "US",
        ]
    }
)
LONG_VRS = MappingProxyType(
    {vr.encode(): vr for vr in ["OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"]}
)
VRS = frozenset((*SHORT_VRS, *LONG_VRS))
_PIXEL_TAGS = frozenset((0x7FE00008, 0x7FE00009, PIXEL_DATA))
_REMEMBERED_STEPS = 64


class Place(NamedTuple):
    """Where an element's value is. `vr` is empty when the bytes do not say it."""

    vr: str
    offset: int
    length: int


# What a scan stores: a `Place` is built from it on demand, a bare tuple costs a fifth.
RawPlace = tuple[str, int, int]


@dataclass(frozen=True, slots=True)
class Encoding:
    """How elements are written."""

    is_explicit: bool
    is_big_endian: bool
    head: Struct
    tag: Struct
    long: Struct


def _encoding(*, is_explicit: bool, is_big_endian: bool) -> Encoding:
    order = ">" if is_big_endian else "<"
    head = Struct(order + ("HH2sH" if is_explicit else "HHI"))
    return Encoding(is_explicit, is_big_endian, head, Struct(order + "HHI"), Struct(order + "I"))


IMPLICIT_LITTLE = _encoding(is_explicit=False, is_big_endian=False)
EXPLICIT_LITTLE = _encoding(is_explicit=True, is_big_endian=False)
EXPLICIT_BIG = _encoding(is_explicit=True, is_big_endian=True)
IMPLICIT_BIG = _encoding(is_explicit=False, is_big_endian=True)


class PixelElement(NamedTuple):
    """The pixel data element at which a scan stopped; `length` is None if undefined."""

    tag: Tag
    vr: str
    offset: int
    length: int | None


class Scan(NamedTuple):
    """The elements in ascending order, where the scan ended, and why."""

    elements: dict[Tag, RawPlace]
    position: int
    pixels: PixelElement | None
    is_truncated: bool


class _End(NamedTuple):
    """Where the content of a sequence ends, and where what follows it begins."""

    content: int
    following: int


Ends = dict[int, _End]


def scan(
    buffer: Buffer,
    start: int,
    end: int,
    encoding: Encoding,
    ends: Ends,
    *,
    stops_at_pixels: bool,
    last_group: int = 0xFFFF,
) -> Scan:
    """Find the elements between two offsets, up to pixel data if asked, and in groups up to `last_group`.

    One long function, because a call an element would double the time to read a header.

    Raises
    ------
    Corrupt
        If there are too many elements, or sequences nested too deeply.
    """
    elements: dict[Tag, RawPlace] = {}
    head = encoding.head.unpack_from
    long = encoding.long.unpack_from
    short_vr = SHORT_VRS.get
    is_explicit = encoding.is_explicit
    position, limit = start, end - 8
    # The greatest tag so far tells equal ones from others, the newest is to be forgotten if it is cut off.
    greatest: Tag = -1
    newest: Tag = -1
    is_sorted = True
    for _ in range(MAXIMUM_ELEMENTS):
        if position > limit:
            break
        if is_explicit:
            group, element, vr_bytes, length = head(buffer, position)
            tag = group << 16 | element
            vr = short_vr(vr_bytes, "")
            if vr:
                value = position + 8
            else:
                vr = LONG_VRS.get(vr_bytes, "")
                if vr or _is_unknown_vr(vr_bytes):
                    if position + 12 > end:
                        break
                    vr = vr or "UN"
                    length = long(buffer, position + 8)[0]
                    value = position + 12
                else:
                    length, value = long(buffer, position + 4)[0], position + 8
        else:
            group, element, length = head(buffer, position)
            tag = group << 16 | element
            vr, value = "", position + 8
        if tag <= greatest or group >= 0x7FE0 or group > last_group:
            if group > last_group:
                return _result(elements, position, is_sorted=is_sorted)
            if tag in _PIXEL_TAGS and stops_at_pixels:
                pixels = PixelElement(tag, vr, position, None if length == UNDEFINED else length)
                return _result(elements, position, pixels, is_sorted=is_sorted)
            if group == 0xFFFE:
                # A delimiter without its beginning: some writers close items of defined length.
                position += 8
                continue
            if tag <= greatest:
                if tag == 0 and _is_padding(buffer, position, end):
                    return _result(elements, end, is_sorted=is_sorted)
                is_sorted = False
                if tag in elements:
                    # The first of two elements counts; the second is only stepped over.
                    newest = -1
                    if length == UNDEFINED:
                        position = _skip(buffer, value, end, encoding, ends).following
                    else:
                        position = value + length
                    continue
            else:
                greatest = tag
        else:
            greatest = tag
        newest = tag
        if length == UNDEFINED:
            found = _skip(buffer, value, end, encoding, ends)
            if vr != "OB" and vr != "OW":
                vr = "OB" if tag in _PIXEL_TAGS else "SQ"
            elements[tag] = (vr, value, found.content - value)
            position = found.following
        else:
            elements[tag] = (vr, value, length)
            position = value + length
    else:
        raise Corrupt(f"More than {MAXIMUM_ELEMENTS} elements in a data set")
    return _ended(elements, position, end, newest, is_sorted=is_sorted)


def _ended(elements: dict[Tag, RawPlace], position: int, end: int, newest: Tag, *, is_sorted: bool) -> Scan:
    """The result when the bytes ran out: an element that goes beyond them is not there."""
    is_truncated = position != end
    if position > end and newest in elements:
        del elements[newest]
    return _result(elements, min(position, end), None, is_sorted=is_sorted, is_truncated=is_truncated)


def _result(
    elements: dict[Tag, RawPlace],
    position: int,
    pixels: PixelElement | None = None,
    *,
    is_sorted: bool,
    is_truncated: bool = False,
) -> Scan:
    if not is_sorted:
        elements = dict(sorted(elements.items()))
    return Scan(elements, position, pixels, is_truncated)


def _is_unknown_vr(vr: bytes) -> bool:
    """Whether it looks like a VR of a later edition, which has a 32-bit length. PS3.5 6.2.2."""
    return 0x41 <= vr[0] <= 0x5A and 0x41 <= vr[1] <= 0x5A


def _is_padding(buffer: Buffer, position: int, end: int) -> bool:
    """Whether only zeros follow; some writers fill the last block of a file."""
    return not bytes(buffer[position : min(end, position + 4096)]).strip(b"\0")


def items(
    buffer: Buffer, start: int, end: int, encoding: Encoding, ends: Ends
) -> list[tuple[int, int, Encoding]]:
    """Find the items of a sequence: start, end and encoding of each. PS3.5 7.5.

    Raises
    ------
    Corrupt
        If there are too many items.
    """
    found: list[tuple[int, int, Encoding]] = []
    position = start
    order = _item_order(buffer, position, encoding)
    while position + 8 <= end:
        group, element, length = order.tag.unpack_from(buffer, position)
        position += 8
        if (group << 16 | element) != ITEM:
            break
        if len(found) >= MAXIMUM_ITEMS:
            raise Corrupt(f"More than {MAXIMUM_ITEMS} items in a sequence")
        inner = _item_encoding(buffer, position, end, order)
        if length == UNDEFINED:
            close = _walk(buffer, position, end, inner, ends, is_item=True)
        else:
            close = _End(min(position + length, end), position + length)
        found.append((position, close.content, inner))
        position = close.following
    return found


def _skip(buffer: Buffer, start: int, end: int, encoding: Encoding, ends: Ends) -> _End:
    """Find the end of a sequence, or of encapsulated fragments, of undefined length."""
    known = ends.get(start)
    if known is not None:
        return known
    return _walk(buffer, start, end, _item_order(buffer, start, encoding), ends, is_item=False)


def _walk(buffer: Buffer, start: int, end: int, encoding: Encoding, ends: Ends, *, is_item: bool) -> _End:
    """Find the end of an item or a sequence of undefined length.

    A missing delimiter is understood when an outer one comes instead. The innermost open thing is in the
    variables; the ones around it are on the stack.
    """
    stack: list[tuple[bool, Encoding, int, int]] = []
    position, opened, opened_step = start, start, 0
    for step in range(MAXIMUM_STEPS):
        if position + 8 > end:
            return _End(end, end)
        group, element, length = encoding.tag.unpack_from(buffer, position)
        tag = group << 16 | element
        if group == 0xFFFE and (tag != ITEM or is_item):
            is_own = tag == (ITEM_DELIMITATION if is_item else SEQUENCE_DELIMITATION)
            close = _End(position, position + 8 if is_own else position)
        elif group != 0xFFFE and not is_item:
            close = _End(position, position)
        else:
            close = None
        if close is not None:
            if not is_item and step - opened_step > _REMEMBERED_STEPS:
                ends[opened] = close
            if not stack:
                return close
            is_item, encoding, opened, opened_step = stack.pop()
            position = close.following
            continue
        if not is_item:
            value = position + 8
        else:
            length, value = _length(buffer, position, end, encoding)
        if length != UNDEFINED:
            position = value + length
            continue
        known = ends.get(value) if is_item else None
        if known is not None:
            position = known.following
            continue
        if len(stack) >= 2 * MAXIMUM_DEPTH:
            raise Corrupt(f"Sequences are nested deeper than {MAXIMUM_DEPTH}")
        stack.append((is_item, encoding, opened, opened_step))
        if is_item:
            encoding = _item_order(buffer, value, encoding)
        else:
            encoding = _item_encoding(buffer, value, end, encoding)
        is_item = not is_item
        position, opened, opened_step = value, value, step
    raise Corrupt(f"A sequence of more than {MAXIMUM_STEPS} elements")


def _length(buffer: Buffer, position: int, end: int, encoding: Encoding) -> tuple[int, int]:
    """Length and offset of the value of the element at a position."""
    if encoding.is_explicit:
        _, _, vr, length = encoding.head.unpack_from(buffer, position)
        if vr in SHORT_VRS:
            return length, position + 8
        if vr in LONG_VRS or _is_unknown_vr(vr):
            if position + 12 > end:
                return 0, end
            return encoding.long.unpack_from(buffer, position + 8)[0], position + 12
    return encoding.long.unpack_from(buffer, position + 4)[0], position + 8


def _item_order(buffer: Buffer, position: int, encoding: Encoding) -> Encoding:
    """The encoding of a sequence's items: an unknown VR in big endian has little-endian ones. PS3.5 6.2.2."""
    if encoding.is_big_endian and bytes(buffer[position : position + 2]) == b"\xfe\xff":
        return IMPLICIT_LITTLE
    return encoding


def _item_encoding(buffer: Buffer, position: int, end: int, encoding: Encoding) -> Encoding:
    """The encoding inside an item: sequences that were once of unknown VR stay implicit inside explicit files."""
    if position + 8 > end:
        return encoding
    vr = bytes(buffer[position + 4 : position + 6])
    if encoding.is_explicit:
        if (
            vr in SHORT_VRS
            or vr in LONG_VRS
            or _is_unknown_vr(vr)
            or bytes(buffer[position : position + 2]) in (b"\xfe\xff", b"\xff\xfe")
        ):
            return encoding
        return IMPLICIT_BIG if encoding.is_big_endian else IMPLICIT_LITTLE
    if vr in SHORT_VRS or vr in LONG_VRS:
        length = encoding.long.unpack_from(buffer, position + 4)[0]
        if position + 8 + length > end:
            return EXPLICIT_LITTLE
    return encoding
