"""The rules of finding one by one, on a few patients."""

import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.index.searchable import (
    ACCESSION,
    DATE,
    MODALITY,
    NAME,
    NUMBER,
    PATIENT_ID,
    SERIES_UID,
    SEX,
    SOP_UID,
    STUDY_DESCRIPTION,
    STUDY_UID,
    glob,
    make,
)

from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.errors import BadRequest
from hounsfield.index.conditions import MODALITIES_IN_STUDY
from hounsfield.index.database import Database, Transaction
from hounsfield.index.find import find, is_indexed, lookup
from hounsfield.index.insertion import NewAttachment, add_instance
from hounsfield.index.matching import predicate
from hounsfield.index.metadata import MetadataType, put_metadata
from hounsfield.index.query import (
    Constraint,
    Match,
    Order,
    OrderKind,
    Query,
    parse_constraint,
)
from hounsfield.index.resources import get_row, load

PEOPLE = {
    "BRAINIX": ("BRAINIX^A", "20061201", "MR"),
    "KNEE": ("KNEE", "20080819", "MR"),
    "Mueller": ("Müller^Zoé", "20091201", "CT"),
    "MyName[*]": ("Test-éüäöò", "", "US"),
    "100%_A": ("strange", "20061202", "CT"),
}


@pytest.fixture
def people(database: Database) -> Database:
    def fill(tx: Transaction) -> None:
        for number, (patient, (name, date, modality)) in enumerate(PEOPLE.items()):
            ids = Identifiers(patient, f"1.{number}", f"1.{number}.1", f"1.{number}.1.1")
            tags: list[dict[int, str]] = [
                {NAME: name, PATIENT_ID: patient},
                {DATE: date, STUDY_UID: ids.study_instance_uid, ACCESSION: f"ACC{number}"},
                {MODALITY: modality, SERIES_UID: ids.series_instance_uid},
                {SOP_UID: ids.sop_instance_uid, NUMBER: str(20 - number * 5)},
            ]
            if patient == "KNEE":
                tags[0][SEX] = ""
            add_instance(tx, make(ids, tags), NewAttachment(1, str(number), 10, 10))

    database.write(fill)
    return database


def names(database: Database, text: str, tag: int = NAME, *, is_case_sensitive: bool = False) -> list[str]:
    constraint = parse_constraint(
        tag, text, vr="DA" if tag == DATE else "LO", is_case_sensitive=is_case_sensitive
    )
    query = Query(Level.STUDY, (constraint,) if constraint else ())
    by_id = {
        Identifiers(patient, f"1.{n}", "", "").public_id(Level.STUDY): patient
        for n, patient in enumerate(PEOPLE)
    }
    with database.read() as tx:
        return sorted(by_id[public_id] for public_id in find(tx, query))


@pytest.mark.parametrize(
    ("text", "is_case_sensitive", "wanted"),
    [
        ("", False, sorted(PEOPLE)),
        ("*", False, sorted(PEOPLE)),
        ("knee", False, ["KNEE"]),
        ("knee", True, []),
        ("*NE*", True, ["KNEE"]),
        ("*ne*", True, []),
        ("*ne*", False, ["KNEE"]),
        ("BRAINIX^A\\KNEE\\NOPE", False, ["BRAINIX", "KNEE"]),
        ("TeSt-É*", False, ["MyName[*]"]),
        ("TeSt-É*", True, []),
        ("mÜLLER*", False, ["Mueller"]),
        ("muller*", False, []),
        ("KNE?", False, ["KNEE"]),
        ("KNEE?", False, []),
        ("K*E*", False, ["KNEE"]),
    ],
)
def test_names_match_by_the_rules(
    people: Database, text: str, is_case_sensitive: bool, wanted: list[str]
) -> None:
    assert names(people, text, is_case_sensitive=is_case_sensitive) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("20061201-20091201", ["100%_A", "BRAINIX", "KNEE", "Mueller"]),
        ("-20061201", ["BRAINIX"]),
        ("20061202-", ["100%_A", "KNEE", "Mueller"]),
        ("20061202-20061202", ["100%_A"]),
        ("20061201", ["BRAINIX"]),
        ("200612*", ["100%_A", "BRAINIX"]),
        ("20300101-", []),
    ],
)
def test_dates_match_inclusively(people: Database, text: str, wanted: list[str]) -> None:
    assert names(people, text, DATE) == wanted


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("100%_A", ["100%_A"]),
        ("100%*", ["100%_A"]),
        ("%*", []),
        ("_*", []),
        ("100_*", []),
        ("MyName[*]", ["MyName[*]"]),
        ("MyName*", ["MyName[*]"]),
        ("Kne*\\KNEE", ["KNEE"]),
    ],
)
def test_what_sql_takes_for_wildcards_is_literal(people: Database, text: str, wanted: list[str]) -> None:
    assert names(people, text, PATIENT_ID) == wanted


