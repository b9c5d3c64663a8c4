"""Matching by the book. PS3.4 C.2.2.2."""

from struct import pack

import pytest

from hounsfield.dicom.part10 import read_head
from hounsfield.index.matching import predicate, satisfies
from hounsfield.index.query import Constraint, Match, parse_constraint

NAME, IMAGE_TYPE, STUDY_TIME, ACQUISITION = 0x00100010, 0x00080008, 0x00080030, 0x0008002A
VRS = {NAME: "PN", IMAGE_TYPE: "CS", STUDY_TIME: "TM", ACQUISITION: "DT", 0x00080020: "DA", 0x00204000: "LT"}


def holds(tag: int, query: str, value: str | None, **options: bool) -> bool:
    constraint = parse_constraint(
        tag,
        query,
        vr=VRS[tag],
        is_case_sensitive=False,
        ignores_accents=options.get("ignores_accents", False),
    )
    return constraint is None or predicate(constraint)(value)


@pytest.mark.parametrize(
    ("query", "value", "expected"),
    [
        ("101500", "101500.000000", True),
        ("1015", "101500", True),
        ("1015-1016", "101659.9", True),
        ("1015-1016", "101700", False),
        ("1015-1016", "10:15:30", True),
        ("0930-", "10", True),
        ("-0930", "0931", False),
        ("-0930", "", False),
        ("0930-", "noon", False),
        ("09-10", "105959.999999", True),
    ],
)
def test_times_compare_as_times(query: str, value: str, expected: bool) -> None:
    assert holds(STUDY_TIME, query, value) is expected


@pytest.mark.parametrize(
    ("query", "value", "expected"),
    [
        ("2020", "2020", True),
        ("20200101-20200131", "20200131235959.999999", True),
        ("20200101-20200131", "20200201", False),
        ("2020-", "2021", True),
        ("-2020", "20201231235959", True),
        ("20200101120000+0100-", "20200101113000+0000", True),
        ("20200101120000+0100-", "20200101103000+0000", False),
        ("-20200101120000-0500", "20200101170000+0000", True),
        ("-20200101120000-0500", "20200101170001+0000", False),
        ("20200101120000-0500-20200102", "20200102", True),
        ("20200101120000-0500", "20200101120000-0500", True),
        ("2019-2020", "20191231", True),
        ("2019-2020", "20210101", False),
        ("2019-2020", "rubbish", False),
        ("20200101+9999-", "20200102+0000", True),
    ],
)
def test_dates_with_times_compare_as_instants(query: str, value: str, expected: bool) -> None:
    assert holds(ACQUISITION, query, value) is expected


@pytest.mark.parametrize(
    ("query", "value", "expected"),
    [
        ("doe^john", "DOE^JOHN^^^", True),
        ("DOE^JOHN", "DOE^JOHN=ドウ^ジョン", True),
        ("山田^太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("やま*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("=山田*", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("Y*=山*", "Yamada^Tarou=山田^太郎", True),
        ("Y*=川*", "Yamada^Tarou=山田^太郎", False),
        ("Tarou", "Yamada^Tarou", False),
        ("DOE", "DOE^JOHN", False),
        ("гусева*", "Гусева^Анна", True),
        ("muller*", "Müller^Zoé", False),
        ("A\\doe^john", "DOE^JOHN", True),
    ],
)
def test_names_are_compared_by_component_group(query: str, value: str, expected: bool) -> None:
    assert holds(NAME, query, value) is expected


def test_accents_count_unless_they_are_not_to() -> None:
    assert not holds(NAME, "muller*", "Müller^Zoé")
    assert holds(NAME, "muller^zoe", "Müller^Zoé", ignores_accents=True)
    assert holds(NAME, "MÜLLER^zoe", "Muller^Zoe", ignores_accents=True)


@pytest.mark.parametrize(
    ("query", "expected"),
    [("zoe mul", True), ("Mueler", True), ("Miller", True), ("Smith", False), ("", False)],
)
def test_fuzzy_names_begin_or_sound_alike(query: str, expected: bool) -> None:
    assert predicate(Constraint(NAME, Match.FUZZY, (query,)))("Müller^Zoé") is expected


def test_one_of_several_values_is_enough() -> None:
    assert holds(IMAGE_TYPE, "primary", "ORIGINAL\\PRIMARY\\AXIAL")
    assert holds(IMAGE_TYPE, "AX*", "ORIGINAL\\PRIMARY\\AXIAL")
    assert holds(IMAGE_TYPE, "DERIVED\\AXIAL", "ORIGINAL\\PRIMARY\\AXIAL")
    assert not holds(IMAGE_TYPE, "MARY", "ORIGINAL\\PRIMARY\\AXIAL")
    assert not holds(0x00204000, "B", "A\\B")


def test_a_sequence_matches_by_one_of_its_items() -> None:
    def element(tag: int, vr: bytes, value: bytes) -> bytes:
        return pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value

    def item(step: bytes, modality: bytes) -> bytes:
        content = element(0x00080060, b"CS", modality) + element(0x00400009, b"SH", step)
        return b"\xfe\xff\x00\xe0" + pack("<I", len(content)) + content

    items = item(b"A ", b"CT") + item(b"B ", b"MR")
    sequence = pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, len(items)) + items
    dataset = read_head(sequence, transfer_syntax_uid="1.2.840.10008.1.2.1").dataset

    def matches(step: str, modality: str) -> bool:
        inner = (
            Constraint(0x00400009, Match.EXACT, (step,)),
            Constraint(0x00080060, Match.EXACT, (modality,)),
        )
        return satisfies(dataset, Constraint(0x00400275, Match.SEQUENCE, items=inner))

    assert matches("A", "CT")
    assert not matches("A", "MR")
