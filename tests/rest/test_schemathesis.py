"""Whatever a client sends, by the description of the interface: no handler fails in a way that nobody foresaw.

`HOUNSFIELD_SCHEMATHESIS` is the number of requests to each route.
"""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.core.result import Ok
from tests.rest.builders import real_file, slice_file
from tests.servers import RunningServer, running

_EXAMPLES = int(os.environ.get("HOUNSFIELD_SCHEMATHESIS", "2"))
_ENDING = ("/tools/shutdown", "/tools/reset")
# Orthanc's numbers of failures that are told by 500: an unknown tag, a script with an error, a peer, what cannot be
# transcoded, a wrong order of calls, too few slices, and what cannot be written.
_FORESEEN = (27, 2031, 9, 2, 6, 2040, 14)
_MANY = 100
_PATIENCE_SECONDS = 60


@schemathesis.serializer("application/dicom", "application/zip")
def _bytes_of(_context: object, value: object) -> bytes:
    return value if isinstance(value, bytes) else json.dumps(value).encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    options = {"ExecuteLuaEnabled": True, "DicomScuTimeout": 1}
    with running(tmp_path_factory.mktemp("schemathesis"), options) as started:
        yield started


def _fill(server: RunningServer) -> dict[str, str]:
    """Some instances, and the id of one resource of each level.

    They are not many: `POST /patients/{id}/modify` copies studies to the same patient, and so doubles them.
    """
    if server.json("/statistics")["CountInstances"] > _MANY:
        everything = json.dumps({"Resources": server.json("/patients")}).encode()
        assert server.request("POST", "/tools/bulk-delete", everything)[0] == 200
    if server.json("/statistics")["CountInstances"] < 2:
        for file in (slice_file(), real_file("CT_small.dcm")):
            server.request("POST", "/instances", file)
    return {level: server.json(f"/{level}")[0] for level in ("patients", "studies", "series", "instances")}


@pytest.mark.timeout(120 + 60 * _EXAMPLES)
def test_no_request_makes_a_handler_fail_unforeseen(server: RunningServer) -> None:
    document = server.json("/openapi.json")
    for path in _ENDING:
        del document["paths"][path]
    base = f"http://127.0.0.1:{server.http_port}"
    failures: list[tuple[str, str, object]] = []

    def send(case: Any) -> None:
        ids = _fill(server)
        level = case.path.split("/")[1]
        if level in ids and "id" in case.path_parameters:
            case.path_parameters["id"] = ids[level]
        answer = case.call(base_url=base, timeout=30)
        if answer.status_code >= 500:
            found = json.loads(answer.content or b"{}")
            if found.get("OrthancStatus") not in _FORESEEN:
                failures.append((case.method, answer.request.url, found))

    for result in schemathesis.openapi.from_dict(document).get_all_operations():
        assert isinstance(result, Ok), result
        settings(
            max_examples=_EXAMPLES, deadline=None, database=None, derandomize=True,
            suppress_health_check=list(HealthCheck), phases=[Phase.generate],
        )(given(result.ok().as_strategy())(send))()  # fmt: skip
    assert failures == []
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while {job["State"] for job in server.json("/jobs?expand")} & {"Pending", "Running"}:
        assert time.monotonic() < deadline, "some job does not end"
        time.sleep(0.05)
