"""Small data sets as decoded values: the identifiers of queries and retrievals, worklist entries, action information.

An identifier (PS3.7 9.1.2) is a data set without pixel data. Here it is a mapping from tags to texts, in which a
backslash separates values, and to lists of such mappings for sequences.
"""

from collections.abc import Mapping, Sequence

from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.encode import encode
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.scan import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, Buffer, Encoding
from hounsfield.dicom.tags import SPECIFIC_CHARACTER_SET, Tag, format_tag
from hounsfield.dicom.uids import transfer_syntax
from hounsfield.errors import BadRequest, Corrupt

KeyValue = str | Sequence["Keys"]
Keys = Mapping[Tag, KeyValue]

MAXIMUM_BYTES = 8 << 20
"""Of one identifier: those of real programs have a few hundred."""
_SHORTEST = 8


def read_keys(
    data: Buffer, transfer_syntax_uid: str, default_encoding: str = "Latin1"
) -> dict[Tag, KeyValue]:
    """Decode a bare data set; binary values count as empty texts, group lengths are left out.

    Raises
    ------
    Corrupt
        If it is too large, or cannot be read to its end.
    """
    if len(data) > MAXIMUM_BYTES:
        raise Corrupt(f"An identifier of {len(data)} bytes is too large")
    if len(data) < _SHORTEST:
        if len(data):
            raise Corrupt("An identifier is cut off")
        return {}
    head = read_head(data, transfer_syntax_uid=transfer_syntax_uid, default_encoding=default_encoding)
    if head.is_truncated:
        raise Corrupt("An identifier is cut off")
    return decode_keys(head.dataset)


def decode_keys(dataset: Dataset) -> dict[Tag, KeyValue]:
    """The values of a data set, or of an item."""
    found: dict[Tag, KeyValue] = {}
    for tag in dataset.elements:
        if not tag & 0xFFFF or tag >> 16 < 0x0008:
            continue
        if dataset.vr(tag) == "SQ":
            found[tag] = [decode_keys(item) for item in dataset.items(tag)]
        else:
            found[tag] = dataset.text(tag) or ""
    return found


def encoding_of(transfer_syntax_uid: str) -> Encoding:
    """How the elements of a data set are encoded in a transfer syntax."""
    syntax = transfer_syntax(transfer_syntax_uid)
    if syntax.is_big_endian:
        return EXPLICIT_BIG
    return EXPLICIT_LITTLE if syntax.is_explicit else IMPLICIT_LITTLE


def write_keys(keys: Keys, transfer_syntax_uid: str, character_set: CharacterSet | None = None) -> bytes:
    """Encode a data set, in the VRs of the dictionary and the character set that it names or is given.

    Raises
    ------
    BadRequest
        If a value does not fit its VR.
    """
    return encode(keys, encoding_of(transfer_syntax_uid), character_set)


def keys_of_names(names: Mapping[str, object]) -> dict[Tag, KeyValue]:
    """Keys from JSON, in the short or in the human format.

    Raises
    ------
    UnknownTag
        For a name that is in no dictionary.
    BadRequest
        For a value that is neither a text nor a sequence.
    """
    return {lookup.parse_tag(name): _value_of_json(name, value) for name, value in names.items()}


def _value_of_json(name: str, value: object) -> KeyValue:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, dict) for item in value):
        return [keys_of_names(item) for item in value]
    raise BadRequest(f'Tag "{name}" must be associated with a string')


def short_names(keys: Keys) -> dict[str, object]:
    """The keys as JSON in the short format: by `gggg,eeee`."""
    return {
        format_tag(tag): value if isinstance(value, str) else [short_names(item) for item in value]
        for tag, value in sorted(keys.items())
    }


def simple_names(keys: Keys) -> dict[str, object]:
    """The keys as JSON in the human format: by keyword."""
    written: dict[str, object] = {}
    for tag, value in sorted(keys.items()):
        creator = _creator(keys, tag)
        name = lookup.name(tag, creator)
        written[name] = value if isinstance(value, str) else [simple_names(item) for item in value]
    return written


def _creator(keys: Keys, tag: Tag) -> str | None:
    """The creator of a private attribute, if the keys name it. PS3.5 7.8.1."""
    if not tag & 0x10000 or tag & 0xFFFF < 0x1000:
        return None
    return text_of(keys, (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)) or None


def full_names(keys: Keys) -> dict[str, object]:
    """The keys as JSON in the full format: with name and type."""
    written: dict[str, object] = {}
    for tag, value in sorted(keys.items()):
        creator = _creator(keys, tag)
        entry: dict[str, object] = {"Name": lookup.name(tag, creator)}
        if creator is not None:
            entry["PrivateCreator"] = creator
        if isinstance(value, str):
            entry |= {"Type": "String", "Value": value}
        else:
            entry |= {"Type": "Sequence", "Value": [full_names(item) for item in value]}
        written[format_tag(tag)] = entry
    return written


def text_of(keys: Keys, tag: Tag) -> str:
    """The text of a key, empty if it is absent or a sequence."""
    value = keys.get(tag, "")
    return value if isinstance(value, str) else ""


def character_set_of(keys: Keys, default_encoding: str) -> CharacterSet:
    """The character set that keys name, else the default one."""
    return CharacterSet.parse(text_of(keys, SPECIFIC_CHARACTER_SET), default_encoding)
