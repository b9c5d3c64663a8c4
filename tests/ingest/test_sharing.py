"""Several servers that share an index in PostgreSQL and one folder of files."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from os import truncate
from pathlib import Path

import pytest
from tests.ingest.builders import Bench, identifiers, make_file, open_bench
from tests.postgres import shared_server

from hounsfield.dicom.levels import Level
from hounsfield.errors import DatabaseUnavailable
from hounsfield.events import ResourceStable
from hounsfield.index.database import node_task
from hounsfield.index.deletion import delete, list_deleted_files
from hounsfield.index.options import PostgresOptions
from hounsfield.index.postgres import PostgresDatabase
from hounsfield.index.resources import list_ids
from hounsfield.index.statistics import totals
from hounsfield.ingest.adoption import Adoption
from hounsfield.ingest.intake import IngestOptions, Outcome, Overwrite
from hounsfield.ingest.recovery import adopt, recover, restore_lost
from hounsfield.ingest.stability import StabilityMonitor
from hounsfield.store.filesystem import FilesystemArea

_TAGS = {"one": "0123456789ab", "two": "ba9876543210"}


@dataclass(slots=True)
class Cluster:
    """Two servers, that can be opened one after the other or together."""

    folder: Path
    options: PostgresOptions

    def open(self, name: str, options: IngestOptions | None = None) -> Bench:
        database = PostgresDatabase(replace(self.options, node=_TAGS[name]))
        area = FilesystemArea(self.folder, sync=False, batch=8, node=_TAGS[name])
        bench = open_bench(self.folder, options, area=area, database=database)
        bench.intake.settling.restore = partial(restore_lost, bench.intake)
        return bench


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return Cluster(tmp_path, shared_server().new_schema())


@pytest.fixture
def nodes(cluster: Cluster) -> Iterator[tuple[Bench, Bench]]:
    made = cluster.open("one"), cluster.open("two")
    yield made
    for bench in made:
        bench.close()


def instances(bench: Bench) -> list[str]:
    with bench.database.read() as tx:
        return list(list_ids(tx, Level.INSTANCE))


def remove(bench: Bench, level: Level) -> None:
    public_id = identifiers().public_id(level)
    bench.database.write(lambda tx: delete(tx, level, public_id, "20260101T000000"))
    bench.intake.settling.files_were_deleted()


def test_the_same_instance_at_two_servers_is_kept_once(nodes: tuple[Bench, Bench]) -> None:
    outcomes: list[Outcome] = []
    for sop in range(20):
        barrier = threading.Barrier(2)

        def send(bench: Bench, data: bytes, barrier: threading.Barrier = barrier) -> None:
            barrier.wait(10)
            outcomes.append(bench.receive(data).outcome)

        threads = [threading.Thread(target=send, args=(bench, make_file(sop=str(sop)))) for bench in nodes]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(outcome.value for outcome in outcomes) == ["AlreadyStored"] * 20 + ["Success"] * 20
    with nodes[0].database.read() as tx:
        assert totals(tx).instances == 20
    for bench in nodes:
        bench.settle()
    assert len(list(nodes[0].area.keys())) == 20


def test_a_series_that_another_server_deleted_is_made_again(nodes: tuple[Bench, Bench]) -> None:
    one, two = nodes
    one.receive(make_file(sop="1"))
    for level in (Level.PATIENT, Level.SERIES, Level.INSTANCE):
        one.receive(make_file(sop="1"))
        remove(two, level)
        assert one.receive(make_file(sop="2")).outcome is Outcome.SUCCESS
        assert instances(two) == [identifiers(sop="2").public_id(Level.INSTANCE)]
        remove(two, Level.PATIENT)


def test_start_up_leaves_alone_what_another_server_is_writing(cluster: Cluster) -> None:
    one = cluster.open("one")
    assert one.receive(make_file(sop="1")).outcome is Outcome.SUCCESS
    two = cluster.open("two")
    assert recover(two.intake).swept == 0
    for sop in "23456789":
        assert one.receive(make_file(sop=sop)).outcome is Outcome.SUCCESS
    for key in list(one.area.keys()):
        assert one.area.find(key) is not None
    assert len(list(one.area.keys())) == 9
    two.close()
    one.close()


def test_a_server_that_was_killed_finds_its_own_files_again(cluster: Cluster) -> None:
    one, two = cluster.open("one"), cluster.open("two")
    one.receive(make_file(sop="1"))
    two.receive(make_file(sop="2"))
    one.area.create([b"torn, as it has no row and its note is not ours"], b"")
    one.crash()
    again = cluster.open("one")
    assert recover(again.intake).rows == 0
    assert len(instances(again)) == 2
    again.settle()
    two.settle()
    again.close()
    two.close()


def test_rows_that_the_database_lost_are_made_again_from_the_notes(
    cluster: Cluster, nodes: tuple[Bench, Bench]
) -> None:
    bench = nodes[0]
    bench.receive(make_file(sop="1"))
    bench.receive(make_file(sop="2"))
    lose_rows(cluster)
    assert instances(bench) == []
    bench.settle()
    wanted = sorted(identifiers(sop=sop).public_id(Level.INSTANCE) for sop in "12")
    assert instances(bench) == wanted
    bench.settle()
    (first, *_) = bench.area.keys()
    found = bench.area.find(first)
    assert found is not None
    assert found.note is None
    assert instances(bench) == wanted


def test_an_instance_whose_row_could_not_be_written_waits_for_the_database(
    nodes: tuple[Bench, Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = nodes[0]

    def fail(*arguments: object, **options: object) -> None:
        raise DatabaseUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(bench.database, "write", fail)
        with pytest.raises(DatabaseUnavailable):
            bench.receive(make_file())
    assert instances(bench) == []
    bench.settle()
    assert instances(bench) == [identifiers().public_id(Level.INSTANCE)]


def lose_rows(cluster: Cluster) -> None:
    """What a crash of the database does to rows that are not durable."""
    with shared_server().connect() as connection:
        for table in ("attachments", "instances", "series", "studies", "patients"):
            connection.execute(f"DELETE FROM {cluster.options.schema}.{table}")
        connection.execute(f"UPDATE {cluster.options.schema}.totals SET generation = generation + 1")


def wait_until_away(bench: Bench, name: str) -> None:
    """PostgreSQL takes a moment to notice that a connection is gone."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with bench.database.alone(node_task(_TAGS[name])) as is_away:
            if is_away:
                return
    raise AssertionError("the lock of a dead server is still held")


