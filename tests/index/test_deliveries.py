"""What is still to be sent, on every kind of index."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests import instances
from tests.ingest.builders import open_bench

from hounsfield.index import deliveries
from hounsfield.index.database import Database
from hounsfield.index.deliveries import Delivery, DestinationKind, Queue
from hounsfield.index.patients import next_to_recycle
from hounsfield.store.filesystem import FilesystemArea

IDS = [str(instances.public_id(number)) for number in range(3)]


@pytest.fixture
def filled(database: Database, tmp_path: Path) -> Iterator[Database]:
    """An index with three instances of one patient, and one of another."""
    bench = open_bench(tmp_path / "area", database=database)
    for number in (0, 1, 2, 40):
        bench.receive(instances.file(number))
    yield database
    bench.settle()
    assert isinstance(bench.area, FilesystemArea)
    bench.area.close()


def put(database: Database, *public_ids: str, target: str = "A@a:1", now_ns: int = 5) -> int:
    kind = DestinationKind.MODALITY
    return database.write(lambda tx: deliveries.enqueue(tx, kind, "pacs", target, public_ids, "{}", now_ns))


def the_queue(database: Database) -> Queue:
    with database.read() as tx:
        found = deliveries.find_queue(tx, DestinationKind.MODALITY, "pacs")
    assert found is not None
    return found


def due(database: Database, target: str = "A@a:1", now_ns: int = 10, limit: int = 99) -> list[Delivery]:
    number = the_queue(database).id
    with database.read() as tx:
        return deliveries.due(tx, number, target, now_ns, limit)


def test_what_is_queued_is_due_in_order_and_once(filled: Database) -> None:
    assert put(filled, IDS[1], "no such instance", IDS[0]) == 2
    assert put(filled, IDS[2], IDS[1]) == 2
    assert [each.public_id for each in due(filled)] == [IDS[1], IDS[0], IDS[2]]
    assert len(due(filled, limit=2)) == 2
    assert due(filled, target="B@b:1") == []


def test_what_was_queued_again_while_it_was_sent_is_sent_again(filled: Database) -> None:
    put(filled, *IDS)
    sending = due(filled)
    put(filled, IDS[0])
    queue = the_queue(filled)
    filled.write(lambda tx: deliveries.back_off(tx, queue.id, "down", 6, 99))
    filled.write(lambda tx: deliveries.acknowledge(tx, queue.id, sending, 7, sent=3))
    assert [each.public_id for each in due(filled)] == [IDS[0]]
    after = the_queue(filled)
    assert (after.sent, after.success_ns, after.attempts, after.retry_ns) == (3, 7, 0, 0)
    assert (after.error, after.error_ns) == ("down", 6)


def test_what_was_refused_waits_and_then_has_failed(filled: Database) -> None:
    put(filled, *IDS)
    first, second, third = due(filled)
    number = the_queue(filled).id
    filled.write(lambda tx: deliveries.refuse(tx, first, "no", 50, is_failed=False))
    filled.write(lambda tx: deliveries.refuse(tx, second, "never", 0, is_failed=True))
    assert due(filled) == [third]
    assert due(filled, now_ns=50) == [replace(first, attempts=1, error="no", retry_ns=50), third]
    with filled.read() as tx:
        assert deliveries.next_due_ns(tx, number, "A@a:1") == 0
        assert [(each.is_failed, each.count) for each in deliveries.backlogs(tx, number)] == [
            (False, 2),
            (True, 1),
        ]
    assert filled.write(lambda tx: deliveries.fail_older(tx, number, 6, "too old")) == 2
    with filled.read() as tx:
        assert deliveries.list_deliveries(tx, number, 0, 9)[0].error == "too old: no"
    filled.write(lambda tx: deliveries.retry_now(tx, number, 60))
    assert [each.queued_ns for each in due(filled)] == [60, 60, 60]


def test_of_two_nodes_one_has_a_queue_until_its_lease_ends(filled: Database) -> None:
    put(filled, IDS[0])
    number = the_queue(filled).id

    def claim(node: str, now_ns: int) -> bool:
        return filled.write(lambda tx: deliveries.claim(tx, number, node, now_ns, now_ns + 10))

    assert claim("one", 0)
    assert claim("one", 1)
    assert not claim("two", 11)
    filled.write(lambda tx: deliveries.renew(tx, "one", 30))
    assert not claim("two", 29)
    assert claim("two", 31)
    filled.write(lambda tx: deliveries.release(tx, number, "one"))  # Which has it no more.
    assert the_queue(filled).node == "two"
    filled.write(lambda tx: deliveries.set_paused(tx, number, is_paused=True))
    assert not claim("one", 99)
    filled.write(lambda tx: deliveries.release_earlier_runs(tx, "tw"))
    assert the_queue(filled).node == ""


def test_what_is_redirected_is_there_once_and_is_not_ended_by_what_is_under_way(filled: Database) -> None:
    put(filled, *IDS, target="A@a:1")
    put(filled, IDS[0], target="B@b:1")
    put(filled, IDS[0], target="C@c:1")
    number, under_way = the_queue(filled).id, due(filled, "A@a:1")
    assert filled.write(lambda tx: deliveries.redirect(tx, number, "B@b:1")) == 4
    filled.write(lambda tx: deliveries.acknowledge(tx, number, under_way, 7, sent=3))
    assert sorted(each.public_id for each in due(filled, "B@b:1")) == sorted(IDS)
    assert due(filled, "A@a:1") == due(filled, "C@c:1") == []


@pytest.mark.parametrize(
    ("arguments", "left"), [({}, 0), ({"only_failed": True}, 2), ({"all_but": "B@b:1"}, 2)]
)
def test_only_what_is_meant_is_purged(filled: Database, arguments: dict[str, object], left: int) -> None:
    put(filled, IDS[0], IDS[1])
    put(filled, IDS[0], target="B@b:1")
    number = the_queue(filled).id
    filled.write(lambda tx: deliveries.refuse(tx, due(filled)[0], "never", 0, is_failed=True))
    filled.write(lambda tx: deliveries.purge(tx, number, **arguments))  # type: ignore[arg-type]
    with filled.read() as tx:
        assert len(deliveries.list_deliveries(tx, number, 0, 9)) == left


def test_who_has_something_to_be_sent_is_not_recycled(filled: Database) -> None:
    with filled.read() as tx:
        oldest = next_to_recycle(tx, "")
    put(filled, IDS[0])
    with filled.read() as tx:
        assert next_to_recycle(tx, "") != oldest
    refused = due(filled)[0]
    filled.write(lambda tx: deliveries.refuse(tx, refused, "never", 0, is_failed=True))
    with filled.read() as tx:
        assert next_to_recycle(tx, "") == oldest