@pytest.mark.parametrize("pattern", ["AB *", "AB ?", "AB 山*", "*B ?", "A*?"])
def test_spaces_beside_what_is_not_ascii_count(people: Database, pattern: str) -> None:
    """Such a value ends with a space once it is normalised, which is trimmed."""
    ids = Identifiers("AB 山", "1.77", "1.77.1", "1.77.1.1")
    tags: list[dict[int, str]] = [{PATIENT_ID: "AB 山"}, {}, {}, {}]
    people.write(lambda tx: add_instance(tx, make(ids, tags), NewAttachment(1, "77", 10, 10)))
    for level in (Level.PATIENT, Level.STUDY):
        query = Query(level, (Constraint(PATIENT_ID, Match.WILDCARD, (pattern,)),))
        with people.read() as tx:
            assert find(tx, query) == [ids.public_id(level)]


def test_a_missing_attribute_satisfies_only_the_empty_constraint(people: Database) -> None:
    assert names(people, "", SEX) == sorted(PEOPLE)
    assert names(people, "*", SEX) == ["KNEE"]


def test_modalities_in_study_are_any_of_a_list_at_the_study_level_alone(people: Database) -> None:
    assert names(people, "CT", MODALITIES_IN_STUDY) == ["100%_A", "Mueller"]
    assert names(people, "US\\CT", MODALITIES_IN_STUDY) == ["100%_A", "Mueller", "MyName[*]"]
    assert names(people, "*", MODALITIES_IN_STUDY) == []
    assert names(people, "C*", MODALITIES_IN_STUDY) == []
    with people.read() as tx:
        assert find(tx, Query(Level.SERIES, (Constraint(MODALITIES_IN_STUDY, Match.EXACT, ("CT",)),))) == []


@pytest.mark.parametrize("text", ["1", "1\\7", " 1 ", "0", "x", "²", "9" * 40, "-1", "1.0", ""])
def test_counters_match_exactly_at_their_level(people: Database, text: str) -> None:
    wanted = len(PEOPLE) if "1" in [part.strip() for part in text.split("\\")] else 0
    counters = {
        Level.PATIENT: (0x00201200, 0x00201202, 0x00201204),
        Level.STUDY: (0x00201206, 0x00201208),
        Level.SERIES: (0x00201209,),
    }
    with people.read() as tx:
        for level in Level:
            for home, tags in counters.items():
                for tag in tags:
                    query = Query(level, (Constraint(tag, Match.LIST, tuple(text.split("\\"))),))
                    assert len(find(tx, query)) == (wanted if level is home else 0)


def test_main_tags_of_lower_levels_match_only_if_asked_to(people: Database) -> None:
    for tag, values, wanted in (
        (MODALITY, ("CT",), 2),
        (MODALITY, ("MR", "CT"), 4),
        (NUMBER, ("15",), 1),
        (SOP_UID, ("1.1.1.1",), 1),
    ):
        query = Query(Level.STUDY, (Constraint(tag, Match.LIST, values),))
        with people.read() as tx:
            assert find(tx, query) == []
            assert len(find(tx, replace(query, looks_below=True))) == wanted
    assert not is_indexed(MODALITY, Level.STUDY)
    assert is_indexed(MODALITY, Level.INSTANCE)
    assert is_indexed(NAME, Level.INSTANCE)


@pytest.mark.parametrize("tag", [PATIENT_ID, NAME, DATE, STUDY_UID, STUDY_DESCRIPTION])
def test_lists_may_be_of_any_length(people: Database, tag: int) -> None:
    with people.read() as tx:
        known = [load(tx, Level.STUDY, [each])[0] for each in find(tx, Query(Level.STUDY))]
        values = [str(number) + "x" for number in range(40_000)]
        found = find(tx, Query(Level.STUDY, (Constraint(tag, Match.LIST, (*values, "KNEE", "1.1")),)))
    assert len(found) == (1 if tag in (PATIENT_ID, NAME, STUDY_UID) else 0)
    assert len(known) == len(PEOPLE)


