"""Finding against brute force over random data, and the rules one by one."""

import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.databases import BACKENDS

from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import format_tag
from hounsfield.errors import BadRequest
from hounsfield.index.conditions import MODALITIES_IN_STUDY
from hounsfield.index.database import Database, Transaction
from hounsfield.index.find import count, find, is_indexed, lookup
from hounsfield.index.insertion import NewAttachment, NewInstance, NewParents, add_instance
from hounsfield.index.labels import add_label
from hounsfield.index.matching import predicate
from hounsfield.index.metadata import MetadataType, put_metadata
from hounsfield.index.query import (
    Constraint,
    LabelsConstraint,
    Match,
    Order,
    OrderKind,
    Query,
    parse_constraint,
)
from hounsfield.index.resources import get_row, load

NAME, PATIENT_ID, BIRTH, SEX = 0x00100010, 0x00100020, 0x00100030, 0x00100040
DATE, ACCESSION, STUDY_DESCRIPTION, STUDY_UID = 0x00080020, 0x00080050, 0x00081030, 0x0020000D
MODALITY, SERIES_DESCRIPTION, SERIES_UID, SERIES_NUMBER = 0x00080060, 0x0008103E, 0x0020000E, 0x00200011
SOP_UID, NUMBER, COMMENTS = 0x00080018, 0x00200013, 0x00204000
TAGS = {
    Level.PATIENT: (NAME, PATIENT_ID, BIRTH, SEX),
    Level.STUDY: (DATE, ACCESSION, STUDY_DESCRIPTION, STUDY_UID),
    Level.SERIES: (MODALITY, SERIES_DESCRIPTION, SERIES_UID, SERIES_NUMBER),
    Level.INSTANCE: (SOP_UID, NUMBER, COMMENTS),
}
WORDS = [
    "", "A", "a", "AB", "ab", "aB", "A B", " A", "A%", "A_", "A%B", "AxB", "%", "_", "é", "É", "e", "E", "éa", "Ea",
    "A é", "A 山", "山 A", "山", "山田^太郎", "A 山 B", "A  B", "\\ue000", "A\U0001f600", "\U0001f600", "ΟΔΟΣ", "οδος",
    "Müller^Zoé", "Müller^Zoé^^=", "A^B^^", "A=", "A==a", "=山", "Yamada^A=山田^太郎=A 山",
    "MULLER^ZOE", "MULLER^ZO", "a*b", "a?b", "[A]", "[a*]", "1", "10", "9", "A^B", "ÅB", "Å", "ﬁ", "fi",
]  # fmt: skip
WORDS = [word.replace("\\ue000", "\ue000") for word in WORDS]
DATES = ["", "2000.01.15", "19991231", "20000101", "20000115", "20000229", "20010101"]
MODALITIES = ["CT", "MR", "ct", "US", ""]


@dataclass
class Item:
    """A resource as brute force sees it; `tags` are those of its level and above."""

    level: Level
    public_id: str
    tags: dict[int, str]
    parents: tuple[str, str, str, str]
    labels: set[str] = field(default_factory=set)
    metadata: dict[int, str] = field(default_factory=dict)


@dataclass
class World:
    """An index and what was put in."""

    database: Database
    items: dict[Level, dict[str, Item]]


def some(source: random.Random, level: Level) -> dict[int, str]:
    found = {}
    for tag in TAGS[level]:
        words = DATES if tag in (DATE, BIRTH) else MODALITIES if tag == MODALITY else WORDS
        if source.random() < 0.8:
            found[tag] = source.choice(words)
    return found


