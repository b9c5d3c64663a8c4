"""The header of an instance as bytes to be kept: its own bytes before the pixel data, without large values.

Nothing is translated: reading it gives the data set that the file gives, by the same parser. In front stand the
encoding, which pixel data there was, and the tags that were left out. PS3.5 7.1.
"""

from dataclasses import dataclass
from struct import Struct

from hounsfield.dicom import scan
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.scan import LONG_VRS, Encoding, RawPlace
from hounsfield.dicom.tags import DOUBLE_FLOAT_PIXEL_DATA, FLOAT_PIXEL_DATA, PIXEL_DATA, Tag
from hounsfield.dicom.values import KINDS, Kind
from hounsfield.errors import Corrupt

SMALL_HEADER = 16 << 10
"""Bytes up to which nothing is left out."""
MAXIMUM_BINARY = 1 << 10
MAXIMUM_VALUE = 64 << 10
MAXIMUM_HEADER = 256 << 10
_VERSION = 1
_PREFIX = Struct("<BBB2sH")
_ENCODINGS = (scan.IMPLICIT_LITTLE, scan.EXPLICIT_LITTLE, scan.IMPLICIT_BIG, scan.EXPLICIT_BIG)
_PIXELS: tuple[Tag | None, ...] = (None, PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA)
_LONG = frozenset(LONG_VRS.values())


@dataclass(frozen=True, slots=True)
class Header:
    """What was kept: a data set, and the top-level tags that it lacks because their values were too large."""

    dataset: Dataset
    omitted: frozenset[Tag]

    def has_all(self, tags: frozenset[Tag]) -> bool:
        """Whether what it says of these tags is what the file says."""
        return self.omitted.isdisjoint(tags)


def pack_header(head: Head) -> bytes | None:
    """The header as bytes; None if it is too large even without its large values."""
    dataset = head.dataset
    kept: bytes | bytearray
    if dataset.end - dataset.start <= SMALL_HEADER:
        omitted: tuple[Tag, ...] = ()
        kept = bytes(dataset.buffer[dataset.start : dataset.end])
    else:
        kept, omitted = _without_large(dataset)
    encoding = dataset.encoding
    if len(kept) > MAXIMUM_HEADER or (omitted and not _is_what_remains(dataset, omitted, bytes(kept))):
        return None
    prefix = _PREFIX.pack(
        _VERSION,
        encoding.is_explicit | encoding.is_big_endian << 1,
        _PIXELS.index(head.pixel_data_tag),
        (head.pixel_data_vr or "").encode("latin-1", "replace"),
        len(omitted),
    )
    return prefix + b"".join(tag.to_bytes(4, "little") for tag in omitted) + kept


def _without_large(dataset: Dataset) -> tuple[bytearray, tuple[Tag, ...]]:
    """The bytes of all elements but the large ones, and the tags of these."""
    elements, encoding = dataset.elements, dataset.encoding
    starts = sorted((place[1] - _header_size(place, encoding), tag) for tag, place in elements.items())
    ends = [start for start, _ in starts[1:]] + [dataset.end]
    kept, omitted = bytearray(), []
    for (start, tag), end in zip(starts, ends, strict=True):
        kind = KINDS.get(dataset.vr(tag), Kind.BINARY)
        is_binary = kind in (Kind.BINARY, Kind.NUMBERS, Kind.TAGS)
        if end - start > (MAXIMUM_BINARY if is_binary else MAXIMUM_VALUE):
            omitted.append(tag)
        else:
            kept += dataset.buffer[start:end]
    return kept, tuple(sorted(omitted))[:0xFFFF]


def _is_what_remains(dataset: Dataset, omitted: tuple[Tag, ...], kept: bytes) -> bool:
    """Whether reading the rest finds the same elements: files that break the rules may be cut in the wrong places."""
    found = scan.scan(kept, 0, len(kept), dataset.encoding, {}, stops_at_pixels=False)
    return not found.is_truncated and found.elements.keys() == dataset.elements.keys() - {*omitted}


def _header_size(place: RawPlace, encoding: Encoding) -> int:
    """How many bytes of tag, VR and length stand before a value. PS3.5 7.1.2 and 7.1.3."""
    return 12 if encoding.is_explicit and place[0] in _LONG else 8


def has_omitted(data: bytes) -> bool:
    """Whether values were left out of what `pack_header` wrote."""
    return len(data) < _PREFIX.size or _PREFIX.unpack_from(data)[4] > 0


def unpack_header(data: bytes, default_encoding: str = "Latin1") -> Header:
    """What `pack_header` wrote.

    Raises
    ------
    Corrupt
        If this is something else.
    """
    if len(data) < _PREFIX.size:
        raise Corrupt("A packed header is too short")
    version, encoding, pixels, vr, count = _PREFIX.unpack_from(data)
    start = _PREFIX.size + 4 * count
    if version != _VERSION or encoding >= len(_ENCODINGS) or pixels >= len(_PIXELS) or start > len(data):
        raise Corrupt("A packed header is not ours")
    places = range(_PREFIX.size, start, 4)
    omitted = frozenset(int.from_bytes(data[place : place + 4], "little") for place in places)
    dataset = Dataset(
        data,
        start,
        len(data),
        _ENCODINGS[encoding],
        default_encoding=default_encoding,
        pixel_data_tag=_PIXELS[pixels],
        pixel_data_vr=vr.rstrip(b"\0").decode("latin-1") or None,
    )
    return Header(dataset, omitted)
