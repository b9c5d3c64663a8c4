"""The three JSON formats."""

from collections.abc import Callable
from struct import pack

import pytest

from hounsfield.dicom import json
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.part10 import read_head, read_whole

Write = Callable[..., bytes]
Read = Callable[..., Dataset]


@pytest.fixture
def read(file: Write, dataset: Write) -> Read:
    def read(extra: dict[int, tuple[str, bytes]]) -> Dataset:
        return read_head(file(dataset(extra))).dataset

    return read


def test_texts_and_numbers_are_strings(read: Read) -> None:
    found = json.full(read({0x00280010: ("US", b"\0\2"), 0x00081030: ("LO", b"")}))
    assert found["0010,0010"] == {"Name": "PatientName", "Type": "String", "Value": "DOE^JOHN"}
    assert found["0028,0010"] == {"Name": "Rows", "Type": "String", "Value": "512"}
    assert found["0008,1030"] == {"Name": "StudyDescription", "Type": "String", "Value": ""}


def test_binary_values_and_missing_numbers_are_null(read: Read) -> None:
    found = json.full(read({0x00420011: ("OB", b"%PDF"), 0x00280010: ("US", b""), 0x00091001: ("UN", b"x ")}))
    for key in ("0042,0011", "0028,0010", "0009,1001"):
        value = found[key]
        assert isinstance(value, dict)
        assert (value["Type"], value["Value"]) == ("Null", None)


def test_long_values_are_withheld_unless_asked_for(read: Read) -> None:
    numbers = pack("<200H", *range(200))
    dataset = read(
        {
            0x00204000: ("LT", b"a" * 257),
            0x00104000: ("LT", b"a" * 256),
            0x00283006: ("US", numbers),
            0x0040A160: ("UT", b"\xe9" * 50_000),
        }
    )
    found = json.full(dataset)
    assert found["0020,4000"] == {"Name": "ImageComments", "Type": "TooLong", "Value": None}
    assert found["0028,3006"] == {"Name": "LUTData", "Type": "TooLong", "Value": None}
    assert json.simplified(dataset)["PatientComments"] == "a" * 256
    asked = json.short(dataset, ignore_length={0x00204000, 0x00283006, 0x0040A160})
    assert asked["0020,4000"] == "a" * 257
    assert asked["0028,3006"] == "\\".join(map(str, range(200)))
    assert asked["0040,a160"] == "é" * 50_000


def test_sequences_are_arrays_in_the_same_format(read: Read, element: Write) -> None:
    uid = element(0x00081150, "UI", b"1.2\0")
    item = b"\xfe\xff\x00\xe0" + pack("<I", len(uid)) + uid
    dataset = read({0x00081140: ("SQ", item), 0x00082112: ("SQ", b"")})
    assert json.simplified(dataset)["ReferencedImageSequence"] == [{"ReferencedSOPClassUID": "1.2"}]
    assert json.short(dataset)["0008,1140"] == [{"0008,1150": "1.2"}]
    assert json.full(dataset)["0008,1140"] == {
        "Name": "ReferencedImageSequence",
        "Type": "Sequence",
        "Value": [{"0008,1150": {"Name": "ReferencedSOPClassUID", "Type": "String", "Value": "1.2"}}],
    }
    assert json.simplified(dataset)["SourceImageSequence"] == []


def test_group_lengths_are_left_out(read: Read) -> None:
    assert "0010,0000" not in json.full(read({0x00100000: ("UL", b"\0\0\0\0")}))


def test_pixel_data_is_null(file: Write, dataset: Write) -> None:
    data = file(dataset({0x7FE00010: ("OW", b"\0\0"), 0xFFFCFFFC: ("OB", b"\0\0")}))
    assert json.full(read_head(data).dataset)["7fe0,0010"] == {
        "Name": "PixelData",
        "Type": "Null",
        "Value": None,
    }
    assert json.simplified(read_head(data).dataset)["PixelData"] is None
    whole = json.short(read_whole(data).dataset)
    assert whole["7fe0,0010"] is None
    assert "fffc,fffc" in whole
    floats = file(dataset({0x7FE00008: ("OF", b"\0\0\0\0")}))
    assert json.simplified(read_whole(floats).dataset)["FloatPixelData"] is None


def test_private_attributes_name_their_creator(read: Read) -> None:
    dataset = read(
        {
            0x00090010: ("LO", b"Lunit "),
            0x00091001: ("DS", b"98.41 "),
            0x00290010: ("LO", b"SIEMENS CSA HEADER"),
            0x00291008: ("CS", b"IMAGE NUM 4 "),
        }
    )
    found = json.full(dataset)
    assert found["0009,0010"] == {"Name": "PrivateCreator", "Type": "String", "Value": "Lunit"}
    assert found["0009,1001"] == {
        "Name": "Unknown Tag & Data",
        "PrivateCreator": "Lunit",
        "Type": "String",
        "Value": "98.41",
    }
    assert json.simplified(dataset)["CSAImageHeaderType"] == "IMAGE NUM 4"
    assert json.simplified(dataset)["Unknown Tag & Data"] == "98.41"


def test_only_the_tags_asked_for_are_given(read: Read) -> None:
    assert json.short(read({}), only=[0x00100020, 0x00100021]) == {"0010,0020": "ID42"}


def test_a_huge_private_creator_is_not_read_again_and_again(read: Read) -> None:
    extra = {0x00091000 + i: ("LO", b"") for i in range(256)}
    found = json.full(read({0x00090010: ("UN", b"x" * 1_000_000), **extra}))
    value = found["0009,1001"]
    assert isinstance(value, dict)
    assert "PrivateCreator" not in value
