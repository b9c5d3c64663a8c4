"""The JSON of DICOMweb and the XML made from it."""

from base64 import b64encode
from collections.abc import Callable
from struct import pack
from xml.etree import ElementTree

import pytest

from hounsfield.dicom import uids
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dicom_json import BinaryMode, JsonObject, Options, dicom_json
from hounsfield.dicom.native_model import NAMESPACE, native_model
from hounsfield.dicom.part10 import read_head, read_whole

Write = Callable[..., bytes]
Read = Callable[..., Dataset]


@pytest.fixture
def read(file: Write, dataset: Write) -> Read:
    def read(extra: dict[int, tuple[str, bytes]], **how: bool) -> Dataset:
        syntax = uids.EXPLICIT_VR_BIG_ENDIAN if how.get("big") else uids.EXPLICIT_VR_LITTLE_ENDIAN
        return read_head(file(dataset(extra, **how), syntax)).dataset

    return read


@pytest.mark.parametrize(
    ("tag", "vr", "raw", "expected"),
    [
        (0x00200013, "IS", b" 5\\-6 ", [5, -6]),
        (0x00200013, "IS", b"abc ", []),
        (0x00200013, "IS", b"1_0 ", []),
        (0x00101030, "DS", b" 2.50 \\-3e2\\333.\\9,125\\zz", ["2.50", "-3e2", "333", "9.125"]),
        (0x00080008, "CS", b"a\\\\b\\", ["a", None, "b", None]),
        (0x00204000, "LT", b" a\\b \r\nc ", ["a\\b \r\nc"]),
        (0x00080014, "UI", b"1.2\0", ["1.2"]),
        (0x00080005, "CS", b"\\ISO 2022 IR 87 ", ["ISO 2022 IR 87"]),
        (0x00280009, "AT", b"\x08\x00\x1a\x00", ["0008001A"]),
        (0x00280010, "US", b"\0\2", [512]),
        (0x00186020, "SL", b"\xff\xff\xff\xff", [-1]),
        (0x00720083, "UV", pack("<2Q", 2**63, 7), ["9223372036854775808", 7]),
        (0x00189089, "FD", pack("<3d", 2, 0.1, 1e300), [2, 0.1, 1e300]),
        (0x00189089, "FD", pack("<2d", float("nan"), float("-inf")), ["NaN", "-Infinity"]),
        (0x00186024, "FL", pack("<f", 0.1), [0.10000000149011612]),
    ],
)
def test_values_have_their_json_types(
    read: Read, tag: int, vr: str, raw: bytes, expected: list[object]
) -> None:
    assert dicom_json(read({tag: (vr, raw)}))[f"{tag:08X}"] == {"Value": expected, "vr": vr}


def test_names_have_the_groups_that_are_written(read: Read) -> None:
    found = dicom_json(read({0x00100010: ("PN", b"A=B="), 0x00101001: ("PN", b"X^Y\\\\Z ")}))
    assert found["00100010"] == {
        "Value": [{"Alphabetic": "A", "Ideographic": "B", "Phonetic": ""}],
        "vr": "PN",
    }
    assert found["00101001"] == {"Value": [{"Alphabetic": "X^Y"}, {}, {"Alphabetic": "Z"}], "vr": "PN"}


def test_empty_elements_have_only_a_vr(read: Read) -> None:
    extra = {
        0x00080050: ("SH", b"  "),
        0x00081140: ("SQ", b""),
        0x00420011: ("OB", b""),
        0x00280010: ("US", b""),
    }
    found = dicom_json(read(extra))
    assert [found[key] for key in ("00080050", "00081140", "00420011", "00280010")] == [
        {"vr": "SH"},
        {"vr": "SQ"},
        {"vr": "OB"},
        {"vr": "US"},
    ]


def test_whole_decimals_may_be_integers(read: Read) -> None:
    options = Options(are_decimals_numbers=True)
    found = dicom_json(read({0x00101030: ("DS", b"2.0\\2.5\\")}), options)
    assert found["00101030"] == {"Value": [2, "2.5", None], "vr": "DS"}


BINARY = {
    0x00420011: ("OB", b"%PDF"),
    0x00281201: ("OW", b"\1\0\2\0"),
    0x00091001: ("UN", b"ab"),
    0x7FE00010: ("OW", b"\0\0"),
}


