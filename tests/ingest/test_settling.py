"""What is done a little later: notes dropped, files deleted, whatever failed tried again."""

import errno
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.ingest.builders import Bench, identifiers, make_file, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.errors import StorageFull
from hounsfield.index.deletion import delete, list_deleted_files
from hounsfield.index.sqlite import SqliteDatabase
from hounsfield.ingest.settling import Settling
from hounsfield.store.area import FileKey


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def has_note(bench: Bench, key: FileKey) -> bool:
    path = bench.area.path(key)
    return path is not None and path.read_bytes()[-32:-24] == b"HNSFLDn1"


def notes(bench: Bench) -> int:
    keys = list(bench.area.keys())
    return sum(has_note(bench, key) for key in keys)


@contextmanager
def failing(database: SqliteDatabase, error: Exception) -> Iterator[None]:
    """A database that cannot be synchronised."""

    def fail() -> int:
        raise error

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(database, "sync", fail)
        yield


def test_the_thread_drops_notes_and_deletes_files(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    settling = Settling(bench.archive, quiet_seconds=0.01)
    settling.start()
    for sop in "12":
        bench.receive(make_file(sop=sop))
    for key in list(bench.area.keys()):
        settling.add(key)
    until(lambda: notes(bench) == 0)
    instance = identifiers().public_id(Level.INSTANCE)
    bench.database.write(lambda tx: delete(tx, Level.INSTANCE, instance, "20260101T000000"))
    settling.files_were_deleted()
    until(lambda: len(list(bench.area.keys())) == 1)
    settling.stop()
    bench.close()


def test_files_are_deleted_in_a_quiet_moment(tmp_path: Path) -> None:
    """Who deleted something often sends something next, which should not wait for the disk."""
    bench = open_bench(tmp_path)
    settling = Settling(bench.archive, quiet_seconds=0.3)
    settling.start()
    bench.receive(make_file())
    (key,) = bench.area.keys()
    instance = identifiers().public_id(Level.INSTANCE)
    bench.database.write(lambda tx: delete(tx, Level.INSTANCE, instance, "20260101T000000"))
    began = time.monotonic()
    settling.files_were_deleted()
    until(lambda: key not in set(bench.area.keys()))
    assert time.monotonic() - began >= 0.3
    settling.stop()
    bench.close()


def test_an_index_that_cannot_be_synchronised_costs_no_note(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    bench.receive(make_file())
    (key,) = list(bench.area.keys())
    real = bench.archive.database
    assert isinstance(real, SqliteDatabase)
    with failing(real, OSError(errno.EIO, "no")), pytest.raises(OSError, match="no"):
        bench.settle()
    assert has_note(bench, key)
    bench.settle()
    assert not has_note(bench, key)
    bench.close()


@pytest.mark.parametrize("error", [OSError(errno.EIO, "no"), StorageFull("no")])
def test_the_thread_survives_a_failing_disk_and_finishes_later(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    bench = open_bench(tmp_path)
    bench.receive(make_file())
    settling = Settling(bench.archive, quiet_seconds=0.01)
    assert isinstance(bench.database, SqliteDatabase)
    with failing(bench.database, error):
        for key in list(bench.area.keys()):
            settling.add(key)
        settling.start()
        until(lambda: "trying again" in caplog.text)
    until(lambda: notes(bench) == 0)
    settling.stop()
    bench.close()


def test_more_files_than_a_batch_are_deleted(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    for number in range(520):
        bench.receive(make_file(sop=str(number)))
    patient = identifiers().public_id(Level.PATIENT)
    bench.database.write(lambda tx: delete(tx, Level.PATIENT, patient, "20260101T000000"))
    bench.intake.settling.files_were_deleted()
    bench.settle()
    assert list(bench.area.keys()) == []
    with bench.database.read() as tx:
        assert list_deleted_files(tx, 10) == []
    bench.close()


def test_stopping_finishes_what_is_left_at_once(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    settling = Settling(bench.archive, quiet_seconds=100)
    settling.start()
    bench.receive(make_file())
    for key in list(bench.area.keys()):
        settling.add(key)
    stopper = threading.Thread(target=settling.stop)
    stopper.start()
    stopper.join(10)
    assert not stopper.is_alive()
    assert notes(bench) == 0
    bench.close()
