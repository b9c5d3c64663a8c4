"""Key-value stores, queues and the audit log."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.dicom.levels import Level
from hounsfield.index.audit import AuditEntry, AuditQuery, list_audit, log_audit
from hounsfield.index.database import Database
from hounsfield.index.key_values import delete_value, each_value, get_value, list_values, store_value
from hounsfield.index.queues import QueueEnd, acknowledge, dequeue, enqueue, queue_size, reserve

SECOND_NS = 1_000_000_000


def test_a_value_is_kept_under_its_key_in_its_store(database: Database) -> None:
    for store, key, value in (
        ("a", "k", b"old"),
        ("a", "k", bytes(range(256))),
        ("b", "k", b""),
        ("a", "", b"x"),
    ):
        database.write(partial(store_value, store=store, key=key, value=value))
    with database.read() as tx:
        assert get_value(tx, "a", "k") == bytes(range(256))
        assert get_value(tx, "b", "k") == b""
        assert get_value(tx, "b", "other") is None
        assert list_values(tx, "a") == [("", b"x"), ("k", bytes(range(256)))]
    database.write(lambda tx: delete_value(tx, "a", "k"))
    database.write(lambda tx: delete_value(tx, "a", "k"))
    with database.read() as tx:
        assert get_value(tx, "a", "k") is None


def test_a_store_is_read_through_however_large(database: Database) -> None:
    wanted = [(f"{number:04d}", str(number).encode()) for number in range(350)]
    for key, value in wanted:
        database.write(partial(store_value, store="s", key=key, value=value), durable=False)
    with database.read() as tx:
        assert list(each_value(tx, "s")) == wanted
        assert list(each_value(tx, "other")) == []


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["in", "out", "reserve", "ack", "wait"]), st.sampled_from(QueueEnd)),
        max_size=30,
    )
)
def test_a_queue_behaves_like_its_model(database: Database, operations: list[tuple[str, QueueEnd]]) -> None:
    database.write(lambda tx: tx.run("DELETE FROM queues"))
    now, model, reserved = 0, dict[int, tuple[bytes, int]](), list[int]()
    for step, (operation, end) in enumerate(operations):
        free = [number for number, (_, until) in model.items() if until <= now]
        wanted = (min(free) if end is QueueEnd.FRONT else max(free)) if free else None
        if operation == "in":
            number = database.write(partial(enqueue, queue="q", value=b"%d" % step))
            model[number] = (b"%d" % step, 0)
        elif operation == "out":
            found = database.write(partial(dequeue, queue="q", end=end, now_ns=now))
            assert found == (None if wanted is None else model.pop(wanted)[0])
        elif operation == "reserve":
            until = now + 3 * SECOND_NS
            taken = database.write(partial(reserve, queue="q", end=end, now_ns=now, until_ns=until))
            assert taken == (None if wanted is None else (wanted, model[wanted][0]))
            if wanted is not None:
                model[wanted] = (model[wanted][0], until)
                reserved.append(wanted)
        elif operation == "ack" and reserved:
            number = reserved.pop()
            assert database.write(partial(acknowledge, queue="q", value_id=number)) == (number in model)
            model.pop(number, None)
        else:
            now += SECOND_NS
        with database.read() as tx:
            assert queue_size(tx, "q") == len(model)
            assert queue_size(tx, "other") == 0


def test_of_many_takers_each_gets_another_value(database: Database) -> None:
    for number in range(40):
        database.write(partial(enqueue, queue="q", value=b"%d" % number), durable=False)
    taken: list[bytes] = []
    lock = threading.Lock()

    def take(_: int) -> None:
        while (
            value := database.write(partial(dequeue, queue="q", end=QueueEnd.FRONT, now_ns=0))
        ) is not None:
            with lock:
                taken.append(value)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(take, range(6)))
    assert sorted(taken, key=int) == [b"%d" % number for number in range(40)]


def test_the_audit_log_is_searched_by_every_condition(database: Database) -> None:
    entries = [
        AuditEntry(
            at_ns=number * SECOND_NS,
            source="test",
            user_id="alice" if number % 2 else "bob",
            level=Level.STUDY if number % 3 else None,
            resource_id=f"r{number % 4}",
            action="view" if number % 5 else "delete",
            data=b"%d" % number,
        )
        for number in range(40)
    ]
    for entry in reversed(entries):
        database.write(partial(log_audit, entry=entry), durable=False)
    for query in (
        AuditQuery(),
        AuditQuery(user_id="alice", action="view"),
        AuditQuery(resource_id="r3"),
        AuditQuery(first_ns=5 * SECOND_NS, end_ns=9 * SECOND_NS),
        AuditQuery(user_id="nobody"),
    ):
        wanted = [
            entry
            for entry in entries
            if query.user_id in ("", entry.user_id)
            and query.action in ("", entry.action)
            and query.resource_id in ("", entry.resource_id)
            and (query.first_ns is None or query.first_ns <= entry.at_ns)
            and (query.end_ns is None or entry.at_ns < query.end_ns)
        ]
        with database.read() as tx:
            assert list_audit(tx, query) == wanted
            assert list_audit(tx, replace(query, since=2, limit=3)) == wanted[2:5]
