"""The SQLite backend: how it fails, and what it refuses to open."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest

from hounsfield.errors import Conflict, Corrupt, StorageFull
from hounsfield.index.database import Transaction
from hounsfield.index.migrations import SCHEMA_VERSION
from hounsfield.index.properties import get_property, set_property
from hounsfield.index.sqlite import SqliteDatabase


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "index.db"


class Faulty:
    """A connection whose next statement that begins in a certain way fails."""

    def __init__(self, real: sqlite3.Connection, start: str, code: int) -> None:
        self.real, self.start, self.code = real, start, code

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        if self.start and sql.startswith(self.start):
            self.start = ""
            error = sqlite3.OperationalError("made to fail")
            error.sqlite_errorcode = self.code
            raise error
        return self.real.execute(sql, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)


@pytest.mark.parametrize("statement", ["BEGIN", "COMMIT", "PRAGMA"])
@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_IOERR_FSYNC, OSError),
        (sqlite3.SQLITE_BUSY, OSError),
    ],
)
def test_a_failed_commit_reaches_every_waiter_and_leaves_nothing(
    path: Path, statement: str, code: int, expected: type[Exception]
) -> None:
    database = SqliteDatabase(path)
    database.write(lambda tx: set_property(tx, 0, "before"), durable=False)
    errors: list[Exception] = []

    def write(number: int) -> None:
        try:
            database.write(lambda tx: set_property(tx, number, "x"), durable=True)
        except (StorageFull, OSError) as error:
            errors.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 6)]
    with database._writes.turn:
        for number, thread in enumerate(threads, 1):
            thread.start()
            while database._writes.count_waiting() < number:
                thread.join(0.001)
        real = database._writer.connection
        database._writer.connection = Faulty(real, statement, code)  # type: ignore[assignment]
    for thread in threads:
        thread.join()
    database._writer.connection = real
    assert [type(error) for error in errors] == [expected] * 5
    database.write(lambda tx: set_property(tx, 9, "after"))
    with database.read() as tx:
        assert [number for number in range(10) if get_property(tx, number)] == [0, 9]
    database.close()


@pytest.mark.parametrize("sharers", [1, 4])
def test_an_index_that_may_not_grow_is_full_and_still_reads(path: Path, sharers: int) -> None:
    database = SqliteDatabase(path)
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    outcomes: list[str] = []

    def write(number: int) -> None:
        def work(tx: Transaction) -> None:
            set_property(tx, number, "x" * (200_000 if number == 1 else 10))

        try:
            database.write(work)
        except StorageFull:
            outcomes.append("full")
        else:
            outcomes.append("written")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(sharers)]
    threads = threads[:1] if sharers > 1 else [threading.Thread(target=write, args=(1,))]
    threads += [threading.Thread(target=write, args=(number,)) for number in range(1, sharers)]
    with database._writes.turn:
        for number, thread in enumerate(threads, 1):
            thread.start()
            while database._writes.count_waiting() < number:
                thread.join(0.001)
    for thread in threads:
        thread.join()
    assert outcomes.count("full") >= 1
    database._connection.execute(f"PRAGMA max_page_count = {pages + 1000}")
    database.write(lambda tx: set_property(tx, 99, "after"))
    with database.read() as tx:
        stored = [number for number in range(100) if get_property(tx, number)]
    assert stored[-1] == 99
    assert len(stored) == 1 + outcomes.count("written")
    database.close()


def test_another_kind_of_file_is_not_an_index(path: Path) -> None:
    path.write_bytes(b"this is no database, whatever its name may be" * 100)
    for _ in range(2):
        with pytest.raises(Corrupt):
            SqliteDatabase(path)
    path.unlink()
    SqliteDatabase(path).close()


def test_an_index_of_a_newer_release_is_left_alone(path: Path) -> None:
    SqliteDatabase(path).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.commit()
    connection.close()
    for _ in range(2):
        with pytest.raises(Conflict, match="newer"):
            SqliteDatabase(path)


def test_the_schema_is_made_once(path: Path) -> None:
    first = SqliteDatabase(path)
    first.write(lambda tx: set_property(tx, 1, "x"))
    first.close()
    second = SqliteDatabase(path)
    with second.read() as tx:
        assert get_property(tx, 1) == "x"
        assert tx.row("PRAGMA user_version") == (SCHEMA_VERSION,)
    second.close()


@pytest.mark.parametrize(
    ("sql", "index"),
    [
        ("SELECT id FROM studies WHERE patient_id_key >= ? AND patient_id_key < ?", "studies_by_patient_id"),
        ("SELECT id FROM studies WHERE study_date >= ?", "studies_by_date"),
        ("SELECT id FROM instances WHERE public_id = ?", "sqlite_autoindex_instances"),
        ("SELECT stored_size FROM attachments WHERE uuid = ?", "attachments_by_uuid"),
        ("SELECT id FROM patients WHERE is_stable = 0 AND received_ns <= ?", "patients_unstable"),
    ],
)
def test_what_is_asked_often_is_answered_from_an_index(path: Path, sql: str, index: str) -> None:
    database = SqliteDatabase(path)
    with database.read() as tx:
        plan = " ".join(str(row) for row in tx.rows(f"EXPLAIN QUERY PLAN {sql}", *("x" * sql.count("?"))))
    assert index in plan
    database.close()
