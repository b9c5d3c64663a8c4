"""Attributes that are searched for, instances that have them, and wildcards as a human reads them."""

from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.tags import format_tag
from hounsfield.index.insertion import NewInstance, NewParents

NAME, PATIENT_ID, BIRTH, SEX = 0x00100010, 0x00100020, 0x00100030, 0x00100040
DATE, ACCESSION, STUDY_DESCRIPTION, STUDY_UID = 0x00080020, 0x00080050, 0x00081030, 0x0020000D
MODALITY, SERIES_DESCRIPTION, SERIES_UID, SERIES_NUMBER = 0x00080060, 0x0008103E, 0x0020000E, 0x00200011
SOP_UID, NUMBER, COMMENTS = 0x00080018, 0x00200013, 0x00204000


def make(ids: Identifiers, tags: list[dict[int, str]]) -> NewInstance:
    keyed = [{format_tag(tag): value for tag, value in found.items()} for found in tags]
    return NewInstance(
        identifiers=ids,
        public_ids=ids.public_ids(),
        tags=keyed[3],
        sequences={},
        parents=NewParents((keyed[0], keyed[1], keyed[2]), ({}, {}, {}), None),
        main_tags_version=1,
        sop_class_uid="1.2",
        transfer_syntax_uid="1.2",
        index_in_series=None,
        pixel_data_offset=None,
        pixel_data_vr=None,
        reception_date="20260101T000000",
        received_ns=1,
        origin="RestApi",
        remote_aet="",
        called_aet="",
        remote_ip="",
        http_username="",
    )


def glob(pattern: str, text: str) -> bool:
    """Wildcards by the book."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and (pattern[0] == "?" or pattern[0] == text[0]) and glob(pattern[1:], text[1:])
