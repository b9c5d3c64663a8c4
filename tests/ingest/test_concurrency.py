"""Many at the same time: nothing lost, nothing twice, totals true, every file there."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from random import Random
from typing import TypeVar

import pytest
from tests.ingest.builders import Bench, identifiers, make_file, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound, StorageFull
from hounsfield.index.deletion import delete
from hounsfield.index.resources import list_ids
from hounsfield.index.statistics import totals
from hounsfield.ingest.intake import IngestOptions, Outcome, Overwrite
from hounsfield.ingest.recovery import restore_lost
from hounsfield.retrieve.files import read_file

THREADS = 8
T = TypeVar("T")


def check(bench: Bench) -> None:
    """What must hold at any quiet moment."""
    bench.settle()
    with bench.database.read() as tx:
        found = totals(tx)
        rows = tx.rows("SELECT uuid, size, stored_size FROM attachments")
        assert found.size == sum(row[1] for row in rows)
        assert found.stored_size == sum(row[2] for row in rows)
        for level, table in enumerate(("patients", "studies", "series", "instances")):
            (count,) = tx.row(f"SELECT COUNT(*) FROM {table}") or (-1,)
            assert getattr(found, table) == count
            if level:
                parent, column = (("patients", "patient"), ("studies", "study"), ("series", "series"))[
                    level - 1
                ]
                assert (
                    tx.rows(f"SELECT id FROM {table} WHERE {column} NOT IN (SELECT id FROM {parent})") == []
                )
                assert (
                    tx.rows(f"SELECT id FROM {parent} WHERE id NOT IN (SELECT {column} FROM {table})") == []
                )
        assert len(rows) == found.instances
        assert tx.rows("SELECT * FROM deleted_files") == []
        ids = list_ids(tx, Level.INSTANCE)
    assert {row[0] for row in rows} == set(bench.area.keys())
    for public_id in ids:
        assert read_file(bench.archive, public_id)


def in_threads(work: Callable[[int], T]) -> list[T]:
    barrier = threading.Barrier(THREADS)

    def run(number: int) -> T:
        barrier.wait()
        return work(number)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(run, range(THREADS)))


def test_the_same_instance_from_all_sides_is_stored_once(bench: Bench) -> None:
    data = make_file()
    outcomes = in_threads(lambda number: [bench.receive(data).outcome for _ in range(5)])
    assert sum(found.count(Outcome.SUCCESS) for found in outcomes) == 1
    check(bench)


def test_different_instances_of_the_same_parents_are_all_stored(bench: Bench) -> None:
    def work(number: int) -> None:
        for sop in range(20):
            assert bench.receive(make_file(sop=f"{number}{sop:02}")).outcome is Outcome.SUCCESS

    in_threads(work)
    with bench.database.read() as tx:
        found = totals(tx)
    assert (found.patients, found.studies, found.series, found.instances) == (1, 1, 1, THREADS * 20)
    check(bench)


@pytest.mark.parametrize("overwrite", list(Overwrite))
def test_storing_while_others_delete_leaves_all_in_order(tmp_path: Path, overwrite: Overwrite) -> None:
    bench = open_bench(tmp_path, IngestOptions(overwrite=overwrite))
    # A row that is on its way while its series is deleted is made again.
    bench.intake.settling.restore = partial(restore_lost, bench.intake)
    stop = threading.Event()

    def settle() -> None:
        while not stop.is_set():
            bench.settle()

    settler = threading.Thread(target=settle)
    settler.start()

    def work(number: int) -> None:
        random = Random(number)
        for turn in range(25):
            patient, study, sop = random.choice("AB"), random.choice("12"), random.choice("1234")
            if number < 6:
                note = f"{number} {turn}"
                bench.receive(make_file(patient, study, study, sop, extra={0x00204000: note}))
            else:
                level = random.choice(list(Level))
                public_id = identifiers(patient, study, study, sop).public_id(level)
                try:
                    bench.database.write(
                        lambda tx, level=level, found=public_id: delete(tx, level, found, "20260101T000000")  # type: ignore[misc]
                    )
                except NotFound:
                    continue
                bench.intake.settling.files_were_deleted()

    in_threads(work)
    stop.set()
    settler.join()
    check(bench)
    bench.close()


def test_recycling_from_all_sides_stays_within_the_limit(tmp_path: Path) -> None:
    size = len(make_file("P00"))
    bench = open_bench(tmp_path, IngestOptions(maximum_size=size * 10))

    def work(number: int) -> int:
        stored = 0
        for turn in range(10):
            try:
                stored += bench.receive(make_file(f"P{number}{turn}")).outcome is Outcome.SUCCESS
            except StorageFull:
                continue
        return stored

    assert sum(in_threads(work)) == THREADS * 10
    with bench.database.read() as tx:
        assert totals(tx).instances == 10
    check(bench)
    bench.close()


def test_readers_see_whole_transactions(bench: Bench) -> None:
    stop = threading.Event()
    torn: list[object] = []

    def read() -> None:
        while not stop.is_set():
            with bench.database.read() as tx:
                found = totals(tx)
                (count,) = tx.row("SELECT COUNT(*) FROM instances") or (-1,)
                (size,) = tx.row("SELECT COALESCE(SUM(size), 0) FROM attachments") or (-1,)
            if (found.instances, found.size) != (count, size):
                torn.append((found, count, size))

    reader = threading.Thread(target=read)
    reader.start()
    in_threads(lambda number: [bench.receive(make_file(sop=f"{number}{turn}")) for turn in range(10)])
    stop.set()
    reader.join()
    assert torn == []
