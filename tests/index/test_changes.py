"""The log of changes, page by page."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.builders import Bench, identifiers, make_file, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.index.changes import (
    ChangePage,
    ChangeType,
    clear_changes,
    last_change,
    latest_change,
    list_changes,
)
from hounsfield.index.database import Database
from hounsfield.index.deletion import delete


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """An archive with changes 1 to 8: two patients of one instance each."""
    made = open_bench(tmp_path)
    made.receive(make_file("A"))
    made.receive(make_file("B"))
    yield made
    made.close()


def page(database: Database, **arguments: object) -> tuple[list[int], bool, int | None, int]:
    with database.read() as tx:
        found = list_changes(tx, **arguments)  # type: ignore[arg-type]
    return [change.seq for change in found.changes], found.is_done, found.first, found.last


def test_an_empty_log_is_done(database: Database) -> None:
    assert page(database) == ([], True, None, 0)
    with database.read() as tx:
        assert latest_change(tx) == ChangePage([], True, None, 0)


def test_a_new_instance_is_logged_from_below(bench: Bench) -> None:
    with bench.database.read() as tx:
        found = list_changes(tx, limit=4).changes
    assert [change.type.word for change in found] == ["NewInstance", "NewSeries", "NewStudy", "NewPatient"]
    assert [(c.level, c.public_id) for c in found] == [
        (level, identifiers("A").public_id(level)) for level in reversed(Level)
    ]
    assert {change.date for change in found} == {"20260101T000000"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ([1, 2, 3, 4, 5, 6, 7, 8], True, 1, 8)),
        ({"limit": 8}, ([1, 2, 3, 4, 5, 6, 7, 8], True, 1, 8)),
        ({"limit": 3}, ([1, 2, 3], False, 1, 3)),
        ({"since": 6, "limit": 1}, ([7], False, 7, 7)),
        ({"since": 7}, ([8], True, 8, 8)),
        ({"since": 8}, ([], True, None, 8)),
        ({"since": 1000}, ([], True, None, 8)),
        ({"limit": 0}, ([], False, None, 8)),
        ({"to": 5, "limit": 2}, ([4, 5], False, 4, 5)),
        ({"to": 5, "limit": 5}, ([1, 2, 3, 4, 5], True, 1, 5)),
        ({"to": 0}, ([], True, None, 8)),
        ({"since": 2, "to": 5}, ([3, 4, 5], True, 3, 5)),
        ({"since": 2, "to": 5, "limit": 2}, ([3, 4], False, 3, 4)),
        ({"types": [ChangeType.NEW_PATIENT, ChangeType.NEW_INSTANCE]}, ([1, 4, 5, 8], True, 1, 8)),
        ({"types": [ChangeType.NEW_STUDY], "limit": 1}, ([3], False, 3, 3)),
        ({"types": [ChangeType.STABLE_STUDY]}, ([], True, None, 8)),
    ],
)
def test_pages_of_the_log(
    bench: Bench, arguments: dict[str, object], expected: tuple[list[int], bool, int | None, int]
) -> None:
    assert page(bench.database, **arguments) == expected


def test_changes_of_deleted_resources_vanish_and_their_numbers_are_not_given_again(bench: Bench) -> None:
    bench.database.write(lambda tx: delete(tx, Level.PATIENT, identifiers("B").public_id(Level.PATIENT), "x"))
    assert page(bench.database) == ([1, 2, 3, 4], True, 1, 4)
    assert page(bench.database, since=4) == ([], True, None, 8)
    with bench.database.read() as tx:
        assert latest_change(tx).last == 4
    bench.receive(make_file("C"))
    assert page(bench.database, since=4) == ([9, 10, 11, 12], True, 9, 12)


def test_clearing_goes_on_with_the_numbers_even_after_a_restart(tmp_path: Path) -> None:
    first = open_bench(tmp_path)
    first.receive(make_file("A"))
    first.database.write(clear_changes)
    assert page(first.database) == ([], True, None, 4)
    first.close()
    second = open_bench(tmp_path)
    second.receive(make_file("B"))
    assert page(second.database) == ([5, 6, 7, 8], True, 5, 8)
    with second.database.read() as tx:
        assert last_change(tx) == 8
    second.close()


def test_the_words_are_those_of_the_specification() -> None:
    assert [change.word for change in ChangeType] == [
        "CompletedSeries", "NewInstance", "NewPatient", "NewSeries", "NewStudy", "AnonymizedStudy", "AnonymizedSeries",
        "ModifiedStudy", "ModifiedSeries", "AnonymizedPatient", "ModifiedPatient", "StablePatient", "StableStudy",
        "StableSeries", "UpdatedAttachment", "UpdatedMetadata",
    ]  # fmt: skip
