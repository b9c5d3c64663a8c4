"""Write data sets: from values, or from a data set that was read, with changes or in another encoding. PS3.5 7.

Elements are in ascending order, group lengths are left out, sequences and items have defined lengths.
"""

import struct
from array import array
from collections.abc import Mapping, Sequence
from struct import pack
from types import MappingProxyType

from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.scan import SHORT_VRS, UNDEFINED, Encoding
from hounsfield.dicom.tags import ITEM, SEQUENCE_DELIMITATION, SPECIFIC_CHARACTER_SET, Tag, format_tag
from hounsfield.dicom.values import KINDS, NUMBER_FORMATS, Kind
from hounsfield.errors import BadRequest

# A text, whose values a backslash separates; bytes to be written as they are; or the items of a sequence.
Value = str | bytes | Sequence["Values"]
Values = Mapping[Tag, Value]

_LONGEST_SHORT = 0xFFFE
_PADDING = MappingProxyType({"UI": b"\0", "OB": b"\0", "UN": b"\0"})
_SWAPPED_WORDS = ("OW", 2), ("AT", 2)
_WORD_SIZES = MappingProxyType(
    {**{vr: size for vr, (_, size) in NUMBER_FORMATS.items()}, **dict(_SWAPPED_WORDS)}
)
_ARRAY_TYPES = MappingProxyType({2: "H", 4: "I", 8: "Q"})


def encode(values: Values, encoding: Encoding, character_set: CharacterSet | None = None) -> bytes:
    """Write values, in the VRs of the dictionary.

    The character set is that of Specific Character Set (0008,0005) among the values, else the one given, else
    ASCII. Numbers are given in decimal, attribute tags as `gggg,eeee`.

    Raises
    ------
    BadRequest
        If a value does not fit its VR.
    """
    named = values.get(SPECIFIC_CHARACTER_SET)
    if isinstance(named, str) and named:
        character_set = CharacterSet.parse(named)
    character_set = character_set or CharacterSet.parse("ISO_IR 6")
    return b"".join(
        _encode_value(tag, _vr(tag, values), values[tag], encoding, character_set) for tag in sorted(values)
    )


def write(
    dataset: Dataset, encoding: Encoding, changes: Mapping[Tag, Value | None] = MappingProxyType({})
) -> bytes:
    """Write a data set again, its values byte for byte, in another encoding if asked.

    Pixel data at which reading stopped is not written: it follows in the file it came from.

    Parameters
    ----------
    dataset
        What was read.
    encoding
        How to write it.
    changes
        Values by tag to put in place, None to remove an element. Texts are written in the character set of the
        data set; who changes that must change all texts.

    Raises
    ------
    BadRequest
        If a value does not fit its VR, or fragments the encoding.
    Corrupt
        If sequences are nested too deeply.
    """
    parts = []
    for tag in sorted({*dataset.elements, *changes}):
        if not tag & 0xFFFF:
            continue
        if tag in changes:
            value = changes[tag]
            if value is not None:
                vr = dataset.vr(tag)
                parts.append(_encode_value(tag, vr, value, encoding, dataset.character_set))
        else:
            parts.append(_copy(dataset, tag, encoding))
    return b"".join(parts)


def encode_element(tag: Tag, vr: str, value: bytes, encoding: Encoding) -> bytes:
    """Write one element, padded to an even length. PS3.5 7.1."""
    if len(value) % 2:
        value += _PADDING.get(vr, b" ")
    group, element = tag >> 16, tag & 0xFFFF
    order = ">" if encoding.is_big_endian else "<"
    if not encoding.is_explicit:
        return pack(order + "HHI", group, element, len(value)) + value
    if vr.encode() in SHORT_VRS:
        if len(value) <= _LONGEST_SHORT:
            return pack(order + "HH2sH", group, element, vr.encode(), len(value)) + value
        # PS3.5 6.2.2, note 2: what is too long for its VR is written as unknown.
        vr = "UN"
    return pack(order + "HH2sHI", group, element, vr.encode(), 0, len(value)) + value


