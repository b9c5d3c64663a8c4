"""What every database promises. A backend is one more entry of `BACKENDS`."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.databases import BACKENDS, Open

from hounsfield.errors import Conflict
from hounsfield.index.database import Database, Transaction
from hounsfield.index.properties import get_property, set_property


@pytest.fixture(params=sorted(BACKENDS))
def open_database(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    return BACKENDS[request.param](tmp_path)


@pytest.fixture
def database(open_database: Open) -> Iterator[Database]:
    made = open_database()
    yield made
    made.close()


def put(number: int, value: str) -> Callable[[Transaction], None]:
    return lambda tx: set_property(tx, number, value)


def get(database: Database, number: int) -> str | None:
    with database.read() as tx:
        return get_property(tx, number)


class Broken(Exception):
    """Raised by a work."""


def held(database: Database) -> tuple[threading.Event, threading.Thread]:
    """A work that holds the database until its event is set, so that others gather behind it."""
    is_in, let_go = threading.Event(), threading.Event()

    def work(tx: Transaction) -> None:
        is_in.set()
        let_go.wait(10)

    thread = threading.Thread(target=lambda: database.write(work))
    thread.start()
    assert is_in.wait(10)
    return let_go, thread


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_written_is_read_at_once(database: Database, durable: bool) -> None:
    database.write(put(1, "one"), durable=durable)
    assert get(database, 1) == "one"


def test_write_gives_what_the_work_gives(database: Database) -> None:
    assert database.write(lambda tx: 42) == 42
    assert database.write(lambda tx: None) is None


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_committed_is_there_after_closing(open_database: Open, durable: bool) -> None:
    first = open_database()
    first.write(put(1, "one"), durable=durable)
    first.close()
    second = open_database()
    assert get(second, 1) == "one"
    second.close()


def test_a_work_that_raises_leaves_nothing_and_the_next_one_works(database: Database) -> None:
    def work(tx: Transaction) -> None:
        set_property(tx, 1, "gone")
        tx.pending.count("patients", 5)
        raise Broken("told")

    with pytest.raises(Broken, match="told"):
        database.write(work)
    assert get(database, 1) is None
    database.write(put(2, "two"))
    with database.read() as tx:
        assert tx.total("patients") == 0
        assert get_property(tx, 2) == "two"


def test_of_works_that_share_a_transaction_only_those_that_raise_are_undone(database: Database) -> None:
    let_go, holder = held(database)

    def write(number: int) -> str:
        def work(tx: Transaction) -> str:
            set_property(tx, number, "here")
            tx.pending.count("patients", 1)
            if number % 3 == 0:
                raise Broken(str(number))
            return str(number)

        try:
            return database.write(work)
        except Broken as error:
            return f"broken {error}"

    with ThreadPoolExecutor(12) as pool:
        results = [pool.submit(write, number) for number in range(12)]
        time.sleep(0.05)
        let_go.set()
        for number, result in enumerate(results):
            assert result.result() == (f"broken {number}" if number % 3 == 0 else str(number))
    holder.join()
    assert [number for number in range(12) if get(database, number)] == [n for n in range(12) if n % 3]
    with database.read() as tx:
        assert tx.total("patients") == 8


def test_a_work_sees_what_those_before_it_in_the_transaction_did(database: Database) -> None:
    let_go, holder = held(database)
    seen: list[int] = []

    def work(tx: Transaction) -> None:
        tx.pending.count("size", 10)
        seen.append(tx.total("size"))

    threads = [threading.Thread(target=lambda: database.write(work)) for _ in range(5)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    let_go.set()
    for thread in [*threads, holder]:
        thread.join()
    assert sorted(seen) == [10, 20, 30, 40, 50]


def test_a_reader_keeps_its_snapshot_while_others_write(database: Database) -> None:
    database.write(put(1, "before"))
    with database.read() as tx:
        assert get_property(tx, 1) == "before"
        writer = threading.Thread(target=lambda: database.write(put(1, "after")))
        writer.start()
        writer.join()
        assert get_property(tx, 1) == "before"
    assert get(database, 1) == "after"


def test_a_reader_does_not_wait_for_a_writer(database: Database) -> None:
    database.write(put(1, "before"))
    let_go, holder = held(database)
    assert get(database, 1) == "before"
    let_go.set()
    holder.join()


def test_reading_cannot_write(database: Database) -> None:
    with pytest.raises(Exception, match=r"readonly|read-only"), database.read() as tx:
        set_property(tx, 1, "x")
    database.write(put(2, "two"))
    assert (get(database, 1), get(database, 2)) == (None, "two")


def test_reading_may_end_by_an_error_or_half_way(database: Database) -> None:
    for number in range(50):
        database.write(put(number, "x"), durable=False)
    for _ in range(3):
        with pytest.raises(Broken), database.read() as tx:
            for _ in tx.stream("SELECT * FROM global_properties"):
                raise Broken
    database.write(put(1, "after"))
    assert get(database, 1) == "after"


def test_many_readers_at_once(database: Database) -> None:
    database.write(put(1, "x"))
    barrier = threading.Barrier(16)

    def read(_: int) -> str | None:
        with database.read() as tx:
            barrier.wait(10)
            return get_property(tx, 1)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(read, range(16))) == ["x"] * 16


def test_thousands_of_writes_from_all_sides_are_all_there(database: Database) -> None:
    def write(thread: int) -> None:
        for turn in range(100):
            database.write(put(thread * 1000 + turn, f"{thread} {turn}"), durable=turn % 50 == 0)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))
    with database.read() as tx:
        assert tx.row("SELECT COUNT(*) FROM global_properties") == (800,)


def test_synchronisations_are_counted_on(open_database: Open) -> None:
    first = open_database()
    numbers = [first.sync() for _ in range(3)]
    assert numbers == sorted(set(numbers))
    first.close()
    second = open_database()
    assert second.sync() > numbers[-1]
    second.close()


def test_maintaining_disturbs_nobody(database: Database) -> None:
    database.write(put(1, "x"), durable=False)
    with database.read() as tx:
        assert get_property(tx, 1) == "x"
        database.maintain()
        database.write(put(1, "y"))
        database.maintain()
        assert get_property(tx, 1) == "x"
    assert get(database, 1) == "y"


def test_a_second_server_on_the_same_index_is_refused(open_database: Open) -> None:
    first = open_database()
    for _ in range(2):
        with pytest.raises(Conflict):
            open_database()
    first.write(put(1, "still"))
    first.close()
    second = open_database()
    assert get(second, 1) == "still"
    second.close()


def test_those_who_listen_hear_of_what_was_committed_and_of_nothing_else(database: Database) -> None:
    heard: list[str] = []
    database.subscribe(heard.append)

    def work(tx: Transaction) -> None:
        tx.tell("jobs")
        tx.tell("jobs")
        assert heard == []

    def broken(tx: Transaction) -> None:
        tx.tell("nothing")
        raise Broken

    database.write(work)
    with pytest.raises(Broken):
        database.write(broken)
    assert heard == ["jobs"]


def test_a_task_is_done_alone(database: Database) -> None:
    with database.alone("sweep") as is_ours:
        assert is_ours
    with database.alone("sweep") as is_ours:
        assert is_ours


def test_statements_whose_answer_is_not_wanted_are_executed_in_order(database: Database) -> None:
    def work(tx: Transaction) -> tuple[int, ...]:
        for number in range(10):
            tx.send("INSERT INTO global_properties (property, value) VALUES (?, ?)", number, "x")
        tx.send("DELETE FROM global_properties WHERE property < ?", 4)
        first = tx.row("SELECT COUNT(*) FROM global_properties") or (0,)
        tx.send("DELETE FROM global_properties WHERE property < ?", 6)
        return int(first[0]), tx.run("DELETE FROM global_properties WHERE property < ?", 8)

    assert database.write(work) == (6, 2)
    with database.read() as tx:
        assert tx.rows("SELECT property FROM global_properties ORDER BY 1") == [(8,), (9,)]


def test_an_error_of_a_statement_that_waited_reaches_its_work(database: Database) -> None:
    let_go, holder = held(database)

    def write(number: int) -> bool:
        def work(tx: Transaction) -> None:
            tx.send(
                "INSERT INTO global_properties (property, value) VALUES (?, ?)",
                number,
                None if number == 3 else "x",
            )

        try:
            database.write(work)
        except Exception:  # noqa: BLE001  Each database has its own.
            return False
        return True

    with ThreadPoolExecutor(6) as pool:
        results = [pool.submit(write, number) for number in range(6)]
        time.sleep(0.05)
        let_go.set()
        assert [result.result() for result in results] == [True, True, True, False, True, True]
    holder.join()
    with database.read() as tx:
        assert tx.row("SELECT COUNT(*) FROM global_properties") == (5,)


def test_any_text_and_number_comes_back(database: Database) -> None:
    rows = [
        (0, ""),
        (-(1 << 62), "é'\\%?_\U0010ffff"),
        ((1 << 63) - 1, '{"a": "\\u0000"}'),
        (True, "%s {x} $1"),
    ]

    def work(tx: Transaction) -> None:
        for number, text in rows:
            tx.run("INSERT INTO global_properties (property, value) VALUES (?, ?)", number, text)

    database.write(work)
    with database.read() as tx:
        assert sorted(tx.rows("SELECT property, value FROM global_properties")) == sorted(rows)
        assert tx.rows(
            "SELECT property FROM global_properties WHERE value LIKE '%?%' AND property < ?", 0
        ) == [(-(1 << 62),)]
