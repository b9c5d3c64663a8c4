"""Data sets as JSON: the three formats of the REST interface.

Full: `{"0010,0010": {"Name": "PatientName", "Type": "String", "Value": "KNIX"}}`. Short: `{"0010,0010": "KNIX"}`.
Simplified: `{"PatientName": "KNIX"}`. Values are texts; binary, too long (over 256 characters) and missing ones
are null. Group lengths (gggg,0000) are left out, and pixel data is null. The results are plain dictionaries for
any encoder.
"""

from collections.abc import Callable, Collection, Iterable
from functools import lru_cache

from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.scan import RawPlace
from hounsfield.dicom.tags import DOUBLE_FLOAT_PIXEL_DATA, FLOAT_PIXEL_DATA, PIXEL_DATA, Tag, format_tag
from hounsfield.dicom.values import (
    KINDS,
    NUMBER_FORMATS,
    Kind,
    is_surely_longer,
    number_text,
    tags_text,
    trim,
)
from hounsfield.errors import Corrupt

JsonValue = str | None | list["JsonObject"] | dict[str, "JsonValue"]
JsonObject = dict[str, JsonValue]

MAXIMUM_CHARACTERS = 256
# The elements one answer may have, those of all items together: seconds, half a gigabyte.
MAXIMUM_ELEMENTS = 1_000_000
# From this many numbers on, their text is surely longer than the limit.
_SURELY_TOO_LONG = MAXIMUM_CHARACTERS // 2 + 1
_PIXEL_TAGS = frozenset((PIXEL_DATA, FLOAT_PIXEL_DATA, DOUBLE_FLOAT_PIXEL_DATA))


def full(
    dataset: Dataset, *, ignore_length: Collection[Tag] = (), only: Iterable[Tag] | None = None
) -> JsonObject:
    """Give `{"0010,0010": {"Name", "Type", "Value", "PrivateCreator"?}}`; types String, Null, TooLong, Sequence.

    Parameters
    ----------
    dataset
        What to convert; the character set is its own.
    ignore_length
        Tags whose values are given however long, at any depth.
    only
        Top-level tags to give; all if None.

    Raises
    ------
    Corrupt
        If sequences are nested too deeply, or there are more than a million elements.
    """
    return _Walk(_add_full, ignore_length).object(dataset, only)


def short(
    dataset: Dataset, *, ignore_length: Collection[Tag] = (), only: Iterable[Tag] | None = None
) -> JsonObject:
    """Give `{"0010,0010": "KNIX"}`; parameters and errors as of `full`."""
    return _Walk(_add_short, ignore_length).object(dataset, only)


def simplified(
    dataset: Dataset, *, ignore_length: Collection[Tag] = (), only: Iterable[Tag] | None = None
) -> JsonObject:
    """Give `{"PatientName": "KNIX"}`; parameters and errors as of `full`.

    Of several elements with one name, such as unknown private ones, the last is given.
    """
    return _Walk(_add_simplified, ignore_length).object(dataset, only)


Add = Callable[[JsonObject, Tag, str | None, str, JsonValue], None]


def _add_full(output: JsonObject, tag: Tag, creator: str | None, kind: str, value: JsonValue) -> None:
    key, name = _key_and_name(tag, creator)
    if creator is None:
        output[key] = {"Name": name, "Type": kind, "Value": value}
    else:
        output[key] = {"Name": name, "PrivateCreator": creator, "Type": kind, "Value": value}


def _add_short(output: JsonObject, tag: Tag, _creator: str | None, _kind: str, value: JsonValue) -> None:
    output[_key_and_name(tag, None)[0]] = value


def _add_simplified(output: JsonObject, tag: Tag, creator: str | None, _kind: str, value: JsonValue) -> None:
    output[_key_and_name(tag, creator)[1]] = value


@lru_cache(maxsize=16384)
def _key_and_name(tag: Tag, creator: str | None) -> tuple[str, str]:
    return format_tag(tag), lookup.name(tag, creator)


class _Walk:
    """One conversion: the format, and what is left of the limit on elements."""

    __slots__ = ("add", "ignored", "left")

    def __init__(self, add: Add, ignore_length: Collection[Tag]) -> None:
        self.add = add
        self.ignored = frozenset(ignore_length)
        self.left = MAXIMUM_ELEMENTS

    def object(self, dataset: Dataset, only: Iterable[Tag] | None = None) -> JsonObject:
        """Convert a data set or an item."""
        elements = dataset.elements
        if only is not None:
            elements = {tag: elements[tag] for tag in only if tag in elements}
        self._charge(len(elements))
        output: JsonObject = {}
        add, buffer, character_set = self.add, dataset.buffer, dataset.character_set
        kinds, is_text = KINDS.get, Kind.TEXT
        for tag, place in elements.items():
            if not tag & 0xFFFF:
                continue
            vr, offset, length = place
            creator = dataset.private_creator(tag) if tag & 0x10000 else None
            if kinds(vr) is is_text and length < MAXIMUM_CHARACTERS:
                text = trim(character_set.decode(bytes(buffer[offset : offset + length]), vr), vr)
                add(output, tag, creator, "String", text)
            else:
                kind, value = self._value(dataset, tag, place)
                add(output, tag, creator, kind, value)
        if only is None and dataset.pixel_data_tag is not None:
            add(output, dataset.pixel_data_tag, None, "Null", None)
        return output

    def _charge(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Corrupt(f"More than {MAXIMUM_ELEMENTS} elements")

    def _value(self, dataset: Dataset, tag: Tag, place: RawPlace) -> tuple[str, JsonValue]:
        """The type and value of an element that is not simply a text."""
        vr = dataset.vr(tag)
        kind = KINDS.get(vr, Kind.BINARY)
        if kind is Kind.BINARY or tag in _PIXEL_TAGS:
            return "Null", None
        if kind is Kind.SEQUENCE:
            items = dataset.items(tag)
            self._charge(len(items))
            return "Sequence", [self.object(item) for item in items]
        if kind is Kind.TEXT:
            return self._limited(tag, self._text(dataset, tag, vr))
        if not place[2]:
            return "Null", None
        if kind is Kind.TAGS:
            size, to_text = 4, tags_text
        else:
            size, to_text = NUMBER_FORMATS[vr][1], None
        if place[2] // size >= _SURELY_TOO_LONG and tag not in self.ignored:
            return "TooLong", None
        raw, is_big_endian = dataset.raw(tag), dataset.encoding.is_big_endian
        if to_text is not None:
            return self._limited(tag, to_text(raw, is_big_endian=is_big_endian))
        return self._limited(tag, number_text(raw, vr, is_big_endian=is_big_endian))

    def _text(self, dataset: Dataset, tag: Tag, vr: str) -> str | None:
        """A text, or None if it is surely too long."""
        raw = dataset.raw(tag)
        if tag not in self.ignored and is_surely_longer(raw, MAXIMUM_CHARACTERS):
            return None
        return trim(dataset.character_set.decode(raw, vr), vr)

    def _limited(self, tag: Tag, text: str | None) -> tuple[str, JsonValue]:
        if text is None or (len(text) > MAXIMUM_CHARACTERS and tag not in self.ignored):
            return "TooLong", None
        return "String", text