class Watch:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_what_a_server_acknowledged_before_it_died_for_good_is_indexed_by_another(cluster: Cluster) -> None:
    one, two = cluster.open("one"), cluster.open("two")
    one.receive(make_file(sop="1"))
    one.receive(make_file(sop="2"))
    torn = one.area.create([b"torn, as its end is missing"], b"")
    truncate(one.area.path(torn) or "", 20)
    lose_rows(cluster)
    watch = Watch()
    adoption = Adoption(two.intake, two.area, grace_seconds=60, clock=watch)  # type: ignore[arg-type]
    assert adoption.check() == 0
    watch.now = 1000.0
    assert adoption.check() == 0, "it is alive"
    one.crash()
    wait_until_away(two, "one")
    assert adoption.check() == 0, "it may come back"
    watch.now = 1061.0
    assert adoption.check() == 2
    wanted = sorted(identifiers(sop=sop).public_id(Level.INSTANCE) for sop in "12")
    assert instances(two) == wanted
    kept = list(two.area.keys())
    assert len(kept) == 3
    for key in kept:
        found = two.area.find(key)
        assert found is not None
        assert found.note is None
    assert two.area.neighbours() == []  # type: ignore[attr-defined]
    two.settle()
    again = cluster.open("one")
    assert recover(again.intake).rows == 0
    assert instances(again) == wanted
    assert len(list(two.area.keys())) == 2, "what is torn is swept by its own server"
    assert two.area.neighbours() == [_TAGS["one"]]  # type: ignore[attr-defined]
    again.close()
    two.close()