def test_lists_that_only_sql_can_decide_have_a_limit(people: Database) -> None:
    values = tuple(str(number) for number in range(20_000))
    for tag in (MODALITIES_IN_STUDY, 0x00201206):
        with people.read() as tx, pytest.raises(BadRequest):
            find(tx, Query(Level.STUDY, (Constraint(tag, Match.LIST, values),)))
    with people.read() as tx, pytest.raises(BadRequest):
        find(tx, Query(Level.STUDY, labels=values))


def test_a_parent_below_is_refused(people: Database) -> None:
    with people.read() as tx, pytest.raises(BadRequest):
        find(tx, Query(Level.STUDY, parent=(Level.SERIES, "x")))
    with people.read() as tx:
        assert find(tx, Query(Level.STUDY, parent=(Level.PATIENT, "unknown"))) == []


def test_numbers_are_ordered_as_numbers_when_asked_to(people: Database) -> None:
    def order(kind: OrderKind, key: int, *, is_descending: bool = False) -> list[str]:
        with people.read() as tx:
            ids = find(tx, Query(Level.INSTANCE, order=(Order(kind, key, is_descending),)))
            return [
                tags.get("0020,0013", "")
                for tags in (load(tx, Level.INSTANCE, [i])[0].main_tags for i in ids)
            ]

    assert order(OrderKind.TAG, NUMBER) == ["0", "10", "15", "20", "5"]
    assert order(OrderKind.TAG_AS_INT, NUMBER) == ["0", "5", "10", "15", "20"]
    assert order(OrderKind.TAG_AS_FLOAT, NUMBER, is_descending=True) == ["20", "15", "10", "5", "0"]


def test_metadata_are_ordered_as_numbers_and_what_lacks_them_comes_last(people: Database) -> None:
    values = {"BRAINIX": "10.0", "KNEE": "9.5", "Mueller": "40.2"}
    ids = {patient: Identifiers(patient, "", "", "").public_id(Level.PATIENT) for patient in PEOPLE}

    def put(tx: Transaction) -> None:
        for patient, value in values.items():
            put_metadata(tx, Level.PATIENT, get_row(tx, Level.PATIENT, ids[patient]), 1030, value)

    people.write(put)
    known = {False: ["KNEE", "BRAINIX", "Mueller"], True: ["Mueller", "BRAINIX", "KNEE"]}
    with people.read() as tx:
        for is_descending, wanted in known.items():
            found = find(
                tx, Query(Level.PATIENT, order=(Order(OrderKind.METADATA_AS_FLOAT, 1030, is_descending),))
            )
            assert found[:3] == [ids[patient] for patient in wanted]
            assert len(found) == len(PEOPLE)


def test_metadata_with_a_column_are_found_as_the_others(people: Database) -> None:
    with people.read() as tx:
        for kind, text, wanted in (
            (MetadataType.ORIGIN, "restapi", 5),
            (MetadataType.ORIGIN, "Rest?pi", 5),
            (MetadataType.ORIGIN, "Rest?", 0),
            (MetadataType.RECEPTION_DATE, "2026*", 5),
            (MetadataType.INDEX_IN_SERIES, "*", 0),
            (MetadataType.REMOTE_IP, "*", 0),
            (MetadataType.CALLED_AET, "*", 0),
            (MetadataType.HTTP_USERNAME, "*", 5),
            (MetadataType.PIXEL_DATA_OFFSET, "*", 0),
        ):
            assert len(find(tx, Query(Level.INSTANCE, metadata=((kind, text),)))) == wanted


def test_identifiers_are_looked_up_whatever_their_case(people: Database) -> None:
    with people.read() as tx:
        assert [level for level, _ in lookup(tx, "knee")] == [Level.PATIENT]
        assert [level for level, _ in lookup(tx, "1.2")] == [Level.STUDY]
        assert [level for level, _ in lookup(tx, "1.2.1")] == [Level.SERIES]
        assert [level for level, _ in lookup(tx, "1.2.1.1")] == [Level.INSTANCE]
        for value in ("_KNEE", "KNEE_", "ACC1", "KNE", "*", "%", ""):
            assert lookup(tx, value) == []


def test_a_hostile_pattern_takes_no_time() -> None:
    started = time.monotonic()
    for pattern in ("a*" * 60 + "b", "*a" * 40 + "*b", "?*" * 50 + "b"):
        assert not predicate(Constraint(NAME, Match.WILDCARD, (pattern,)))("a" * 4000)
    assert time.monotonic() - started < 5


@given(st.text("ab*?", max_size=8), st.text("ab", max_size=8))
def test_wildcards_match_by_the_book(pattern: str, text: str) -> None:
    assert predicate(Constraint(NAME, Match.WILDCARD, (pattern,), True))(text) == glob(pattern, text)