class TestBinary:
    @pytest.mark.parametrize("big", [False, True])
    def test_values_are_inline_little_endian(self, read: Read, big: bool) -> None:
        words = b"\0\1\0\2" if big else b"\1\0\2\0"
        dataset = read({0x00281201: ("OW", words), 0x00420011: ("OB", b"%PDF")}, big=big)
        found = dicom_json(dataset, Options(BinaryMode.INLINE))
        assert found["00281201"] == {"InlineBinary": b64encode(b"\1\0\2\0").decode(), "vr": "OW"}
        assert found["00420011"] == {"InlineBinary": b64encode(b"%PDF").decode(), "vr": "OB"}
        assert dicom_json(dataset)["00281201"] == {"Value": [1, 2], "vr": "OW"}

    def test_values_have_addresses(self, read: Read, element: Write) -> None:
        inner = element(0x00420011, "OB", b"ab")
        item = b"\xfe\xff\x00\xe0" + pack("<I", len(inner)) + inner
        dataset = read({**BINARY, 0x0040A730: ("SQ", b"\xfe\xff\x00\xe0\0\0\0\0" + item)})
        found = dicom_json(dataset, Options(BinaryMode.ADDRESS, "http://h/bulk"))
        assert found["00420011"] == {"BulkDataURI": "http://h/bulk/00420011", "vr": "OB"}
        assert found["00091001"] == {"BulkDataURI": "http://h/bulk/00091001", "vr": "UN"}
        assert found["7FE00010"] == {"BulkDataURI": "http://h/bulk/7fe00010", "vr": "OW"}
        nested: JsonObject = {"00420011": {"BulkDataURI": "http://h/bulk/0040a730/2/00420011", "vr": "OB"}}
        assert found["0040A730"] == {"Value": [{}, nested], "vr": "SQ"}

    def test_values_may_be_left_out(self, read: Read) -> None:
        found = dicom_json(read(BINARY), Options(BinaryMode.OMIT))
        assert not {"00420011", "00281201", "00091001", "7FE00010"} & set(found)

    def test_pixels_of_a_whole_file_are_inline(self, file: Write, dataset: Write) -> None:
        found = dicom_json(read_whole(file(dataset(BINARY))).dataset)
        assert found["7FE00010"] == {"InlineBinary": "AAA=", "vr": "OW"}
        assert found["00091001"] == {"InlineBinary": "YWI=", "vr": "UN"}


def test_only_the_tags_asked_for_are_given(read: Read) -> None:
    assert list(dicom_json(read({}), only=[0x00100020])) == ["00100020"]


def test_xml_says_the_same(read: Read, element: Write) -> None:
    uid = element(0x00081150, "UI", b"1.2\0")
    extra = {
        0x00100010: ("PN", b"Doe^J<n&=\xe9"),
        0x00080008: ("CS", b"a\\\\b\1"),
        0x00081140: ("SQ", b"\xfe\xff\x00\xe0" + pack("<I", len(uid)) + uid),
        0x00090010: ("LO", b"SIEMENS CSA HEADER"),
        0x00420011: ("OB", b"%PDF"),
    }
    root = ElementTree.fromstring(native_model(dicom_json(read(extra))))
    names = {"n": NAMESPACE}
    assert root.tag == f"{{{NAMESPACE}}}NativeDicomModel"

    def at(path: str) -> list[str | None]:
        return [found.text for found in root.findall(path, names)]

    name = "n:DicomAttribute[@keyword='PatientName']/n:PersonName"
    assert at(f"{name}/n:Alphabetic/n:GivenName") == ["J<n&"]
    assert at(f"{name}/n:Ideographic/n:FamilyName") == ["é"]
    assert at("n:DicomAttribute[@tag='00080008']/n:Value") == ["a", None, "b"]
    assert at(
        "n:DicomAttribute[@vr='SQ']/n:Item/n:DicomAttribute[@keyword='ReferencedSOPClassUID']/n:Value"
    ) == ["1.2"]
    assert at("n:DicomAttribute[@tag='00420011']/n:InlineBinary") == ["JVBERg=="]
    assert at("n:DicomAttribute[@keyword='PrivateCreator']/n:Value") == ["SIEMENS CSA HEADER"]
