"""The directory of a medium, DICOMDIR: what is in which file, by patient, study, series and instance.

PS3.3 F and PS3.10 8.6. Texts are the bytes of the instances, with their Specific Character Set (0008,0005).
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from struct import pack
from types import MappingProxyType

from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.encode import Value, Values, encode, encode_element
from hounsfield.dicom.part10 import Head, wrap_header
from hounsfield.dicom.scan import EXPLICIT_LITTLE
from hounsfield.dicom.tags import (
    ITEM,
    SERIES_INSTANCE_UID,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Tag,
)
from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, new_uid
from hounsfield.dicom.values import KINDS, Kind
from hounsfield.errors import Corrupt

MEDIA_STORAGE_DIRECTORY = "1.2.840.10008.1.3.10"
FILE_SET_ID = "HOUNSFIELD"

_LONGEST_VALUE = 4096
_MOST_ITEMS = 32
_IN_USE = 0xFFFF

_PATIENT_NAME, _PATIENT_ID = 0x00100010, 0x00100020
_STUDY_DATE, _STUDY_TIME = 0x00080020, 0x00080030
_DATES = (_STUDY_DATE, 0x00080021, 0x00080022, 0x00080023)
_TIMES = (_STUDY_TIME, 0x00080031, 0x00080032, 0x00080033)
_STUDY_DESCRIPTION, _STUDY_ID, _ACCESSION_NUMBER = 0x00081030, 0x00200010, 0x00080050
_MODALITY, _SERIES_NUMBER, _SERIES_DESCRIPTION = 0x00080060, 0x00200011, 0x0008103E
_SERIES = (_MODALITY, SERIES_INSTANCE_UID, _SERIES_NUMBER)
_INSTANCE_NUMBER = 0x00200013
_CONTENT_DATE, _CONTENT_TIME = 0x00080023, 0x00080033
_CONTENT_LABEL, _CONTENT_DESCRIPTION, _CONTENT_CREATOR = 0x00700080, 0x00700081, 0x00700084
_CONCEPT_NAME, _CONTENT_SEQUENCE, _RELATIONSHIP = 0x0040A043, 0x0040A730, 0x0040A010
_LABELLED = (
    _CONTENT_DATE,
    _CONTENT_TIME,
    _INSTANCE_NUMBER,
    _CONTENT_LABEL,
    _CONTENT_DESCRIPTION,
    _CONTENT_CREATOR,
)
_CLASS = "1.2.840.10008.5.1.4.1.1."


def _types(name: str, *lasts: str) -> dict[str, str]:
    return {_CLASS + last: name for last in lasts}


# PS3.3 F.3.2.2 and F.5; what is not here is an IMAGE.
_RECORD_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **_types("RT DOSE", "481.2"),
        **_types("RT STRUCTURE SET", "481.3"),
        **_types("RT TREAT RECORD", "481.4", "481.6", "481.7", "481.9"),
        **_types("RT PLAN", "481.5", "481.8"),
        **_types("PRESENTATION", *(f"11.{number}" for number in range(1, 13))),
        **_types("WAVEFORM", "9.1.1", "9.1.2", "9.1.3", "9.1.4", "9.2.1", "9.3.1", "9.4.1", "9.4.2", "9.5.1"),
        **_types(
            "WAVEFORM", "9.6.1", "9.6.2", "9.7.1", "9.7.2", "9.7.3", "9.7.4", "9.8.1", "9.100.1", "9.100.2"
        ),
        **_types("SR DOCUMENT", "88.11", "88.22", "88.33", "88.34", "88.35", "88.40", "88.50", "88.65"),
        **_types("SR DOCUMENT", *(f"88.{number}" for number in range(67, 77))),
        **_types("KEY OBJECT DOC", "88.59"),
        **_types("SPECTROSCOPY", "4.2"),
        **_types("RAW DATA", "66"),
        **_types("REGISTRATION", "66.1", "66.3"),
        **_types("FIDUCIAL", "66.2"),
        **_types("SURFACE", "66.5"),
        **_types("TRACT", "66.6"),
        **_types("VALUE MAP", "67"),
        **_types("STEREOMETRIC", "77.1.5.3"),
        **_types("ENCAP DOC", "104.1", "104.2", "104.3", "104.4", "104.5"),
        **_types("MEASUREMENT", *(f"78.{number}" for number in range(1, 9))),
    }
)
# The keys of each type beside those of all. PS3.3 F.5.4 to F.5.45.
_KEYS: Mapping[str, tuple[Tag, ...]] = MappingProxyType(
    {
        "IMAGE": (_INSTANCE_NUMBER,),
        "RT DOSE": (_INSTANCE_NUMBER, 0x3004000A),
        "RT STRUCTURE SET": (_INSTANCE_NUMBER, 0x30060002, 0x30060008, 0x30060009),
        "RT PLAN": (_INSTANCE_NUMBER, 0x300A0002, 0x300A0006, 0x300A0007),
        "RT TREAT RECORD": (_INSTANCE_NUMBER, 0x30080250, 0x30080251),
        "PRESENTATION": (
            0x00700082,
            0x00700083,
            _INSTANCE_NUMBER,
            _CONTENT_LABEL,
            _CONTENT_DESCRIPTION,
            _CONTENT_CREATOR,
            0x00081115,
        ),
        "WAVEFORM": (_INSTANCE_NUMBER, _CONTENT_DATE, _CONTENT_TIME),
        "SR DOCUMENT": (
            _INSTANCE_NUMBER,
            0x0040A491,
            0x0040A493,
            _CONTENT_DATE,
            _CONTENT_TIME,
            0x0040A030,
            _CONCEPT_NAME,
            _CONTENT_SEQUENCE,
        ),
        "KEY OBJECT DOC": (_INSTANCE_NUMBER, _CONTENT_DATE, _CONTENT_TIME, _CONCEPT_NAME, _CONTENT_SEQUENCE),
        "SPECTROSCOPY": (
            0x00080008,
            _CONTENT_DATE,
            _CONTENT_TIME,
            _INSTANCE_NUMBER,
            0x00280008,
            0x00280010,
            0x00280011,
            0x00289001,
            0x00289002,
        ),
        "RAW DATA": (_CONTENT_DATE, _CONTENT_TIME, _INSTANCE_NUMBER),
        "REGISTRATION": _LABELLED,
        "FIDUCIAL": _LABELLED,
        "SURFACE": _LABELLED,
        "TRACT": _LABELLED,
        "VALUE MAP": _LABELLED,
        "STEREOMETRIC": (),
        "ENCAP DOC": (
            _CONTENT_DATE,
            _CONTENT_TIME,
            _INSTANCE_NUMBER,
            0x00420010,
            0x0040E001,
            _CONCEPT_NAME,
            0x00420012,
        ),
        "MEASUREMENT": (_INSTANCE_NUMBER, _CONTENT_DATE, _CONTENT_TIME),
    }
)
# Attributes that only some data sets of a type need.
_CONDITIONAL = frozenset((0x00081115, 0x0040A030, _CONTENT_SEQUENCE, 0x0040E001))
_INVENTED: Mapping[Tag, str] = MappingProxyType({_SERIES_NUMBER: "0", _INSTANCE_NUMBER: "0", _STUDY_ID: "0"})
"""What stands for a missing value that must not be empty, and that identifies nobody."""


@dataclass(frozen=True, slots=True)
class DirectoryRecord:
    """What a DICOMDIR tells of one instance: its keys of each level, encoded, and what tells the levels apart."""

    patient_id: bytes
    study_instance_uid: str
    series_instance_uid: str
    record_type: str
    patient: bytes
    study: bytes
    series: bytes
    instance: bytes
    character_set: bytes
    """Empty if there is nothing but ASCII."""


def read_record(head: Head, *, is_extended: bool = False, now: datetime | None = None) -> DirectoryRecord:
    """What a DICOMDIR is to tell of an instance: with `is_extended` also the description of its series.

    `now` stands for dates that the instance lacks.

    Raises
    ------
    Corrupt
        If it has no SOP Class UID.
    """
    dataset = head.dataset
    sop_class_uid = (dataset.text(SOP_CLASS_UID) or "").strip()
    if not sop_class_uid:
        raise Corrupt("An instance without SOP Class UID cannot be listed in a DICOMDIR")
    record_type = _RECORD_TYPES.get(sop_class_uid, "IMAGE")
    moment = now or datetime.now(UTC)
    study = {
        **_values(dataset, (_STUDY_DESCRIPTION, STUDY_INSTANCE_UID, _STUDY_ID, _ACCESSION_NUMBER)),
        _STUDY_DATE: _first(dataset, _DATES) or moment.strftime("%Y%m%d").encode(),
        _STUDY_TIME: _first(dataset, _TIMES) or moment.strftime("%H%M%S").encode(),
    }
    instance = {
        **_values(dataset, _KEYS[record_type]),
        0x00041510: sop_class_uid,
        0x00041511: (dataset.text(SOP_INSTANCE_UID) or "").strip(),
        0x00041512: head.transfer_syntax_uid,
    }
    patient = _values(dataset, (_PATIENT_NAME, _PATIENT_ID))
    series = _values(dataset, _SERIES if not is_extended else (*_SERIES, _SERIES_DESCRIPTION))
    named = dataset.raw(SPECIFIC_CHARACTER_SET)[:_LONGEST_VALUE].rstrip(b" \0")
    is_extended_text = any(_is_extended(values) for values in (patient, study, series, instance))
    if is_extended_text and SPECIFIC_CHARACTER_SET not in dataset:
        named = b"ISO_IR 192"
    return DirectoryRecord(
        dataset.raw(_PATIENT_ID)[:_LONGEST_VALUE],
        dataset.text(STUDY_INSTANCE_UID) or "",
        dataset.text(SERIES_INSTANCE_UID) or "",
        record_type,
        _encoded(patient, named),
        _encoded(study, named),
        _encoded(series, named),
        _encoded(instance, named),
        named if is_extended_text else b"",
    )


def _values(dataset: Dataset, wanted: Iterable[Tag]) -> dict[Tag, Value]:
    """The values of attributes; empty ones for those that are missing but must be there."""
    found: dict[Tag, Value] = {}
    for tag in wanted:
        value = _value(dataset, tag)
        if not value and tag in _INVENTED:
            value = _INVENTED[tag]
        if value or tag not in _CONDITIONAL:
            found[tag] = value
    return found


def _value(dataset: Dataset, tag: Tag) -> Value:
    """A value to be written; empty if it is missing, or too long for a directory."""
    if lookup.vr(tag) == "SQ":
        items = dataset.items(tag)
        if tag == _CONTENT_SEQUENCE:  # PS3.3 F.5.25: only what modifies the title.
            items = [item for item in items if item.text(_RELATIONSHIP) == "HAS CONCEPT MOD"]
        return [_values(item, (each for each in item if each & 0xFFFF)) for item in items[:_MOST_ITEMS]]
    vr = dataset.vr(tag)
    if KINDS.get(lookup.vr(tag)) is Kind.TEXT is KINDS.get(vr):
        raw = _text(dataset, tag)
        return raw if len(raw) <= _LONGEST_VALUE else b""
    text = (dataset.text(tag) or "") if vr == lookup.vr(tag) else ""
    return text if len(text) <= _LONGEST_VALUE else ""


def _text(dataset: Dataset, tag: Tag) -> bytes:
    """A text as it is; in UTF-8 if nothing says what its bytes mean."""
    outermost = dataset
    while outermost.parent is not None:
        outermost = outermost.parent
    if SPECIFIC_CHARACTER_SET in outermost:
        return dataset.raw(tag).rstrip(b" \0")
    return (dataset.text(tag) or "").encode("utf-8", "replace")


def _first(dataset: Dataset, wanted: Iterable[Tag]) -> bytes:
    """The first of some texts that is there."""
    return next((raw for tag in wanted if (raw := dataset.raw(tag)[:16].rstrip(b" \0"))), b"")


def _is_extended(values: Values) -> bool:
    """Whether there is text that ASCII does not have: above 7 bits, or behind an escape sequence."""
    for value in values.values():
        if isinstance(value, bytes):
            if not value.isascii() or b"\x1b" in value:
                return True
        elif not isinstance(value, str) and any(_is_extended(item) for item in value):
            return True
    return False


def _encoded(values: Values, character_set: bytes) -> bytes:
    if character_set:
        values = {**values, SPECIFIC_CHARACTER_SET: character_set}
    return encode(values, EXPLICIT_LITTLE, CharacterSet.parse("ISO_IR 6"))


@dataclass(slots=True)
class _Node:
    """A record and those below it. `size` is that of its item in bytes, `total` that of all below it too."""

    record_type: str
    keys: bytes
    children: dict[object, "_Node"] = field(default_factory=dict)
    size: int = 0
    total: int = 0

    def below(self, key: object, record_type: str, keys: bytes) -> "_Node":
        """The record below this one under `key`, made if it is new."""
        found = self.children.get(key)
        if found is None:
            found = self.children[key] = _Node(record_type, keys)
        return found


def write_dicomdir(records: Iterable[tuple[str, DirectoryRecord]]) -> bytes:
    """A whole DICOMDIR. Each record comes with the path of its file in the file-set, components in capitals."""
    root = _Node("", b"")
    character_set = b""
    for path, record in records:
        character_set = character_set or record.character_set
        patient = root.below(record.patient_id, "PATIENT", record.patient)
        study = patient.below(record.study_instance_uid, "STUDY", record.study)
        series = study.below(record.series_instance_uid, "SERIES", record.series)
        file_id = path.replace("/", "\\").encode("ascii")
        keys = encode_element(0x00041500, "CS", file_id, EXPLICIT_LITTLE) + record.instance
        series.below(path, record.record_type, keys)
    _measure(root)
    return _written(root, character_set)


def _measure(node: _Node) -> None:
    for child in node.children.values():
        _measure(child)
    if node.record_type:
        node.size = 8 + len(_record(node, 0, 0))
    node.total = node.size + sum(child.total for child in node.children.values())


def _record(node: _Node, following: int, lower: int) -> bytes:
    """The elements of a record. PS3.3 F.3.2.2."""
    return (
        encode_element(0x00041400, "UL", pack("<I", following), EXPLICIT_LITTLE)
        + encode_element(0x00041410, "US", pack("<H", _IN_USE), EXPLICIT_LITTLE)
        + encode_element(0x00041420, "UL", pack("<I", lower), EXPLICIT_LITTLE)
        + encode_element(0x00041430, "CS", node.record_type.encode(), EXPLICIT_LITTLE)
        + node.keys
    )


def _written(root: _Node, character_set: bytes) -> bytes:
    header = wrap_header(MEDIA_STORAGE_DIRECTORY, new_uid(), EXPLICIT_VR_LITTLE_ENDIAN)
    before = len(header) + len(_file_set(0, 0, 0))
    patients = list(root.children.values())
    first = before if patients else 0
    last = before + root.total - patients[-1].total if patients else 0
    file_set = _file_set(first, last, root.total)
    # The records say what their texts are in. Tools of DCMTK want it said for all, if there is more than ASCII.
    named = (
        encode_element(SPECIFIC_CHARACTER_SET, "CS", character_set, EXPLICIT_LITTLE) if character_set else b""
    )
    return b"".join((header, file_set, *_items(root, before), named))


def _file_set(first: int, last: int, length: int) -> bytes:
    """All before the first record. PS3.3 F.3.2.1 and F.3.2.2."""
    return (
        encode_element(0x00041130, "CS", FILE_SET_ID.encode(), EXPLICIT_LITTLE)
        + encode_element(0x00041200, "UL", pack("<I", first), EXPLICIT_LITTLE)
        + encode_element(0x00041202, "UL", pack("<I", last), EXPLICIT_LITTLE)
        + encode_element(0x00041212, "US", pack("<H", 0), EXPLICIT_LITTLE)
        + pack("<HH2sHI", 0x0004, 0x1220, b"SQ", 0, length)
    )


def _items(node: _Node, offset: int) -> Iterator[bytes]:
    """The records below a node, each followed by those below it; the first is at `offset`."""
    left = len(node.children)
    for child in node.children.values():
        left -= 1
        following = offset + child.total if left else 0
        lower = offset + child.size if child.children else 0
        yield pack("<HHI", ITEM >> 16, ITEM & 0xFFFF, child.size - 8) + _record(child, following, lower)
        yield from _items(child, offset + child.size)
        offset += child.total
