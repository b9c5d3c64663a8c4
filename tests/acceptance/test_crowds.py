"""Scenario 250: many clients at once upload, delete, list, send, archive and change the same study."""

import http.client
import json
import multiprocessing
import time
import zipfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from tests import instances
from tests.acceptance.asking import at_once, end_of, status_of, until, upload
from tests.rest.builders import ids, slice_file
from tests.servers import RunningServer, free_port, running

_COUNT = 20
_UIDS = ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
_IN_PLACE = {"Replace": {"StudyDescription": "new"}, "Keep": _UIDS, "Force": True}


class _Client:
    """One that does this and that until its time is over, and remembers what went wrong."""

    def __init__(self, port: int, seed: int) -> None:
        self.random, self.failures, self.served = Random(seed), list[object](), 0
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method: str, path: str, body: object = None) -> bytes | None:
        """The body of a success; a refusal is fine, an error of the server is not."""
        sent = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        self._connection.request(method, path, sent)
        answer = self._connection.getresponse()
        text = answer.read()
        self.served += 1
        if answer.status >= 500:
            self.failures.append((method, path, answer.status, text[:300]))
        return text if answer.status == 200 else None

    def step(self) -> None:
        """One of the things that clients do."""
        works: list[Callable[[], None]] = [self._store] * 4 + [self._list, self._delete, self._change]
        self.random.choice([*works, self._archive, self._send, self._annotate])()

    def _study(self) -> str:
        known: list[str] = json.loads(self.ask("GET", "/studies") or b"[]")
        return self.random.choice([*known, "none"])

    def _store(self) -> None:
        number = self.random.randrange(_COUNT)
        size = self.random.choice((300, 4096, 60_000))
        self.ask("POST", "/instances", instances.file(number, size, self.random.randrange(2)))

    def _delete(self) -> None:
        number = self.random.randrange(_COUNT)
        self.ask("DELETE", f"/instances/{instances.public_id(number)}")
        if self.random.random() < 0.3:
            self.ask("DELETE", f"/studies/{self._study()}")

    def _list(self) -> None:
        for level in ("patients", "studies", "series", "instances"):
            self.ask("GET", f"/{level}?expand")

    def _archive(self) -> None:
        data = self.ask("GET", f"/studies/{self._study()}/archive")
        if data is not None:
            with zipfile.ZipFile(BytesIO(data)) as archive:
                assert archive.testzip() is None

    def _change(self) -> None:
        action, body = self.random.choice(
            [
                ("anonymize", {"KeepSource": self.random.random() < 0.7}),
                ("modify", {"KeepSource": self.random.random() < 0.7}),
                ("modify", _IN_PLACE),
            ]
        )
        self.ask("POST", f"/studies/{self._study()}/{action}", body)

    def _send(self) -> None:
        self.ask("POST", "/modalities/self/store", {"Resources": [self._study()]})

    def _annotate(self) -> None:
        study = self._study()
        self.ask(self.random.choice(("PUT", "DELETE")), f"/studies/{study}/labels/a", b"")
        self.ask("PUT", f"/studies/{study}/metadata/1024", b"v")
        self.ask("GET", f"/studies/{study}/shared-tags")


def _run(port: int, seed: int, seconds: float) -> tuple[int, list[object]]:
    client, end = _Client(port, seed), time.monotonic() + seconds
    while time.monotonic() < end:
        client.step()
    return client.served, client.failures


def _check(server: RunningServer) -> None:
    statistics = server.json("/statistics")
    found = {}
    for level in ("patients", "studies", "series", "instances"):
        found[level] = {each["ID"]: each for each in server.json(f"/{level}?expand")}
        assert sorted(found[level]) == server.json(f"/{level}")
        assert len(found[level]) == statistics[f"Count{level.capitalize()}"]
    for above, below, children, parent in (
        ("patients", "studies", "Studies", "ParentPatient"),
        ("studies", "series", "Series", "ParentStudy"),
        ("series", "instances", "Instances", "ParentSeries"),
    ):
        assert sum(len(each[children]) for each in found[above].values()) == len(found[below])
        assert all(each["ID"] in found[above][each[parent]][children] for each in found[below].values())
        assert all(each[children] for each in found[above].values())
    files = [server.request("GET", f"/instances/{each}/file") for each in found["instances"]]
    assert {status for status, _ in files} <= {200}
    assert sum(len(data) for _, data in files) == int(statistics["TotalUncompressedSize"])


