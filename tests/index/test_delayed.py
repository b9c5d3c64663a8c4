"""Works whose callers do not wait for the commit."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from hounsfield.errors import Conflict
from hounsfield.index.database import Transaction
from hounsfield.index.properties import get_property, set_property
from hounsfield.index.sqlite import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    made = SqliteDatabase(tmp_path / "index.db")
    yield made
    made.close()


class Told:
    """What callers were told."""

    def __init__(self) -> None:
        self.results: list[object] = []
        self.errors: list[BaseException] = []


def put(tx: Transaction, items: Sequence[tuple[int, str]]) -> list[int]:
    for number, value in items:
        if value == "no":
            raise Conflict("no")
        set_property(tx, number, value)
    return [number for number, _ in items]


def put_soon(database: SqliteDatabase, told: Told, number: int, value: str) -> None:
    database.write_soon(put, (number, value), told.results.append, told.errors.append)


def test_who_reads_or_writes_finds_what_was_written_soon(database: SqliteDatabase) -> None:
    told = Told()
    put_soon(database, told, 1, "a")
    with database.read() as tx:
        assert get_property(tx, 1) == "a"
    assert told.results == [1]
    put_soon(database, told, 1, "b")
    with database.peek() as peeked:
        assert get_property(peeked, 1) == "b"
    put_soon(database, told, 1, "c")
    assert database.write(lambda tx: get_property(tx, 1)) == "c"
    before = database.state
    put_soon(database, told, 1, "d")
    assert database.state != before


def test_many_share_one_commit_in_the_order_they_came(database: SqliteDatabase) -> None:
    told = Told()
    before = database.state or 0
    for value in range(40):
        put_soon(database, told, 1, str(value))
    database.finish()
    assert (database.state or 0) - before < 40
    assert len(told.results) == 40
    with database.read() as tx:
        assert get_property(tx, 1) == "39"


def test_nobody_needs_to_ask_for_the_commit(database: SqliteDatabase) -> None:
    committed = threading.Event()
    database.write_soon(put, (1, "a"), lambda _: committed.set(), lambda error: pytest.fail(str(error)))
    assert committed.wait(30)


def test_one_that_fails_is_undone_alone(database: SqliteDatabase) -> None:
    told = Told()

    def fail(tx: Transaction, items: Sequence[str]) -> list[None]:
        set_property(tx, 2, items[0])
        raise Conflict("no")

    put_soon(database, told, 1, "a")
    database.write_soon(fail, "never", told.results.append, told.errors.append)
    put_soon(database, told, 3, "c")
    with database.read() as tx:
        assert [get_property(tx, number) for number in (1, 2, 3)] == ["a", None, "c"]
    assert told.results == [1, 3]
    assert [type(error) for error in told.errors] == [Conflict]


def test_one_of_a_kind_that_fails_is_undone_alone(database: SqliteDatabase) -> None:
    told = Told()
    for number, value in ((1, "a"), (2, "no"), (3, "c")):
        put_soon(database, told, number, value)
    with database.read() as tx:
        assert [get_property(tx, number) for number in (1, 2, 3)] == ["a", None, "c"]
    assert told.results == [1, 3]
    assert [type(error) for error in told.errors] == [Conflict]


def test_who_is_told_may_read_and_write(database: SqliteDatabase) -> None:
    told = Told()

    def done(_: object) -> None:
        put_soon(database, told, 2, "b")
        database.write(lambda tx: set_property(tx, 3, "c"))

    database.write_soon(put, (1, "a"), done, told.errors.append)
    with database.read() as tx:
        assert [get_property(tx, number) for number in (1, 2, 3)] == ["a", "b", "c"]
    assert told.errors == []


def test_one_who_fails_when_told_keeps_it_from_nobody_else(database: SqliteDatabase) -> None:
    told = Told()

    def done(_: object) -> None:
        raise ValueError("a subscriber with a mistake")

    for _ in range(2):
        database.write_soon(put, (1, "a"), done, told.errors.append)
        put_soon(database, told, 2, "b")
        with database.read() as tx:
            assert [get_property(tx, number) for number in (1, 2)] == ["a", "b"]
    assert told.results == [2, 2]
    test_nobody_needs_to_ask_for_the_commit(database)


def test_what_waits_is_committed_at_the_end(tmp_path: Path) -> None:
    database, told = SqliteDatabase(tmp_path / "index.db"), Told()
    put_soon(database, told, 1, "a")
    database.close()
    assert told.results == [1]
    again = SqliteDatabase(tmp_path / "index.db")
    with again.read() as tx:
        assert get_property(tx, 1) == "a"
    again.close()
