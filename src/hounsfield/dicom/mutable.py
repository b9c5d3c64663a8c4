"""A data set that is being changed: what was read stays where it is, what is new lies beside it. PS3.5 7.

Writing copies the bytes of everything untouched, in stretches as long as possible, so that values, VRs, undefined
lengths and pixel data stay as they are. In a data set with changes only what was understood is written: group lengths,
the second of two equal elements, and bytes between elements are left out.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.encode import encode_element, encode_items, encode_text
from hounsfield.dicom.scan import SHORT_VRS, UNDEFINED, Buffer, Encoding, RawPlace
from hounsfield.dicom.tags import SEQUENCE_DELIMITATION, SPECIFIC_CHARACTER_SET, Tag
from hounsfield.dicom.values import KINDS, Kind, decode_text, number_text, tags_text

# PS3.5 6.1.2.3: the VRs whose text Specific Character Set (0008,0005) concerns.
CHARACTER_SET_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
_DELIMITERS = (b"\xfe\xff\xdd\xe0", b"\xff\xfe\xe0\xdd")
_SHORT_VRS = frozenset(SHORT_VRS.values())
_UNDEFINED = b"\xff\xff\xff\xff"

# A text, bytes to be written as they are, or the items of a sequence: values by tag.
NewValue = str | bytes | Sequence["NewValues"]
NewValues = Mapping[Tag, NewValue]


class NewElement(NamedTuple):
    """A value that was put in place, as it will be written but for its padding."""

    vr: str
    value: bytes


Change = NewElement | list["MutableDataset"] | None


class MutableDataset:
    """A data set, or an item, and what was changed in it.

    Parameters
    ----------
    source
        What was read; of a new item, an empty data set.
    parent
        The data set around an item.
    """

    __slots__ = ("_changes", "_folded", "_is_touched", "_items", "parent", "source")

    def __init__(self, source: Dataset, parent: "MutableDataset | None" = None) -> None:
        self.source, self.parent = source, parent
        self._changes: dict[Tag, Change] = {}
        self._items: dict[Tag, list[MutableDataset]] = {}
        self._folded: dict[Tag, list[tuple[bytes, Encoding]]] = {}
        self._is_touched = False

    @staticmethod
    def empty(encoding: Encoding, default_encoding: str = "Latin1") -> "MutableDataset":
        """A data set without elements."""
        return MutableDataset(Dataset(b"", 0, 0, encoding, elements={}, default_encoding=default_encoding))

    @property
    def encoding(self) -> Encoding:
        """How it is written."""
        return self.source.encoding

    @property
    def is_changed(self) -> bool:
        """Whether it, or an item in it, will not be written byte for byte."""
        if self._is_touched or self._changes or self._folded:
            return True
        return any(item.is_changed for items in self._items.values() for item in items)

    def touch(self) -> None:
        """Write only what was understood, even if nothing is changed."""
        self._is_touched = True

    def __iter__(self) -> Iterator[Tag]:
        return iter(self.tags())

    def tags(self) -> list[Tag]:
        """The tags that are there, in ascending order."""
        if not self._changes:
            return list(self.source.elements)
        changes = self._changes
        return [
            tag
            for tag in sorted({*self.source.elements, *changes})
            if tag not in changes or changes[tag] is not None
        ]

    def __contains__(self, tag: Tag) -> bool:
        return self._changes[tag] is not None if tag in self._changes else tag in self.source.elements

    def vr(self, tag: Tag) -> str:
        """The VR of an element; of one that is not there, the dictionary's."""
        change = self._changes.get(tag)
        if change is not None:
            return "SQ" if isinstance(change, list) else change.vr
        found = self.source.vr(tag)
        return lookup.vr(tag, self.private_creator(tag)) if found == "UN" and tag & 0x10000 else found

    def private_creator(self, tag: Tag) -> str | None:
        """The creator of a private tag's block. PS3.5 7.8.1."""
        if not tag & 0x10000 or tag & 0xFFFF < 0x1000:
            return None
        reservation = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
        if reservation not in self._changes:
            return self.source.private_creator(tag)
        return self.text(reservation)

    def raw(self, tag: Tag) -> bytes:
        """The bytes of a value; empty if the element is absent, or a sequence that was put in place."""
        if tag in self._changes:
            change = self._changes[tag]
            return change.value if isinstance(change, NewElement) else b""
        return self.source.raw(tag)

    def text(self, tag: Tag) -> str | None:
        """The values joined by backslashes; None if absent, binary or a sequence."""
        if tag not in self._changes:
            if self.parent is not None or SPECIFIC_CHARACTER_SET in self._changes:
                return self._decode(tag, self.source.raw(tag)) if tag in self.source else None
            return self.source.text(tag)
        change = self._changes[tag]
        return self._decode(tag, change.value) if isinstance(change, NewElement) else None

    def _decode(self, tag: Tag, raw: bytes) -> str | None:
        vr = self.vr(tag)
        kind = KINDS.get(vr, Kind.BINARY)
        if kind is Kind.TEXT:
            return decode_text(raw, vr, self.character_set)
        if kind is Kind.NUMBERS:
            return number_text(raw, vr, is_big_endian=self.encoding.is_big_endian)
        return tags_text(raw, is_big_endian=self.encoding.is_big_endian) if kind is Kind.TAGS else None

    @property
    def character_set(self) -> CharacterSet:
        """What the bytes of text mean here. PS3.3 C.12.1.1.2."""
        change = self._changes.get(SPECIFIC_CHARACTER_SET)
        if isinstance(change, NewElement):
            return CharacterSet.parse(change.value.decode("latin_1"), self.source.default_encoding)
        if SPECIFIC_CHARACTER_SET in self or self.parent is None:
            return self.source.character_set
        return self.parent.character_set

    def items(self, tag: Tag) -> "list[MutableDataset]":
        """The items of a sequence, to be read and changed; empty if absent or not a sequence.

        Raises
        ------
        Corrupt
            If sequences are nested too deeply, or there are too many items.
        """
        if tag in self._changes:
            change = self._changes[tag]
            return change if isinstance(change, list) else []
        found = self._items.get(tag)
        if found is None:
            folded = self._folded.pop(tag, None)
            if folded is None:
                found = [MutableDataset(item, self) for item in self.source.items(tag)]
            else:
                found = [self._unfold(data, encoding) for data, encoding in folded]
            self._items[tag] = found
        return found

    def fold(self, tag: Tag) -> None:
        """Write the items of a sequence already now, so that they take less memory; they can still be changed."""
        found = self._items.pop(tag, None)
        if found is not None:
            self._folded[tag] = [(item.to_bytes(), item.encoding) for item in found]

    def _unfold(self, data: bytes, encoding: Encoding) -> "MutableDataset":
        source = self.source
        item = Dataset(data, 0, len(data), encoding, parent=source, default_encoding=source.default_encoding)
        found = MutableDataset(item, self)
        found.touch()
        return found

    def remove(self, tag: Tag) -> None:
        """Take an element away; nothing happens if it is not there."""
        if tag in self.source.elements:
            self._changes[tag] = None
        else:
            self._changes.pop(tag, None)

    def remove_all(self, tags: Iterable[Tag]) -> None:
        """Take elements away that are there."""
        self._changes.update(dict.fromkeys(tags))

    def clear(self, tag: Tag) -> None:
        """Leave an element without value, or put it there so."""
        vr = self.vr(tag)
        self._changes[tag] = [] if vr == "SQ" else NewElement(vr, b"")

    def set_bytes(self, tag: Tag, value: bytes, vr: str | None = None) -> None:
        """Put a value in place as it will be written."""
        self._changes[tag] = NewElement(vr or self.vr(tag), value)

    def set_text(self, tag: Tag, text: str, vr: str | None = None) -> None:
        """Put a value in place, given as text.

        Raises
        ------
        BadRequest
            If it does not fit the VR.
        """
        vr = vr or self.vr(tag)
        self._changes[tag] = NewElement(vr, encode_text(tag, vr, text, self.encoding, self.character_set))

    def set_items(self, tag: Tag, items: Sequence[NewValues]) -> None:
        """Put a sequence in place.

        Raises
        ------
        BadRequest
            If a value does not fit its VR.
        """
        made: list[MutableDataset] = []
        for values in items:
            item = MutableDataset.empty(self.encoding, self.source.default_encoding)
            item.parent = self
            for each in sorted(values):
                item.set(each, values[each])
            made.append(item)
        self._changes[tag] = made

    def set(self, tag: Tag, value: NewValue) -> None:
        """Put a value in place, of any form.

        Raises
        ------
        BadRequest
            If it does not fit its VR.
        """
        if isinstance(value, str):
            self.set_text(tag, value)
        elif isinstance(value, bytes):
            self.set_bytes(tag, value)
        else:
            self.set_items(tag, value)

    def set_character_set(self, term: str) -> None:
        """Write all text that is there in another character set, dropping what that lacks. PS3.3 C.12.1.1.2."""
        target = CharacterSet.parse(term, self.source.default_encoding)
        self._convert(target)
        self._changes[SPECIFIC_CHARACTER_SET] = NewElement("CS", term.encode("ascii", "ignore"))

    def _convert(self, target: CharacterSet) -> None:
        before = self.character_set
        for tag in self.tags():
            vr = self.vr(tag)
            if vr == "SQ":
                for item in self.items(tag):
                    if SPECIFIC_CHARACTER_SET not in item:
                        item._convert(target)
            elif vr in CHARACTER_SET_VRS:
                raw = self.raw(tag)
                if not raw.isascii() or b"\x1b" in raw:
                    text = decode_text(raw, vr, before)
                    self._changes[tag] = NewElement(vr, target.encode(text, vr))

    def stretches(self) -> "list[tuple[int, int] | bytes]":
        """What is to be written, in order: where it is in the buffer it was read from, or new bytes.

        Raises
        ------
        Corrupt
            If sequences are nested too deeply.
        """
        source = self.source
        if not self.is_changed:
            return [(source.start, source.end)]
        view = memoryview(source.buffer)
        output: list[tuple[int, int] | bytes] = []
        changes, changed_items = self._changes, self._changed_items()
        start = end = 0  # The stretch of untouched bytes that is being gathered.
        for tag in sorted({*source.elements, *changes}):
            if tag not in changes and tag not in changed_items and tag & 0xFFFF:
                begin, following, is_closed = _extent(view, tag, source.elements[tag], source.encoding)
                if begin != end:
                    if end > start:
                        output.append((start, end))
                    start = begin
                end = following
                if is_closed:
                    continue
            if end > start:
                output.append((start, end))
            start = end = 0
            if tag in changes:
                change = changes[tag]
                if change is not None:
                    output.append(self._write_change(tag, change))
            elif tag in changed_items:
                output.append(self._write_sequence(tag, changed_items[tag]))
            elif tag & 0xFFFF:  # Its delimiter is missing.
                head = source.encoding.tag
                output.append(head.pack(SEQUENCE_DELIMITATION >> 16, SEQUENCE_DELIMITATION & 0xFFFF, 0))
        if end > start:
            output.append((start, end))
        return output

    def parts(self) -> list[Buffer]:
        """What is to be written, in order, without copies of what was read; errors as of `stretches`."""
        view = memoryview(self.source.buffer)
        return [each if isinstance(each, bytes) else view[each[0] : each[1]] for each in self.stretches()]

    def untouched_value(self, tag: Tag) -> tuple[int, int] | None:
        """Where the value of an element is in the buffer it was read from; None if it is absent, or another now."""
        is_untouched = tag not in self._changes and tag not in self._items and tag not in self._folded
        place = None if not is_untouched else self.source.elements.get(tag)
        return None if place is None else (place[1], place[1] + place[2])

    def to_bytes(self) -> bytes:
        """`parts` in one piece."""
        return b"".join(self.parts())

    def _changed_items(self) -> dict[Tag, list[tuple[bytes, Encoding]]]:
        """The sequences with changes in their items, which are written."""
        found = {
            tag: [(item.to_bytes(), item.encoding) for item in items]
            for tag, items in self._items.items()
            if tag not in self._changes and any(item.is_changed for item in items)
        }
        found.update((tag, items) for tag, items in self._folded.items() if tag not in self._changes)
        return found

    def _write_change(self, tag: Tag, change: "NewElement | list[MutableDataset]") -> bytes:
        if isinstance(change, list):
            return self._write_sequence(tag, [(item.to_bytes(), item.encoding) for item in change])
        return encode_element(tag, change.vr, change.value, self.encoding)

    def _write_sequence(self, tag: Tag, items: Sequence[tuple[bytes, Encoding]]) -> bytes:
        others = [encoding for _, encoding in items if encoding is not self.encoding]
        written = [data for data, _ in items]
        if not others and not self.is_fragmented(tag):
            return encode_items(tag, written, self.encoding)
        # Items that stayed implicit inside an explicit data set do so as an unknown VR, whose undefined length
        # tells that it is a sequence: PS3.5 6.2.2. So it does where the VR is not written.
        inner, outer = (others or [self.encoding])[0], self.encoding
        head = outer.tag.pack(tag >> 16, tag & 0xFFFF, UNDEFINED)
        if outer.is_explicit:
            vr = b"UN" if others else b"SQ"
            head = outer.head.pack(tag >> 16, tag & 0xFFFF, vr, 0) + _UNDEFINED
        content = b"".join(inner.tag.pack(0xFFFE, 0xE000, len(each)) + each for each in written)
        return head + content + inner.tag.pack(0xFFFE, 0xE0DD, 0)

    def is_fragmented(self, tag: Tag) -> bool:
        """Whether an untouched element was read with an undefined length: fragments, or a sequence. PS3.5 7.5, A.4."""
        place = None if tag in self._changes else self.source.elements.get(tag)
        return place is not None and bytes(self.source.buffer[place[1] - 4 : place[1]]) == _UNDEFINED