@pytest.mark.slow
def test_a_crowd_of_processes_leaves_a_study_that_agrees_with_itself(tmp_path: Path) -> None:
    """Scenario 250."""
    dicom_port = free_port()
    options = {
        "DicomPort": dicom_port,
        "DicomModalities": {"self": ["HOUNSFIELD", "127.0.0.1", dicom_port]},
        "OverwriteInstances": "Always",
    }
    with running(tmp_path, options) as server:
        with multiprocessing.get_context("spawn").Pool(3) as pool:
            work = [(server.http_port, seed, 2.5) for seed in range(3)]
            told = pool.starmap(_run, work)
        assert [failure for _, failures in told for failure in failures] == []
        assert sum(served for served, _ in told) > 20
        until(lambda: all(each["State"] in ("Success", "Failure") for each in server.json("/jobs?expand")))
        _check(server)
        assert "Traceback" not in server.log.read_text()
    files = list((tmp_path / "storage").glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"))
    with running(tmp_path, options) as server:
        _check(server)
        assert len(files) == server.json("/statistics")["CountInstances"]


@pytest.mark.parametrize("count", [20, 100])
def test_the_same_instance_from_many_sides_is_stored_once(server: RunningServer, count: int) -> None:
    """Scenario 250."""
    data = slice_file(patient=f"MANY{count}")
    outcomes = at_once(lambda _: str(upload(server, data)["Status"]), count)
    assert sorted(outcomes) == ["AlreadyStored"] * (count - 1) + ["Success"]
    deleted = at_once(lambda _: status_of(server, "DELETE", f"/studies/{ids(f'MANY{count}')[1]}"), count)
    assert sorted(deleted) == [200] + [404] * (count - 1)
    assert server.json("/statistics")["CountInstances"] == 0


def test_jobs_whose_study_disappears_fail_as_not_found(server: RunningServer) -> None:
    """Scenario 250: deleting a study while jobs work on it leaves no half of a study behind without telling."""
    for number in range(_COUNT):
        upload(server, instances.file(number, 60_000))
    study = server.json("/studies")[0]
    body = {"Asynchronous": True}
    jobs = [server.json(f"/studies/{study}/{action}", body)["ID"] for action in ("anonymize", "modify") * 2]
    assert status_of(server, "DELETE", f"/studies/{study}") == 200
    ends = [end_of(server, job) for job in jobs]
    assert {(each["State"], each["ErrorCode"]) for each in ends} <= {("Success", 0), ("Failure", 17)}
    for each in ends:
        if each["State"] == "Success":
            assert len(server.json(f"/studies/{each['Content']['ID']}/instances")) == _COUNT
    _check(server)


def test_who_follows_the_changes_misses_none(server: RunningServer) -> None:
    """Scenario 57, while others write: numbers appear in their order, so asking since the last one is enough."""
    seen: list[int] = []

    def follow(uploads: list[Future[None]]) -> None:
        is_last = False
        while not is_last:
            is_last = all(each.done() for each in uploads)
            while not (page := server.json(f"/changes?since={seen[-1] if seen else 0}&limit=20"))["Done"]:
                seen.extend(each["Seq"] for each in page["Changes"])
            seen.extend(each["Seq"] for each in page["Changes"])

    def write(first: int) -> None:
        for number in range(first, first + 10):
            upload(server, instances.file(number, 300))
            path = f"/instances/{instances.public_id(number)}/metadata/1024"
            assert status_of(server, "PUT", path, "x") == 200

    with ThreadPoolExecutor() as pool:
        follow([pool.submit(write, 10 * number) for number in range(6)])
    assert seen == sorted(set(seen))
    assert set(seen) == {each["Seq"] for each in server.json("/changes?limit=100000")["Changes"]}


def test_readers_see_all_of_a_study_that_is_changed_in_place(tmp_path: Path) -> None:
    """Scenario 153, with readers: archives, tags and copies hold each instance, old or new."""
    with running(tmp_path, {"OverwriteInstances": "Always"}) as server:
        for number in range(_COUNT):
            upload(server, instances.file(number, 3000))
        study = server.json("/studies")[0]

        def change() -> None:
            for _ in range(4):
                server.json(f"/studies/{study}/modify", _IN_PLACE)

        def archive() -> int:
            with zipfile.ZipFile(BytesIO(server.request("GET", f"/studies/{study}/archive")[1])) as found:
                assert found.testzip() is None
                return len(found.namelist())

        def copy() -> int:
            made = server.json(f"/studies/{study}/anonymize", {})["Path"]
            return len(server.json(f"{made}/instances"))

        with ThreadPoolExecutor() as pool:
            changing = pool.submit(change)
            while not changing.done():
                tags = pool.submit(server.json, f"/studies/{study}/instances-tags?simplify")
                counts = [pool.submit(read) for read in (archive, copy)]
                assert [each.result() for each in counts] == [_COUNT] * 2
                assert len(tags.result()) == _COUNT
            changing.result()
        _check(server)
