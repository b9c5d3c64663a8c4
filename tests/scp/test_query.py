"""Turning keys into a search, without a server."""

import pytest

from hounsfield.dicom.keys import Keys
from hounsfield.dicom.levels import Level
from hounsfield.errors import BadRequest
from hounsfield.scp.query import QueryOptions, parse_level, plan


def test_levels_are_understood_in_one_and_in_many() -> None:
    assert [parse_level(text) for text in ("PATIENT", "studies", "SERIES ", "IMAGES")] == list(Level)
    with pytest.raises(BadRequest):
        parse_level("")


def test_all_keys_but_sequences_constrain() -> None:
    keys: Keys = {
        0x00080005: "ISO_IR 100",
        0x00080052: "STUDY",
        0x00080060: "MR",
        0x00100020: "A",
        0x00280010: "512",
        0x00081140: [{0x00081155: "1.2"}],
    }
    search = plan(keys, Level.STUDY, QueryOptions())
    assert [each.tag for each in search.constraints] == [0x00080060, 0x00100020, 0x00280010]
    assert search.looks_below


def test_case_matters_but_in_names() -> None:
    search = plan({0x00100010: "a", 0x00100020: "a"}, Level.PATIENT, QueryOptions())
    assert [each.is_case_sensitive for each in search.constraints] == [False, True]
    strict = plan({0x00100010: "a"}, Level.PATIENT, QueryOptions(is_name_case_sensitive=True))
    assert strict.constraints[0].is_case_sensitive
