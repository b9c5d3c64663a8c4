"""Look-up tables as data sets hold them: palettes, plain and segmented, Modality LUT and VOI LUT.

PS3.3 C.7.6.3.1.5 and .6, C.7.9 (palettes), C.11.1.1 and C.11.2.1.1 (Modality and VOI LUT).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield import errors
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.tags import PIXEL_REPRESENTATION, Tag, format_tag

_DESCRIPTORS = (0x00281101, 0x00281102, 0x00281103)
_DATA = (0x00281201, 0x00281202, 0x00281203)
_SEGMENTED_DATA = (0x00281221, 0x00281222, 0x00281223)
_LUT_DESCRIPTOR = 0x00283002
_LUT_DATA = 0x00283006
_ENTRIES_MAX = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class LookupTable:
    """A table from stored values to outputs."""

    first: int
    """The stored value of the first entry; lower ones get the same entry, those beyond the last entry the last."""

    bits: int
    """Bits of an entry: outputs are from 0 to 2**bits - 1."""

    values: NDArray[np.uint16]
    """At least one entry."""


@dataclass(frozen=True, slots=True, eq=False)
class Palette:
    """The three tables of PALETTE COLOR."""

    red: LookupTable
    green: LookupTable
    blue: LookupTable


def read_palette(dataset: Dataset) -> Palette | None:
    """Read the Palette Color Lookup Tables; None if there are none, `Corrupt` if they are broken."""
    if not all(descriptor in dataset for descriptor in _DESCRIPTORS):
        return None
    red, green, blue = (
        _channel(dataset, *tags) for tags in zip(_DESCRIPTORS, _DATA, _SEGMENTED_DATA, strict=True)
    )
    return Palette(red, green, blue)


def read_lookup_table(item: Dataset, *, is_signed: bool) -> LookupTable:
    """Read one item of a Modality LUT Sequence (0028,3000) or a VOI LUT Sequence (0028,3010).

    `is_signed` says whether the values looked up may be negative.
    """
    entries, first, bits = _descriptor(item, _LUT_DESCRIPTOR, is_signed=is_signed)
    return _plain(item, _LUT_DATA, entries, first, bits)


def _channel(dataset: Dataset, descriptor: Tag, data: Tag, segmented: Tag) -> LookupTable:
    is_signed = dataset.int(PIXEL_REPRESENTATION) == 1
    entries, first, bits = _descriptor(dataset, descriptor, is_signed=is_signed)
    if data not in dataset and segmented in dataset:
        fields = _words(dataset, segmented, bits, None)
        return LookupTable(first, bits, _expand_segments(fields, 1 if bits <= 8 else 2, entries))
    return _plain(dataset, data, entries, first, bits)


def _descriptor(dataset: Dataset, tag: Tag, *, is_signed: bool) -> tuple[int, int, int]:
    """Number of entries, first value mapped, bits of an entry.

    Whatever VR the bytes were given, US or SS: the number of entries is unsigned and 0 stands for 65536, and the first
    value has the sign of the pixels.
    """
    raw = dataset.raw(tag)
    if len(raw) < 6:
        raise errors.Corrupt(f"the LUT Descriptor ({format_tag(tag)}) has not three values")
    order = ">" if dataset.encoding.is_big_endian else "<"
    entries, first, bits = (int(word) for word in np.frombuffer(raw[:6], f"{order}u2"))
    if is_signed and first >= 0x8000:
        first -= 0x10000
    if not 0 < bits <= 16:
        raise errors.Corrupt(f"the LUT Descriptor ({format_tag(tag)}) asks for entries of {bits} bits")
    return entries or _ENTRIES_MAX, first, bits


def _plain(dataset: Dataset, tag: Tag, entries: int, first: int, bits: int) -> LookupTable:
    values = _words(dataset, tag, bits, entries)[:entries]
    if not len(values):
        raise errors.Corrupt(f"the LUT Data ({format_tag(tag)}) is empty")
    # Some devices say 16 bits and fill in 8, or say 8 and fill in 16: the entries know.
    highest = int(values.max())
    if bits <= 8 < highest.bit_length():
        bits = 16
    return LookupTable(first, bits, values)


def _words(dataset: Dataset, tag: Tag, bits: int, entries: int | None) -> NDArray[np.uint16]:
    """The entries of a table, a word each; 8-bit ones may share words, two by two. PS3.3 C.7.9.2.

    Without `entries` these are the fields of a segmented table, as wide as its entries.
    """
    raw = dataset.raw(tag)
    is_big_endian = dataset.encoding.is_big_endian
    is_packed = entries is None or len(raw) < 2 * entries
    if bits <= 8 and is_packed:
        packed = np.frombuffer(raw, np.uint8)
        if is_big_endian and dataset.vr(tag) != "OB" and len(raw) % 2 == 0:
            packed = packed.reshape(-1, 2)[:, ::-1].reshape(-1)
        return packed.astype(np.uint16)
    return np.frombuffer(raw[: len(raw) & ~1], ">u2" if is_big_endian else "<u2").astype(np.uint16)


@dataclass(slots=True)
class _Expansion:
    """The entries made so far out of the segments of one table."""

    source: list[int]
    """The fields of all segments: words, or bytes where entries have 8 bits."""

    field_bytes: int
    entries: int
    out: list[int]


def _expand_segments(fields: NDArray[Any], field_bytes: int, entries: int) -> NDArray[np.uint16]:
    """Run the segments of a Segmented Palette: discrete, linear and indirect. PS3.3 C.7.9.2.

    What is made is bounded by the number of entries declared, however the segments refer to each other: every
    segment makes at least one.
    """
    expansion = _Expansion(fields.tolist(), field_bytes, entries, [])
    position = 0
    while position + 2 < len(expansion.source) and len(expansion.out) < entries:
        position = _segment(expansion, position, is_indirect=False)
    if not expansion.out:
        raise errors.Corrupt("a segmented palette is empty")
    return np.array(expansion.out[:entries], np.uint16)


def _segment(expansion: _Expansion, position: int, *, is_indirect: bool) -> int:
    """Append the entries of the segment at `position`; gives where the next segment begins."""
    source, out = expansion.source, expansion.out
    if position + 3 > len(source):
        raise errors.Corrupt("a segmented palette ends within a segment")
    opcode, length, body = source[position], source[position + 1], position + 2
    if length == 0:
        raise errors.Corrupt("a segmented palette has an empty segment")
    if opcode == 0 and body + length <= len(source):
        out.extend(source[body : body + length])
        return body + length
    if opcode == 1 and out:
        start, end = out[-1], source[body]
        out.extend(start + round((end - start) * step / length) for step in range(1, length + 1))
        return body + 1
    if opcode == 2 and not is_indirect:
        return _indirect(expansion, body, length)
    raise errors.Corrupt(f"a segmented palette has a segment of type {opcode} that cannot be")


def _indirect(expansion: _Expansion, body: int, segments: int) -> int:
    """Repeat segments from a byte offset, given in two words or four bytes with the least significant first."""
    count = 4 // expansion.field_bytes
    fields = expansion.source[body : body + count]
    if len(fields) < count:
        raise errors.Corrupt("a segmented palette ends within an indirect segment")
    bits = 8 * expansion.field_bytes
    position = sum(field << bits * index for index, field in enumerate(fields)) // expansion.field_bytes
    for _ in range(segments):
        if len(expansion.out) >= expansion.entries:
            break
        position = _segment(expansion, position, is_indirect=True)
    return body + count
