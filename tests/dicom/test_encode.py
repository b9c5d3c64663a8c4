"""What is written reads back, and pydicom agrees."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from struct import pack

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from hounsfield.dicom import json, scan, uids
from hounsfield.dicom.charset import CharacterSet
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.encode import Values, encode, write
from hounsfield.dicom.part10 import read_head, read_whole, wrap_header
from hounsfield.errors import BadRequest

Write = Callable[..., bytes]
ENCODINGS = [
    (scan.EXPLICIT_LITTLE, ExplicitVRLittleEndian),
    (scan.IMPLICIT_LITTLE, ImplicitVRLittleEndian),
    (scan.EXPLICIT_BIG, ExplicitVRBigEndian),
]
VALUES: Values = {
    0x00080005: "ISO_IR 192",
    0x00080016: "1.2.840.10008.5.1.4.1.1.7",
    0x00080018: "1.2.3",
    0x00081140: [{0x00081150: "1.2", 0x00081155: "1.2.4"}, {}],
    0x00090010: "SIEMENS CSA HEADER",
    0x00091010: b"abc",
    0x00100010: "Müller^Zoé=山田",
    0x00100020: "",
    0x00189089: "0.5\\-1",
    0x00280009: "0018,1063\\FrameTime",
    0x00280010: "512",
}


@pytest.mark.parametrize(("encoding", "syntax"), ENCODINGS)
def test_values_are_written_in_every_encoding(encoding: scan.Encoding, syntax: pydicom.uid.UID) -> None:
    data = encode(VALUES, encoding)
    theirs = pydicom.dcmread(BytesIO(wrap_header("1.2", "1.2.3", syntax) + data))
    assert str(theirs.PatientName) == VALUES[0x00100010]
    assert [item.get("ReferencedSOPInstanceUID") for item in theirs.ReferencedImageSequence] == [
        "1.2.4",
        None,
    ]
    assert theirs.DiffusionGradientOrientation == [0.5, -1]
    assert theirs.FrameIncrementPointer == [0x00181063, 0x00181063]
    assert theirs.Rows == 512
    assert theirs[0x00091010].value == b"abc\0" if encoding.is_explicit else True
    ours = read_head(data, transfer_syntax_uid=syntax).dataset
    assert ours.get("PatientName") == VALUES[0x00100010]
    assert ours.text(0x00280009) == "0018,1063\\0018,1063"


@pytest.mark.parametrize(
    ("tag", "text"), [(0x00280010, "x"), (0x00280010, "70000"), (0x00280009, "nope"), (0x00189089, "1e")]
)
def test_a_value_of_a_wrong_kind_is_a_bad_request(tag: int, text: str) -> None:
    with pytest.raises(BadRequest):
        encode({tag: text}, scan.EXPLICIT_LITTLE)


def test_too_long_a_value_is_written_as_unknown() -> None:
    data = encode({0x00080018: "1.2.3.4", 0x00081030: "a" * 70_000}, scan.EXPLICIT_LITTLE)
    found = Dataset(data, 0, len(data), scan.EXPLICIT_LITTLE)
    assert found.get("StudyDescription") == "a" * 70_000


@pytest.mark.parametrize(("encoding", "syntax"), ENCODINGS)
@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "MR_small_bigendian.dcm", "rtplan.dcm", "MR_small_implicit.dcm", "test-SR.dcm"]
)
def test_a_file_written_in_another_encoding_says_the_same(
    name: str, encoding: scan.Encoding, syntax: pydicom.uid.UID
) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    before = read_head(Path(path).read_bytes()).dataset
    after = read_head(write(before, encoding), transfer_syntax_uid=syntax).dataset
    everything = frozenset(before)
    ignored = json.full(before, ignore_length=everything)
    ignored.pop("7fe0,0010", None)
    assert json.full(after, ignore_length=everything) == ignored


def test_changes_are_made_in_the_character_set_of_the_file(file: Write, dataset: Write) -> None:
    extra = {0x00080005: ("CS", b"ISO_IR 100"), 0x00280010: ("US", b"\1\0")}
    before = read_head(file(dataset(extra))).dataset
    changed = write(before, scan.EXPLICIT_LITTLE, {0x00100010: "Zoé", 0x00280010: None, 0x00080050: "A"})
    found = read_head(changed, transfer_syntax_uid=uids.EXPLICIT_VR_LITTLE_ENDIAN).dataset
    assert found.raw(0x00100010) == b"Zo\xe9 "
    assert found.get("AccessionNumber") == "A"
    assert 0x00280010 not in found
    assert found.get("PatientID") == "ID42"


def test_an_unchanged_little_endian_data_set_is_the_same_bytes(dataset: Write) -> None:
    data = dataset({0x00189089: ("FD", pack("<d", 1.5)), 0x00081140: ("SQ", b"\xfe\xff\x00\xe0\0\0\0\0")})
    found = read_head(data, transfer_syntax_uid=uids.EXPLICIT_VR_LITTLE_ENDIAN).dataset
    assert write(found, scan.EXPLICIT_LITTLE) == data


def test_without_a_character_set_only_ascii_is_written() -> None:
    assert encode({0x00100010: "Zoé"}, scan.IMPLICIT_LITTLE).endswith(b"Zo")
    assert encode({0x00100010: "Zoé"}, scan.IMPLICIT_LITTLE, CharacterSet.parse(None)).endswith(b"Zo\xe9 ")


def test_fragments_stay_fragments(dataset: Write, element: Write) -> None:
    fragments = b"\xfe\xff\x00\xe0\0\0\0\0\xfe\xff\x00\xe0\x02\0\0\0ab\xfe\xff\xdd\xe0\0\0\0\0"
    data = (
        dataset() + element(0x7FE00010, "OB", fragments, length=0xFFFFFFFF) + element(0xFFFCFFFC, "OB", b"ab")
    )
    whole = read_whole(data, transfer_syntax_uid="1.2.840.10008.1.2.4.50").dataset
    assert write(whole, scan.EXPLICIT_LITTLE) == data
    with pytest.raises(BadRequest):
        write(whole, scan.IMPLICIT_LITTLE)
