"""Senders are answered when the file is safe; the row follows, whatever happens."""

import logging
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest
from tests.ingest.builders import DICOM, Bench, identifiers, make_file, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.events import InstanceReceived, InstanceReceivedAgain, ResourceCreated
from hounsfield.index.changes import ChangeType, list_changes
from hounsfield.index.deletion import delete
from hounsfield.index.resources import list_ids
from hounsfield.index.sqlite import SqliteDatabase
from hounsfield.ingest.arriving import Arriving
from hounsfield.ingest.instance import origin_metadata
from hounsfield.ingest.intake import Outcome
from hounsfield.ingest.recovery import restore_lost
from hounsfield.store.area import FileKey
from hounsfield.store.memory import MemoryArea
from hounsfield.store.spool import Buffer


class MeetingArea(MemoryArea):
    """Writes files only when so many are written at the same time."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(count)

    def create(self, parts: Sequence[Buffer], note: bytes, crc32: int | None = None) -> FileKey:
        self._barrier.wait(20)
        return super().create(parts, note, crc32)


INSTANCE = identifiers().public_id(Level.INSTANCE)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path)
    made.intake.settling.restore = partial(restore_lost, made.intake)
    yield made
    made.close()


def instances(bench: Bench) -> list[str]:
    with bench.database.read() as tx:
        return [str(public_id) for public_id in list_ids(tx, Level.INSTANCE)]


def refuse_writes(bench: Bench, *, is_refusing: bool) -> None:
    """Make the index fail as a disk that cannot be written does."""
    assert isinstance(bench.database, SqliteDatabase)
    bench.database._connection.execute(f"PRAGMA query_only = {'ON' if is_refusing else 'OFF'}")


def test_what_is_on_its_way_is_known_to_be_stored(bench: Bench) -> None:
    outcomes = [bench.receive(make_file()).outcome for _ in range(3)]
    assert outcomes == [Outcome.SUCCESS, Outcome.ALREADY_STORED, Outcome.ALREADY_STORED]
    assert instances(bench) == [INSTANCE]
    assert [event for event in bench.events if isinstance(event, InstanceReceived)] != []


def test_what_comes_again_while_the_first_is_on_its_way_is_told_of_after_it(bench: Bench) -> None:
    for _ in range(3):
        bench.receive(make_file(), DICOM)
    bench.database.finish()
    told = [event for event in bench.events if not isinstance(event, ResourceCreated)]
    again = InstanceReceivedAgain(identifiers().public_ids(), origin_metadata(DICOM))
    assert told == [InstanceReceived(identifiers().public_ids()), again, again]


def test_what_comes_twice_at_the_same_time_is_told_of_twice(tmp_path: Path) -> None:
    area = MeetingArea(2)
    bench = open_bench(tmp_path, area=area)
    with ThreadPoolExecutor(2) as threads:
        receipts = list(threads.map(bench.receive, [make_file()] * 2))
    bench.database.finish()
    assert {receipt.outcome for receipt in receipts} == {Outcome.SUCCESS, Outcome.ALREADY_STORED}
    told = [type(event) for event in bench.events if not isinstance(event, ResourceCreated)]
    assert told == [InstanceReceived, InstanceReceivedAgain]
    assert len(list(area.keys())) == 1
    bench.close()


def test_what_came_again_is_told_of_by_who_releases_the_first() -> None:
    arriving, again = Arriving(), InstanceReceivedAgain(("p", "s", "t", "a"), {})
    assert not arriving.defer(again)
    arriving.claim("a", FileKey("1"))
    assert arriving.defer(again)
    assert list(arriving.release("a")) == [again]
    assert not arriving.defer(again)


def test_an_instance_is_claimed_by_one_file() -> None:
    arriving = Arriving()
    assert arriving.claim("a", FileKey("1"))
    assert not arriving.claim("a", FileKey("2"))
    assert "a" in arriving
    arriving.release("a")
    assert arriving.claim("a", FileKey("2"))


def test_many_of_some_new_series_share_their_commit(bench: Bench) -> None:
    before = bench.database.state
    receipts = [bench.receive(make_file(series=str(number % 3), sop=str(number))) for number in range(30)]
    assert {receipt.outcome for receipt in receipts} == {Outcome.SUCCESS}
    wanted = [receipt.identifiers.public_id(Level.INSTANCE) for receipt in receipts]
    assert sorted(instances(bench)) == sorted(wanted)
    with bench.database.read() as tx:
        assert len(list_ids(tx, Level.SERIES)) == 3
        seen = [(change.type, change.public_id) for change in list_changes(tx, limit=100).changes]
    assert len(seen) == len(set(seen)) == 30 + 3 + 2
    news = [public_id for kind, public_id in seen if kind is ChangeType.NEW_INSTANCE]
    assert news == wanted
    assert bench.database.state is not None
    assert before is not None
    assert bench.database.state - before < 30


def test_what_the_index_refused_is_indexed_when_it_can_be(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.receive(make_file(sop="0"))
    bench.database.finish()
    refuse_writes(bench, is_refusing=True)
    with caplog.at_level(logging.CRITICAL, "hounsfield.generic"):
        assert bench.receive(make_file()).outcome is Outcome.SUCCESS
        assert INSTANCE not in instances(bench)
        # From now on senders are told.
        with pytest.raises(OSError, match="cannot be written"):
            bench.receive(make_file(sop="2"))
        with pytest.raises(OSError, match="cannot be written"):
            bench.settle()
        refuse_writes(bench, is_refusing=False)
        bench.settle()
    assert INSTANCE in instances(bench)
    assert bench.receive(make_file()).outcome is Outcome.ALREADY_STORED
    assert bench.receive(make_file(sop="3")).outcome is Outcome.SUCCESS
    assert bench.intake.may_index_later


def test_a_series_deleted_meanwhile_is_made_again(bench: Bench) -> None:
    bench.receive(make_file(sop="1"))
    bench.receive(make_file(sop="2"))
    series = identifiers().public_id(Level.SERIES)
    with bench.database.read() as tx:  # As the next one will find it.
        assert list_ids(tx, Level.SERIES) == [series]
    later = identifiers(sop="3").public_id(Level.INSTANCE)
    # The row is on its way without its parents when these are deleted.
    bench.database._delayed._turn.acquire()  # type: ignore[attr-defined]
    try:
        assert bench.receive(make_file(sop="3")).outcome is Outcome.SUCCESS
        bench.database._writes.write(  # type: ignore[attr-defined]
            lambda tx: delete(tx, Level.SERIES, series, "20260101T000000"), durable=True
        )
    finally:
        bench.database._delayed._turn.release()  # type: ignore[attr-defined]
    assert instances(bench) == [later]
    assert bench.intake.may_index_later
