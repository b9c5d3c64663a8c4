"""Public ids are the same as in every other server."""

from collections.abc import Callable

import pytest

from hounsfield.dicom.identifiers import Identifiers, MissingTag, identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import read_head

Write = Callable[..., bytes]

DUMMY_CT = Identifiers(
    "ozp00SjY2xG",
    "1.2.840.113619.2.176.2025.1499492.7391.1171285944.390",
    "1.2.840.113619.2.176.2025.1499492.7391.1171285944.394",
    "1.2.840.113619.2.176.2025.1499492.7040.1171286242.109",
)
PUBLIC_IDS = (
    "6816cb19-844d5aee-85245eba-28e841e6-2414fae2",
    "b9c08539-26f93bde-c81ab0d7-bffaf2cb-a4d0bdd0",
    "f2635388-f01d497a-15f7c06b-ad7dba06-c4c599fe",
    "66a662ce-7430e543-bad44d47-0dc5a943-ec7a538d",
)


def test_the_worked_example_has_the_published_ids() -> None:
    assert tuple(DUMMY_CT.public_id(level) for level in Level) == PUBLIC_IDS
    assert DUMMY_CT.public_ids() == PUBLIC_IDS


def test_a_missing_patient_id_is_an_empty_one(file: Write, dataset: Write) -> None:
    found = identify(read_head(file(dataset({0x00100020: ("LO", b"")}))).dataset)
    assert found.public_id(Level.PATIENT) == "da39a3ee-5e6b4b0d-3255bfef-95601890-afd80709"


def test_leading_spaces_and_case_count_trailing_spaces_do_not(file: Write, dataset: Write) -> None:
    ids = {
        identify(read_head(file(dataset({0x00100020: ("LO", raw)}))).dataset).public_id(Level.PATIENT)
        for raw in (b" sp ", b" sp\0", b" sp", b" SP ")
    }
    assert len(ids) == 2
    assert Identifiers(" sp", "", "", "").public_id(Level.PATIENT) in ids


def test_ids_are_hashed_in_utf8_whatever_the_character_set(file: Write, dataset: Write) -> None:
    extra = {0x00080005: ("CS", b"ISO_IR 100"), 0x00100020: ("LO", b"J\xe9")}
    found = identify(read_head(file(dataset(extra))).dataset)
    assert found.public_id(Level.PATIENT) == Identifiers("Jé", "", "", "").public_id(Level.PATIENT)


@pytest.mark.parametrize("tag", [0x0020000D, 0x0020000E, 0x00080018])
def test_an_instance_without_a_uid_is_not_found(file: Write, dataset: Write, tag: int) -> None:
    with pytest.raises(MissingTag, match=f"{tag >> 16:04x},{tag & 0xFFFF:04x}"):
        identify(read_head(file(dataset({tag: ("UI", b" \0")}))).dataset)
