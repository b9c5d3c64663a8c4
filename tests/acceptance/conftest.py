"""One server a module, emptied before each test; a module may have `OPTIONS` for its server."""

import json
from collections.abc import Iterator

import pytest
from tests.servers import RunningServer, running


@pytest.fixture(scope="module")
def standing(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningServer]:
    """The server of the module, with what the tests before left in it."""
    options = getattr(request.module, "OPTIONS", {})
    with running(tmp_path_factory.mktemp("acceptance"), options) as started:
        yield started


@pytest.fixture
def server(standing: RunningServer) -> RunningServer:
    """The server of the module, empty."""
    patients = standing.json("/patients")
    for patient in patients:
        standing.request("PUT", f"/patients/{patient}/protected", b"0")
    status, _ = standing.request("POST", "/tools/bulk-delete", json.dumps({"Resources": patients}).encode())
    assert status == 200
    assert standing.request("DELETE", "/changes")[0] == 200
    assert standing.request("DELETE", "/exports")[0] == 200
    return standing