def _vr(tag: Tag, values: Values) -> str:
    """The dictionary's VR; the creator of a private attribute is among the values."""
    creator = values.get((tag & 0xFFFF0000) | (tag >> 8 & 0xFF)) if tag & 0x10000 else None
    return lookup.vr(tag, creator if isinstance(creator, str) else None)


def _encode_value(tag: Tag, vr: str, value: Value, encoding: Encoding, character_set: CharacterSet) -> bytes:
    if isinstance(value, bytes):
        return encode_element(tag, vr, value, encoding)
    if not isinstance(value, str):
        return encode_items(tag, [encode(item, encoding, character_set) for item in value], encoding)
    return encode_element(tag, vr, encode_text(tag, vr, value, encoding, character_set), encoding)


def encode_text(tag: Tag, vr: str, text: str, encoding: Encoding, character_set: CharacterSet) -> bytes:
    """Write the value of an element, given as text: numbers in decimal, attribute tags as `gggg,eeee`.

    Raises
    ------
    BadRequest
        If it does not fit the VR.
    """
    kind = KINDS.get(vr, Kind.BINARY)
    try:
        if kind is Kind.NUMBERS:
            return _numbers(text, vr, encoding)
        if kind is Kind.TAGS:
            return _tags(text, encoding)
        return character_set.encode(text, vr)
    except (ValueError, OverflowError, struct.error) as cause:
        raise BadRequest(f"A value does not fit the VR {vr} of {format_tag(tag)}") from cause


def encode_items(tag: Tag, items: Sequence[bytes], encoding: Encoding, vr: str = "SQ") -> bytes:
    """Write a sequence of items that are written already. PS3.5 7.5."""
    head = encoding.tag.pack
    content = b"".join(head(ITEM >> 16, ITEM & 0xFFFF, len(item)) + item for item in items)
    return encode_element(tag, vr, content, encoding)


def _numbers(text: str, vr: str, encoding: Encoding) -> bytes:
    letter, _ = NUMBER_FORMATS[vr]
    order = ">" if encoding.is_big_endian else "<"
    parts = text.split("\\") if text else []
    if letter in "fd":
        return pack(f"{order}{len(parts)}{letter}", *map(float, parts))
    return pack(f"{order}{len(parts)}{letter}", *map(int, parts))


def _tags(text: str, encoding: Encoding) -> bytes:
    order = ">" if encoding.is_big_endian else "<"
    found = [lookup.parse_tag(part) for part in text.split("\\") if part]
    return b"".join(pack(order + "HH", tag >> 16, tag & 0xFFFF) for tag in found)


def _copy(dataset: Dataset, tag: Tag, encoding: Encoding) -> bytes:
    """An element as it was read; in another byte order if need be."""
    vr = dataset.vr(tag)
    if vr == "SQ":
        return encode_items(tag, [write(item, encoding) for item in dataset.items(tag)], encoding)
    raw = dataset.raw(tag)
    if vr == "OB" and _is_fragmented(dataset, tag):
        return _fragments(tag, raw, encoding)
    size = _WORD_SIZES.get(vr, 1)
    if dataset.encoding.is_big_endian != encoding.is_big_endian and size > 1:
        words = array(_ARRAY_TYPES[size], raw[: len(raw) // size * size])
        words.byteswap()
        raw = words.tobytes()
    return encode_element(tag, vr, raw, encoding)


def _is_fragmented(dataset: Dataset, tag: Tag) -> bool:
    """Whether the length, the four bytes before the value, is undefined: these are encapsulated fragments."""
    offset = dataset.elements[tag][1]
    return bytes(dataset.buffer[offset - 4 : offset]) == b"\xff\xff\xff\xff"


def _fragments(tag: Tag, raw: bytes, encoding: Encoding) -> bytes:
    """Encapsulated pixel data, which exists in explicit little endian only. PS3.5 A.4."""
    if not encoding.is_explicit or encoding.is_big_endian:
        raise BadRequest("Encapsulated pixel data is explicit little endian")
    head = pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"OB", 0, UNDEFINED)
    return head + raw + encoding.tag.pack(SEQUENCE_DELIMITATION >> 16, SEQUENCE_DELIMITATION & 0xFFFF, 0)
