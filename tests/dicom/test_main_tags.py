"""What the index keeps of an instance."""

from collections.abc import Callable

from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS, extract, main_tags, normalize, sequences
from hounsfield.dicom.part10 import read_head

Write = Callable[..., bytes]


def test_the_signature_lists_the_tags() -> None:
    assert DEFAULT_MAIN_TAGS.signature(Level.INSTANCE) == (
        "0008,0012;0008,0013;0008,0018;0020,0012;0020,0013;0020,0032;0020,0037;0020,0100;0020,4000;0028,0008;"
        "0054,1330"
    )


def test_tags_are_read_by_level(file: Write, dataset: Write) -> None:
    found = read_head(file(dataset({0x00200013: ("IS", b"7 "), 0x00541330: ("US", b"\3\0")}))).dataset
    assert extract(found, Level.PATIENT) == {"0010,0010": "DOE^JOHN", "0010,0020": "ID42"}
    assert extract(found, Level.STUDY) == {"0020,000d": "1.2.3.1"}
    assert extract(found, Level.INSTANCE) == {"0008,0018": "1.2.3.4", "0020,0013": "7", "0054,1330": "3"}


def test_null_binary_and_long_values_are_left_out_and_empty_ones_kept(file: Write, dataset: Write) -> None:
    extra = {
        0x00081030: ("LO", b""),
        0x00080080: ("LO", b"a" * 257),
        0x00080090: ("PN", b"a" * 256),
        0x00080050: ("OB", b"ab"),
        0x00540081: ("US", b""),
        0x00321060: ("LO", b"a" + b" " * 5000),
    }
    found = read_head(file(dataset(extra))).dataset
    assert extract(found, Level.STUDY) == {
        "0008,0090": "a" * 256,
        "0008,1030": "",
        "0020,000d": "1.2.3.1",
        "0032,1060": "a",
    }
    assert "0054,0081" not in extract(found, Level.SERIES)


def test_configured_tags_are_added(file: Write, dataset: Write) -> None:
    chosen = main_tags({Level.STUDY: [0x00100010]})
    assert chosen.signature(Level.STUDY).startswith("0008,0020;")
    assert "0010,0010" in chosen.signature(Level.STUDY)
    assert chosen.by_level[Level.SERIES] == DEFAULT_MAIN_TAGS.by_level[Level.SERIES]
    assert extract(read_head(file(dataset())).dataset, Level.STUDY, chosen)["0010,0010"] == "DOE^JOHN"
    assert chosen.level_of(0x00100010) is Level.PATIENT
    assert chosen.level_of(0x00280010) is None


def test_sequences_are_kept_apart(file: Write, dataset: Write, element: Write) -> None:
    code = element(0x00401001, "SH", b"P1")
    item = b"\xfe\xff\x00\xe0" + len(code).to_bytes(4, "little") + code
    found = read_head(file(dataset({0x00400275: ("SQ", item)}))).dataset
    assert "0040,0275" not in extract(found, Level.SERIES)
    assert sequences(found, Level.STUDY) == {}
    value = {"0040,1001": {"Name": "RequestedProcedureID", "Type": "String", "Value": "P1"}}
    assert sequences(found, Level.SERIES) == {
        "0040,0275": {"Name": "RequestAttributesSequence", "Type": "Sequence", "Value": [value]}
    }


def test_identifiers_are_searched_without_accents_and_case() -> None:
    assert normalize("  Zoé^müller ") == "ZOE^MULLER"
    assert normalize("doe^john") == "DOE^JOHN"
    assert normalize("") == ""
