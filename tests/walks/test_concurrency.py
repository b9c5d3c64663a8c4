"""Many clients at once that store, delete, search and read the same instances: all counts agree in the end."""

import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests import instances
from tests.servers import RunningServer, running

from hounsfield.net.options import AssociationOptions
from hounsfield.net.scu import Proposal, RemoteNode, associate

_INSTANCES = 400
_SECONDS = 5.0
_SIZES = (300, 4096, 60_000)


class _Crowd:
    """Clients that go on until the time is over, and remember what went wrong."""

    def __init__(self, server: RunningServer) -> None:
        self.failures: list[object] = []
        self.served = 0
        self._server, self._end = server, time.monotonic() + _SECONDS

    def run(self) -> None:
        works: list[Callable[[Random], None]] = [*[self._ask] * 4, *[self._store] * 3]
        threads = [
            threading.Thread(target=self._guarded, args=(work, Random(n))) for n, work in enumerate(works)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _guarded(self, work: Callable[[Random], None], random: Random) -> None:
        try:
            work(random)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(error)

    def _ask(self, random: Random) -> None:
        connection = self._server.connection()
        while time.monotonic() < self._end:
            method, path, body = self._question(random)
            connection.request(method, path, body)
            answer = connection.getresponse()
            text = answer.read()
            self.served += 1
            if answer.status >= 500:
                self.failures.append((method, path, answer.status, text))
        connection.close()

    def _question(self, random: Random) -> tuple[str, str, bytes | None]:
        number = random.randrange(_INSTANCES)
        instance = f"/instances/{instances.public_id(number)}"
        search = {"Level": "Series", "Query": {"PatientID": f"P{number // 40}"}, "Expand": True}
        storing = ("POST", "/instances", _file(number, random))
        questions: list[tuple[str, str, bytes | None]] = [
            *([storing] * 5),
            ("DELETE", instance, None),
            ("DELETE", f"/patients/{self._patient(random)}", None),
            ("GET", f"{instance}/file", None),
            ("GET", f"{instance}/attachments/dicom/md5", None),
            ("POST", "/tools/find", json.dumps(search).encode()),
            ("GET", "/patients?expand", None),
            ("PUT", f"{instance}/metadata/1024", b"text"),
            ("GET", "/statistics", None),
        ]
        return random.choice(questions)

    def _patient(self, random: Random) -> str:
        patients: list[str] = self._server.json("/patients") if random.random() < 0.05 else []
        return random.choice(patients) if patients else "none"

    def _store(self, random: Random) -> None:
        node = RemoteNode("127.0.0.1", self._server.dicom_port, "HOUNSFIELD")
        proposal = Proposal("CROWD", [(instances.SOP_CLASS_UID, [instances.TRANSFER_SYNTAX_UID])])
        while time.monotonic() < self._end:
            with associate(node, proposal, AssociationOptions()) as association:
                context = association.find_context(instances.SOP_CLASS_UID)
                assert context is not None
                for _ in range(30):
                    number = random.randrange(_INSTANCES)
                    data_set = instances.dataset(number, random.choice(_SIZES), random.randrange(2))
                    answer = association.store(context, instances.uids(number)[2], data_set)
                    self.served += 1
                    if answer.status != 0:
                        self.failures.append(answer)


def _file(number: int, random: Random) -> bytes:
    return instances.file(number, random.choice(_SIZES), random.randrange(2))


def _checked(server: RunningServer) -> dict[str, Any]:
    """The statistics, which agree with what there is."""
    statistics: dict[str, Any] = server.json("/statistics")
    for level in ("patients", "studies", "series", "instances"):
        assert len(server.json(f"/{level}")) == statistics[f"Count{level.capitalize()}"], level
    for level, children in (("patients", "Studies"), ("studies", "Series"), ("series", "Instances")):
        assert all(each[children] for each in server.json(f"/{level}?expand")), level
    size = 0
    for public_id in server.json("/instances"):
        status, data = server.request("GET", f"/instances/{public_id}/file")
        assert status == 200, public_id
        size += len(data)
    assert size == int(statistics["TotalUncompressedSize"])
    return statistics


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"OverwriteInstances": True, "StorageCompression": True, "MaximumPatientCount": 6, "StableAge": 1},
        {"OverwriteInstances": "IfChanged", "MaximumStorageSize": 2},
    ],
    ids=["defaults", "recycling", "limited"],
)
def test_a_crowd_leaves_everything_in_order(tmp_path: Path, options: dict[str, object]) -> None:
    with running(tmp_path, options) as server:
        crowd = _Crowd(server)
        crowd.run()
        assert crowd.failures == []
        assert crowd.served > 200
        before = _checked(server)
        assert "Traceback" not in server.log.read_text()
    files = list((tmp_path / "storage").glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"))
    assert len(files) == before["CountInstances"], "a file without a row, or a row without a file"
    with running(tmp_path, options) as server:
        assert _checked(server) == before
