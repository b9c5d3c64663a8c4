"""Writing the identifiers of C-FIND responses, of which one query may give thousands. PS3.4 C.4.1.1.3.2.

What is the same in all of them is worked out once: which elements, in which order, with which bytes in front.
"""

from collections.abc import Mapping
from struct import Struct, pack
from typing import NamedTuple

from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.encode import encode
from hounsfield.dicom.keys import Keys, KeyValue, encoding_of, text_of
from hounsfield.dicom.scan import SHORT_VRS, Encoding
from hounsfield.dicom.tags import SOP_CLASS_UID, SPECIFIC_CHARACTER_SET, Tag, format_tag
from hounsfield.dicom.values import KINDS, Kind
from hounsfield.errors import BadRequest
from hounsfield.index.answers import Answer

_LONGEST = 0xFFFE


class _Element(NamedTuple):
    """What is known of an element before its value: its key in the index, its header without length, its padding."""

    tag: Tag
    key: str
    vr: str
    header: bytes
    padding: bytes


class AnswerWriter:
    """Writes one identifier after the other, of the attributes in `keys` and those in `fixed`."""

    def __init__(
        self,
        keys: Keys,
        transfer_syntax_uid: str,
        character_set: CharacterSet,
        fixed: Mapping[Tag, str],
    ) -> None:
        self._keys = keys
        self._encoding = encoding = encoding_of(transfer_syntax_uid)
        self._character_set = character_set
        self._length = _length_of(encoding)
        self._fixed = {**fixed, SPECIFIC_CHARACTER_SET: character_set.term}
        self.wanted = frozenset(
            tag for tag in keys if tag >> 16 >= 0x0008 and tag & 0xFFFF and tag not in self._fixed
        )
        """The attributes whose values are to be given to `write`."""
        self._plan = [self._prepare(tag) for tag in sorted({*self.wanted, *self._fixed})]

    def _prepare(self, tag: Tag) -> _Element | bytes:
        """An element, or all its bytes if they are the same in all answers."""
        fixed = self._fixed.get(tag)
        if fixed is not None:
            return encode({tag: fixed}, self._encoding, self._character_set)
        vr = lookup.vr(tag, self._creator(tag))
        order = ">" if self._encoding.is_big_endian else "<"
        header = pack(order + "HH", tag >> 16, tag & 0xFFFF)
        if self._encoding.is_explicit:
            header += vr.encode()
        is_fast = KINDS.get(vr) is Kind.TEXT and (vr.encode() in SHORT_VRS or not self._encoding.is_explicit)
        return _Element(tag, format_tag(tag), vr, header if is_fast else b"", b"\0" if vr == "UI" else b" ")

    def _creator(self, tag: Tag) -> str | None:
        """The creator of a private attribute, which the keys name. PS3.4 C.2.2.2."""
        if not tag & 0x10000 or tag & 0xFFFF < 0x1000:
            return None
        return text_of(self._keys, (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)) or None

    def write(self, known: Mapping[Tag, KeyValue], answer: Answer) -> bytes:
        """The identifier of one answer; what neither `known` nor the index has is empty."""
        parts: list[bytes] = []
        codec = self._character_set.codec
        main_tags, computed, length = answer.main_tags, answer.computed, self._length
        for element in self._plan:
            if isinstance(element, bytes):
                parts.append(element)
                continue
            tag, key, vr, header, padding = element
            value: KeyValue | None = main_tags.get(key)
            if value is None:
                value = computed.get(tag)
            if value is None:
                value = known.get(tag)
            if value is None:
                value = self._otherwise(tag, answer)
            if not header or not isinstance(value, str):
                parts.append(self._slowly(tag, vr, value))
                continue
            if value.isascii() and codec is not None:
                raw = value.encode("ascii")
            else:
                raw = self._character_set.encode(value, vr)
            if len(raw) % 2:
                raw += padding
            if len(raw) > _LONGEST:
                parts.append(self._slowly(tag, vr, value))
            else:
                parts += (header, length.pack(len(raw)), raw)
        return b"".join(parts)

    def _otherwise(self, tag: Tag, answer: Answer) -> str:
        """What is known of an instance besides its main tags; a private creator is repeated as it was asked for."""
        if tag == SOP_CLASS_UID:
            return answer.sop_class_uid
        if tag & 0x10000 and tag & 0xFFFF < 0x1000:
            return text_of(self._keys, tag)
        return ""

    def _slowly(self, tag: Tag, vr: str, value: KeyValue) -> bytes:
        """A sequence, or a value of a VR that is not a short text; a missing binary number is left out."""
        if isinstance(value, str) and not value:
            if KINDS.get(vr) is Kind.NUMBERS:
                return b""
            if vr == "SQ":
                value = []
        values: dict[Tag, KeyValue] = {tag: value}
        creator = self._creator(tag)
        reservation = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
        if creator is not None:
            values[reservation] = creator
        try:
            written = encode(values, self._encoding, self._character_set)
        except BadRequest:  # A file may hold what its VR forbids: the attribute is then without value.
            return encode({tag: ""}, self._encoding, self._character_set)
        if creator is not None:
            written = written[len(encode({reservation: creator}, self._encoding, self._character_set)) :]
        return written


def _length_of(encoding: Encoding) -> Struct:
    order = ">" if encoding.is_big_endian else "<"
    return Struct(order + ("H" if encoding.is_explicit else "I"))
