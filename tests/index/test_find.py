"""Finding against brute force over random data."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import pytest
from tests.databases import BACKENDS
from tests.index.searchable import (
    ACCESSION,
    BIRTH,
    COMMENTS,
    DATE,
    MODALITY,
    NAME,
    NUMBER,
    PATIENT_ID,
    SERIES_DESCRIPTION,
    SERIES_NUMBER,
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
from hounsfield.index.conditions import MODALITIES_IN_STUDY
from hounsfield.index.database import Database, Transaction
from hounsfield.index.find import count, find
from hounsfield.index.insertion import NewAttachment, add_instance
from hounsfield.index.labels import add_label
from hounsfield.index.matching import predicate
from hounsfield.index.metadata import put_metadata
from hounsfield.index.query import (
    Constraint,
    LabelsConstraint,
    Match,
    Order,
    OrderKind,
    Query,
)
from hounsfield.index.resources import get_row

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