@pytest.mark.parametrize("overwrite", list(Overwrite))
def test_a_server_that_was_taken_for_dead_loses_nothing(cluster: Cluster, overwrite: Overwrite) -> None:
    """Another one indexes a file between the moment it was written and that in which its own server does."""
    options = IngestOptions(overwrite=overwrite)
    one, two = cluster.open("one", options), cluster.open("two", options)
    write = one.database.write

    def late(*arguments: object, **named: object) -> object:
        assert adopt(two.intake, two.area.left_by(_TAGS["one"])) == 1  # type: ignore[attr-defined]
        return write(*arguments, **named)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(one.database, "write", late)
        assert one.receive(make_file(sop="1")).outcome is Outcome.SUCCESS
    one.settle()
    two.settle()
    assert instances(one) == [identifiers(sop="1").public_id(Level.INSTANCE)]
    (key,) = one.area.keys()
    found = one.area.find(key)
    assert found is not None
    assert found.note is None
    with one.database.read() as tx:
        assert list_deleted_files(tx, 10) == []
        assert totals(tx).instances == 1
    one.close()
    two.close()


def test_each_stable_resource_is_told_by_one_server(nodes: tuple[Bench, Bench]) -> None:
    monitors = [StabilityMonitor(bench.archive, 10, bench.clock) for bench in nodes]
    for study in range(15):
        nodes[study % 2].receive(make_file(patient=f"P{study}", study=str(study)))
    for bench in nodes:
        bench.clock.advance(100)
    threads = [threading.Thread(target=monitor.check) for monitor in monitors for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [event for bench in nodes for event in bench.events if isinstance(event, ResourceStable)]
    assert len(told) == len(set(told)) == 45


def test_what_arrives_after_a_resource_was_stable_makes_it_unstable_for_all(
    nodes: tuple[Bench, Bench],
) -> None:
    one, two = nodes
    one.receive(make_file(sop="1"))
    monitor = StabilityMonitor(two.archive, 1, two.clock)
    two.clock.advance(2)
    monitor.check()
    assert one.receive(make_file(sop="2")).outcome is Outcome.SUCCESS
    two.clock.advance(2)
    monitor.check()
    told = [event for event in two.events if isinstance(event, ResourceStable)]
    assert len(told) == 6


def test_the_oldest_patient_is_recycled_once_whoever_receives(cluster: Cluster) -> None:
    options = IngestOptions(maximum_patients=3)
    nodes = cluster.open("one", options), cluster.open("two", options)
    for number in range(12):
        nodes[number % 2].clock.now_ns = max(bench.clock.now_ns for bench in nodes)
        nodes[number % 2].receive(make_file(patient=f"P{number}", study=str(number)))
    with nodes[0].database.read() as tx:
        assert totals(tx).patients == 3
    kept = sorted(
        identifiers(patient=f"P{number}", study=str(number)).public_id(Level.INSTANCE)
        for number in (9, 10, 11)
    )
    assert instances(nodes[1]) == kept
    for bench in nodes:
        bench.settle()
    assert len(list(nodes[0].area.keys())) == 3
    for bench in nodes:
        bench.close()


def test_files_whose_server_died_are_deleted_by_another(nodes: tuple[Bench, Bench]) -> None:
    one, two = nodes
    one.receive(make_file())
    one.settle()
    public_id = identifiers().public_id(Level.PATIENT)
    one.database.write(lambda tx: delete(tx, Level.PATIENT, public_id, "20260101T000000"))
    two.intake.settling.files_were_deleted()
    two.settle()
    with two.database.read() as tx:
        assert list_deleted_files(tx, 10) == []
    assert list(two.area.keys()) == []