def values_of(dataset: Dataset, tags: Iterable[Tag]) -> dict[Tag, NewValue]:
    """The values of some attributes, to be put into another data set whatever its character set and encoding.

    Raises
    ------
    Corrupt
        If sequences are nested too deeply.
    """
    found: dict[Tag, NewValue] = {}
    for tag in tags:
        if tag not in dataset or not tag & 0xFFFF:
            continue
        kind = KINDS.get(dataset.vr(tag), Kind.BINARY)
        if kind is Kind.SEQUENCE:
            found[tag] = [values_of(item, item) for item in dataset.items(tag)]
        elif kind is Kind.BINARY:
            found[tag] = dataset.raw(tag)
        else:
            found[tag] = dataset.text(tag) or ""
    return found


def _extent(view: memoryview, tag: Tag, place: RawPlace, encoding: Encoding) -> tuple[int, int, bool]:
    """Where an element begins, where it ends, and whether it does not lack its delimiter."""
    vr, offset, length = place
    head = 8
    if encoding.is_explicit and vr and vr not in _SHORT_VRS:
        group, element, _ = encoding.tag.unpack_from(view, offset - 8)
        if (group << 16 | element) != tag:
            head = 12
    end = offset + length
    if vr in ("SQ", "OB", "OW") and view[offset - 4 : offset] == _UNDEFINED:
        is_closed = bytes(view[end : end + 4]) in _DELIMITERS
        return offset - head, end + 8 * is_closed, is_closed
    return offset - head, end, True
