"""Transfer syntaxes and SOP classes, against pydicom's reading of PS3.6."""

from uuid import UUID

import pytest
from pydicom.uid import UID, AllTransferSyntaxes

from hounsfield.dicom import uids


@pytest.mark.parametrize("uid", [str(uid) for uid in AllTransferSyntaxes])
def test_properties_agree_with_pydicom(uid: str) -> None:
    syntax, expected = uids.transfer_syntax(uid), UID(uid)
    assert syntax.is_explicit != expected.is_implicit_VR
    assert syntax.is_big_endian != expected.is_little_endian
    assert syntax.name == expected.name
    # Of JPIP, which only refers to pixels, and of SMPTE, which is never in files, pydicom says they are encapsulated.
    if "JPIP" not in syntax.name and "SMPTE" not in syntax.name:
        assert syntax.is_deflated == expected.is_deflated
        assert syntax.is_encapsulated == expected.is_encapsulated


@pytest.mark.parametrize(
    ("uid", "encapsulated", "deflated", "video"),
    [
        ("1.2.840.10008.1.2.5", True, False, False),
        ("1.2.840.10008.1.2.4.110", True, False, False),
        ("1.2.840.10008.1.2.4.112", True, False, False),
        ("1.2.840.10008.1.2.4.203", True, False, False),
        ("1.2.840.10008.1.2.8.1", True, False, False),
        ("1.2.840.10008.1.2.4.94", False, False, False),
        ("1.2.840.10008.1.2.4.95", False, True, False),
        ("1.2.840.10008.1.2.4.205", False, True, False),
        ("1.2.840.10008.1.2.4.100", True, False, True),
        ("1.2.840.10008.1.2.4.107", True, False, True),
        ("1.2.840.10008.1.2.4.104.1", True, False, True),
        ("1.2.840.10008.1.2.1.99", False, True, False),
    ],
)
def test_properties_of_the_less_common(uid: str, encapsulated: bool, deflated: bool, video: bool) -> None:
    syntax = uids.TRANSFER_SYNTAXES[uid]
    assert (syntax.is_encapsulated, syntax.is_deflated, syntax.is_video) == (encapsulated, deflated, video)


def test_an_unknown_syntax_is_taken_for_a_compressed_one() -> None:
    syntax = uids.transfer_syntax("1.2.3")
    assert syntax.is_explicit
    assert syntax.is_encapsulated
    assert not uids.transfer_syntax("").is_encapsulated


def test_storage_classes_are_those_of_instances() -> None:
    assert uids.STORAGE_SOP_CLASSES["1.2.840.10008.5.1.4.1.1.2"] == "CT Image Storage"
    assert "1.2.840.10008.5.1.4.1.1.77.1.6" in uids.STORAGE_SOP_CLASSES
    assert "1.2.840.10008.1.20.1" not in uids.STORAGE_SOP_CLASSES
    assert "1.2.840.10008.1.3.10" not in uids.STORAGE_SOP_CLASSES
    assert len(uids.STORAGE_SOP_CLASSES) > 190


def test_our_own_uids_are_valid() -> None:
    assert len(uids.IMPLEMENTATION_VERSION_NAME) <= 16
    assert UID(uids.IMPLEMENTATION_CLASS_UID).is_valid
    made = {uids.new_uid() for _ in range(100)}
    assert len(made) == 100
    assert all(UID(uid).is_valid for uid in made)
    assert uids.new_uid(UUID(int=7)) == "2.25.7"


def test_uids_have_names() -> None:
    assert uids.uid_name("1.2.840.10008.1.1") == "Verification SOP Class"
    assert uids.uid_name("1.2.3") is None
