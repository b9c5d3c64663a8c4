"""The dictionary, with the names clients rely on."""

import pytest
from pydicom._dicom_dict import DicomDictionary

from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.dictionary.lookup import UnknownTag
from hounsfield.errors import BadRequest


@pytest.mark.parametrize("text", ["0010,0020", "0010-0020", "00100020", "PatientID"])
def test_every_spelling_of_a_tag_is_understood(text: str) -> None:
    assert lookup.parse_tag(text) == 0x00100020


@pytest.mark.parametrize(
    "text", ["", "Nope", "0010,002", "0010 0020", "001０,0020", "0010,,0020", "patientid"]
)
def test_anything_else_is_an_unknown_tag_named_in_the_error(text: str) -> None:
    with pytest.raises(UnknownTag) as caught:
        lookup.parse_tag(text)
    assert isinstance(caught.value, BadRequest)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("tag", "name"),
    [
        (0x00101000, "OtherPatientIDs"),
        (0x00541330, "ImageIndex"),
        (0x00540081, "NumberOfSlices"),
        (0x00324000, "StudyComments"),
    ],
)
def test_retired_attributes_keep_their_plain_names(tag: int, name: str) -> None:
    assert lookup.keyword(tag) == name
    assert lookup.tag_of(name) == tag


def test_every_standard_attribute_is_known() -> None:
    for tag, (vr, _, _, _, keyword) in DicomDictionary.items():
        if keyword and vr != "NONE":
            assert lookup.keyword(tag) == keyword
            assert lookup.vr(tag) in vr


@pytest.mark.parametrize(
    ("tag", "name", "vr"),
    [
        (0x60003000, "OverlayData", "OW"),
        (0x60FE3000, "OverlayData", "OW"),
        (0x50020005, "CurveDimensions", "US"),
        (0x00203105, "SourceImageIDs", "CS"),
        (0x00280410, "RowsForNthOrderCoefficients", "US"),
        (0x00100000, "GenericGroupLength", "UL"),
        (0x00290010, "PrivateCreator", "LO"),
        (0x0006FFFF, "Unknown Tag & Data", "UN"),
        (0x00291010, "Unknown Tag & Data", "UN"),
    ],
)
def test_repeating_groups_and_unknown_ones(tag: int, name: str, vr: str) -> None:
    assert lookup.name(tag) == name
    assert lookup.vr(tag) == vr


def test_a_repeating_name_means_its_first_group() -> None:
    assert lookup.tag_of("OverlayData") == 0x60003000


def test_private_attributes_are_known_through_their_creator_in_any_block() -> None:
    for tag in (0x00291010, 0x00295510):
        assert lookup.name(tag, "SIEMENS CSA HEADER") == "CSAImageHeaderInfo"
        assert lookup.vr(tag, "SIEMENS CSA HEADER") == "OB"
    assert lookup.keyword(0x00291010, "somebody else") is None
    assert lookup.keyword(0x00290010, "SIEMENS CSA HEADER") == "PrivateCreator"


def test_every_private_block_can_be_read() -> None:
    for creator in lookup._private_blocks():
        for entry in lookup._private_block(creator).values():
            assert entry.vr