@pytest.fixture(scope="module", params=sorted(BACKENDS))
def world(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    database = BACKENDS[request.param](tmp_path_factory.mktemp("find"))()
    made = World(database, {level: {} for level in Level})
    source = random.Random(7)
    database.write(lambda tx: fill(tx, made, source))
    yield made
    database.close()


def fill(tx: Transaction, world: World, source: random.Random) -> None:
    for number in range(90):
        patient = source.choice(WORDS)
        study = f"1.{source.randrange(12)}"
        series = f"{study}.{source.randrange(3)}"
        ids = Identifiers(patient, study, series, f"{series}.{number}")
        tags = [some(source, level) for level in Level]
        for level, tag in ((0, PATIENT_ID), (1, STUDY_UID), (2, SERIES_UID), (3, SOP_UID)):
            parts = (patient, study, series, ids.sop_instance_uid)
            tags[level][tag] = parts[level]
        add_instance(tx, make(ids, tags), NewAttachment(1, str(number), 10, 10))
        remember(world, ids, tags)
    for level in Level:
        for item in world.items[level].values():
            row = get_row(tx, level, item.public_id)
            for label in source.sample(["x", "y", "z"], source.randrange(4)):
                add_label(tx, level, row, label)
                item.labels.add(label)
            if source.random() < 0.7:
                value = source.choice([*WORDS, "10.5", "-3", "7"])
                put_metadata(tx, level, row, 1024, value)
                item.metadata[1024] = value


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


def remember(world: World, ids: Identifiers, tags: list[dict[int, str]]) -> None:
    public_ids = ids.public_ids()
    known: dict[int, str] = {}
    for level in Level:
        found = world.items[level].get(public_ids[level])
        if found is None:
            known = {**known, **tags[level]}
            found = world.items[level][public_ids[level]] = Item(level, public_ids[level], known, public_ids)
        known = found.tags
        if level is Level.PATIENT and public_ids[1] not in world.items[Level.STUDY]:
            known = dict(tags[0])  # A study has the patient's tags of its own first instance.


def glob(pattern: str, text: str) -> bool:
    """Wildcards by the book."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(glob(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and (pattern[0] == "?" or pattern[0] == text[0]) and glob(pattern[1:], text[1:])


def name_holds(match: Match, wanted: str, value: str) -> bool:
    """One name asked for, both already folded: the whole, or by component group."""

    def same(pattern: str, text: str) -> bool:
        return glob(pattern, text) if match is Match.WILDCARD else pattern == text

    def bare(group: str) -> str:
        while group.endswith(("^", " ")):
            group = group[:-1]
        return group

    groups, parts = [bare(group) for group in value.split("=")], wanted.split("=")
    if same(wanted, value):
        return True
    if len(parts) == 1:
        is_latin = all(ord(character) < 0x250 for character in wanted)
        return any(same(bare(wanted), group) for group in (groups[:1] if is_latin else groups[:3]))
    return len(parts) <= len(groups) and all(
        not part or same(bare(part), group) for part, group in zip(parts, groups, strict=False)
    )


def tag_holds(constraint: Constraint, value: str | None) -> bool:
    """As `holds`, by the rules of the attribute."""
    match, values = constraint.match, constraint.values
    if value is None or match is Match.PRESENT:
        return value is not None
    if constraint.tag in (DATE, BIRTH):
        value, values = value.replace(".", ""), tuple(each.replace(".", "") for each in values)
    if constraint.tag == NAME and match is not Match.RANGE:
        if not constraint.is_case_sensitive:
            value, values = value.casefold(), tuple(text.casefold() for text in values)
        return any(name_holds(match, wanted, value) for wanted in values)
    return holds(match, values, constraint.is_case_sensitive, value)


def holds(match: Match, values: tuple[str, ...], is_case_sensitive: bool, value: str | None) -> bool:
    if value is None:
        return False
    if not is_case_sensitive:
        value, values = value.casefold(), tuple(text.casefold() for text in values)
    if match is Match.PRESENT:
        return True
    if match is Match.WILDCARD:
        return glob(values[0], value)
    if match is Match.RANGE:
        return value != "" and values[0] <= value and (not values[1] or value[: len(values[1])] <= values[1])
    return value in values


def expected(world: World, query: Query) -> list[str]:
    found = [item for item in world.items[query.level].values() if satisfies(world, item, query)]
    found.sort(key=lambda item: item.public_id)
    for order in reversed(query.order):
        known = [(value, item) for item in found if (value := value_of(item, order)) is not None]
        known.sort(key=lambda pair: pair[0], reverse=order.is_descending)
        found = [item for _, item in known] + [item for item in found if value_of(item, order) is None]
    ids = [item.public_id for item in found]
    return ids[query.since :][: query.limit or None]


def value_of(item: Item, order: Order) -> str | None:
    if order.kind is OrderKind.METADATA:
        return item.metadata.get(order.key)
    text = item.tags.get(order.key)
    return text.replace(".", "") if text and order.key in (DATE, BIRTH) else text


def satisfies(world: World, item: Item, query: Query) -> bool:
    for constraint in query.constraints:
        if constraint.tag == MODALITIES_IN_STUDY:
            modalities = {
                series.tags.get(MODALITY, "")
                for series in world.items[Level.SERIES].values()
                if series.parents[1] == item.parents[1]
            }
            if not modalities & {*constraint.values, *(value.upper() for value in constraint.values)}:
                return False
        elif not tag_holds(constraint, item.tags.get(constraint.tag)):
            return False
    wanted = set(query.labels)
    if query.labels_constraint is LabelsConstraint.NONE:
        if item.labels & wanted if wanted else item.labels:
            return False
    elif wanted:
        shared = item.labels & wanted
        if not (shared == wanted if query.labels_constraint is LabelsConstraint.ALL else shared):
            return False
    for kind, text in query.metadata:
        value = item.metadata.get(kind)
        if not any(
            holds(
                Match.WILDCARD if set(part) & set("*?") else Match.EXACT,
                (part,),
                query.is_case_sensitive,
                value,
            )
            for part in text.split("\\")
        ):
            return False
    return query.parent is None or item.parents[query.parent[0]] == query.parent[1]


TAGS_AT = {level: [tag for upper in Level if upper <= level for tag in TAGS[upper]] for level in Level}
PIECES = ["*", "?", "A", "a", " ", "%", "_", "é", "E", "山", "B", "^", "\U0001f600"]


def any_pattern(source: random.Random) -> str:
    return "".join(source.choices(PIECES, k=source.randrange(6)))


def any_constraint(source: random.Random, level: Level) -> Constraint:
    tag = source.choice(TAGS_AT[level])
    words = DATES if tag in (DATE, BIRTH) else WORDS
    words = MODALITIES if tag == MODALITY else words
    match = source.choice([Match.EXACT, Match.LIST, Match.WILDCARD, Match.RANGE, Match.PRESENT])
    if match is Match.RANGE and tag not in (DATE, BIRTH):
        match = Match.EXACT
    values: tuple[str, ...] = ()
    if match is Match.EXACT:
        values = (source.choice(words),)
    elif match is Match.LIST:
        values = tuple(source.choices(words, k=source.randint(1, 3)))
    elif match is Match.WILDCARD:
        values = (any_pattern(source),)
    elif match is Match.RANGE:
        values = source.choice([*DATES, "2000"]), source.choice([*DATES, "2000", "200001"])
    return Constraint(tag, match, values, source.random() < 0.5)


def any_order(source: random.Random, level: Level) -> Order:
    if source.random() < 0.5:
        return Order(OrderKind.METADATA, 1024, source.random() < 0.5)
    return Order(OrderKind.TAG, source.choice(TAGS_AT[level]), source.random() < 0.5)


def any_query(source: random.Random, world: World) -> Query:
    level = source.choice(list(Level))
    query = Query(
        level,
        tuple(any_constraint(source, level) for _ in range(source.randrange(3))),
        order=tuple(any_order(source, level) for _ in range(source.randrange(3))),
        since=source.choice([0, 0, 1, 3]),
        limit=source.choice([0, 0, 1, 5]),
        is_case_sensitive=source.random() < 0.5,
    )
    if level is Level.STUDY and source.random() < 0.3:
        wanted = Constraint(MODALITIES_IN_STUDY, Match.LIST, tuple(source.choices(MODALITIES, k=2)))
        query = replace(query, constraints=(*query.constraints, wanted))
    if source.random() < 0.5:
        labels, mode = (
            tuple(source.choices("xyzw", k=source.randrange(4))),
            source.choice(list(LabelsConstraint)),
        )
        query = replace(query, labels=labels, labels_constraint=mode)
    if source.random() < 0.3:
        text = source.choice([source.choice(WORDS), any_pattern(source)]) + source.choice(["", "", "\\A*"])
        query = replace(query, metadata=((1024, text),))
    if source.random() < 0.2:
        upper = source.choice([upper for upper in Level if upper <= level])
        query = replace(query, parent=(upper, source.choice(sorted(world.items[upper]))))
    return query


def test_every_query_finds_what_brute_force_finds(world: World) -> None:
    source = random.Random(11)
    with world.database.read() as tx:
        for _ in range(1500):
            query = any_query(source, world)
            assert find(tx, query) == expected(world, query), query
            assert count(tx, query) == len(expected(world, replace(query, since=0, limit=0))), query


def test_single_constraints_find_what_brute_force_finds(world: World) -> None:
    source, found = random.Random(12), 0
    with world.database.read() as tx:
        for _ in range(3000):
            level = source.choice(list(Level))
            query = Query(level, (any_constraint(source, level),))
            ids = find(tx, query)
            assert ids == expected(world, query), query
            found += bool(ids)
    assert found > 1000


def test_brute_force_and_the_predicate_are_not_the_same_code() -> None:
    assert not holds(Match.WILDCARD, ("A?",), True, "A")
    assert predicate(Constraint(NAME, Match.WILDCARD, ("a*B?c",)))("AxxBBC")


# The rules one by one, on a few patients.

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
