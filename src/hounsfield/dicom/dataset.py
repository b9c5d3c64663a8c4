"""A data set over the bytes it was read from: nothing is decoded before it is asked for. PS3.5 7."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from hounsfield.dicom import scan
from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.scan import Buffer, Encoding, RawPlace
from hounsfield.dicom.tags import PIXEL_REPRESENTATION, SPECIFIC_CHARACTER_SET, Tag
from hounsfield.dicom.values import KINDS, Kind, Numbers, decode_text, number_text, numbers, tags_text
from hounsfield.errors import Corrupt

_LONGEST_CREATOR = 256
_LONGEST_INTEGER = 40
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


class Element(NamedTuple):
    """One element: its VR, and where its value is in the data set's buffer, in bytes."""

    tag: Tag
    vr: str
    offset: int
    length: int


class Dataset:
    """The elements of a data set or of one item, in ascending order of tag.

    `buffer` must not change while the data set is in use. `parent` is the data set around an item, from which
    the item takes the character set if it has none. `pixel_data_tag` says at which pixel data reading stopped:
    that element is not among the others.
    """

    __slots__ = (
        "_character_set",
        "_elements",
        "_ends",
        "buffer",
        "default_encoding",
        "depth",
        "encoding",
        "end",
        "parent",
        "pixel_data_tag",
        "pixel_data_vr",
        "start",
    )

    def __init__(
        self,
        buffer: Buffer,
        start: int,
        end: int,
        encoding: Encoding,
        *,
        ends: scan.Ends | None = None,
        elements: dict[Tag, RawPlace] | None = None,
        parent: "Dataset | None" = None,
        default_encoding: str = "Latin1",
        pixel_data_tag: Tag | None = None,
        pixel_data_vr: str | None = None,
    ) -> None:
        self.buffer = buffer
        self.start = start
        self.end = end
        self.encoding = encoding
        self.parent = parent
        self.depth: int = 0 if parent is None else parent.depth + 1
        self.default_encoding = default_encoding
        self.pixel_data_tag = pixel_data_tag
        self.pixel_data_vr = pixel_data_vr
        self._ends = {} if ends is None else ends
        self._elements = elements
        self._character_set: CharacterSet | None = None

    @property
    def elements(self) -> dict[Tag, RawPlace]:
        """Where each value is: (VR or empty, offset, length in bytes), by tag."""
        if self._elements is None:
            found = scan.scan(
                self.buffer, self.start, self.end, self.encoding, self._ends, stops_at_pixels=False
            )
            self._elements = found.elements
        return self._elements

    @property
    def character_set(self) -> CharacterSet:
        """What the bytes of text mean here. PS3.3 C.12.1.1.2."""
        if self._character_set is None:
            place = self.elements.get(SPECIFIC_CHARACTER_SET)
            if place is None and self.parent is not None:
                self._character_set = self.parent.character_set
            else:
                raw = b"" if place is None else self._bytes((place[0], place[1], min(place[2], 1024)))
                self._character_set = CharacterSet.parse(raw.decode("latin_1"), self.default_encoding)
        return self._character_set

    def __iter__(self) -> Iterator[Tag]:
        return iter(self.elements)

    def __contains__(self, tag: Tag) -> bool:
        return tag in self.elements

    def __len__(self) -> int:
        return len(self.elements)

    def element(self, tag: Tag) -> Element | None:
        """Say where an element is; None if absent."""
        place = self.elements.get(tag)
        return None if place is None else Element(tag, self.vr(tag), place[1], place[2])

    def vr(self, tag: Tag) -> str:
        """Give the VR the bytes say, else the dictionary's; `UN` if neither knows."""
        place = self.elements.get(tag)
        written = "" if place is None else place[0]
        if written and written != "UN":
            return written
        return self._dictionary_vr(tag, written)

    def private_creator(self, tag: Tag) -> str | None:
        """Give the creator of a private tag's block. PS3.5 7.8.1."""
        if not tag & 0x10000 or tag & 0xFFFF < 0x1000:
            return None
        reservation = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
        place = self.elements.get(reservation)
        # A name of more than 64 characters is no LO; reading it anew for each attribute would take long.
        return None if place is None or place[2] > _LONGEST_CREATOR else self.text(reservation)

    def raw(self, tag: Tag) -> bytes:
        """Give the bytes of a value, undecoded and with their padding; empty if the element is absent.

        Of a sequence, or of fragments, it is all items with their tags, without the final delimiter.
        """
        place = self.elements.get(tag)
        return b"" if place is None else self._bytes(place)

    def text(self, tag: Tag) -> str | None:
        """Give the values joined by backslashes, without padding at the end; None if absent, binary or a sequence.

        Numbers are in decimal; a numeric element without value is an empty text.
        """
        place = self.elements.get(tag)
        if place is None:
            return None
        vr = place[0]
        kind = KINDS.get(vr)
        if kind is not Kind.TEXT:
            vr = self.vr(tag)
            kind = KINDS.get(vr)
        if kind is Kind.TEXT:
            return decode_text(self._bytes(place), vr, self.character_set)
        if kind is Kind.NUMBERS:
            return number_text(self._bytes(place), vr, is_big_endian=self.encoding.is_big_endian)
        if kind is Kind.TAGS:
            return tags_text(self._bytes(place), is_big_endian=self.encoding.is_big_endian)
        return None

    def get(self, keyword: str, default: str = "") -> str:
        """Give the text of an attribute by keyword, `default` if absent.

        Raises
        ------
        UnknownTag
            If the dictionary has no such keyword.
        """
        text = self.text(lookup.tag_of(keyword))
        return default if text is None else text

    def int(self, tag: Tag) -> int | None:
        """Give the first value as an integer; None if absent or not one."""
        first = (self.text(tag) or "").partition("\\")[0].strip(" ")
        return int(first) if len(first) < _LONGEST_INTEGER and _INTEGER.fullmatch(first) else None

    def numbers(self, tag: Tag) -> Numbers:
        """Give the values of a binary numeric element (US, FD...); empty if absent or of another kind."""
        vr = self.vr(tag)
        if KINDS.get(vr) is not Kind.NUMBERS:
            return ()
        return numbers(self.raw(tag), vr, is_big_endian=self.encoding.is_big_endian)

    def items(self, tag: Tag) -> "list[Dataset]":
        """Give the items of a sequence; empty if absent or not a sequence.

        Raises
        ------
        Corrupt
            If sequences are nested deeper than 64, or there are too many items.
        """
        place = self.elements.get(tag)
        if place is None:
            return []
        if self.depth >= scan.MAXIMUM_DEPTH:
            raise Corrupt(f"Sequences are nested deeper than {scan.MAXIMUM_DEPTH}")
        _, offset, length = place
        found = scan.items(self.buffer, offset, offset + length, self.encoding, self._ends)
        return [
            Dataset(
                self.buffer,
                start,
                end,
                encoding,
                ends=self._ends,
                parent=self,
                default_encoding=self.default_encoding,
            )
            for start, end, encoding in found
        ]

    def _bytes(self, place: RawPlace) -> bytes:
        return bytes(self.buffer[place[1] : place[1] + place[2]])

    def _dictionary_vr(self, tag: Tag, written: str) -> str:
        """The dictionary's VR; where it depends on Pixel Representation (0028,0103), the data set around knows."""
        found = lookup.vr(tag, self.private_creator(tag))
        if found == "US" and lookup.is_signed_by_pixels(tag) and self._is_signed():
            return "SS"
        return found

    def _is_signed(self) -> bool:
        dataset: Dataset | None = self
        while dataset is not None:
            if PIXEL_REPRESENTATION in dataset:
                return dataset.int(PIXEL_REPRESENTATION) == 1
            dataset = dataset.parent
        return False
