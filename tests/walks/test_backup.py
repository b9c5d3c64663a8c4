"""What `docs/storage.md` promises an administrator: backing up, restoring, moving."""

import shutil
import sqlite3
from pathlib import Path

import pytest
from tests import instances
from tests.servers import RunningServer, running


def _post(server: RunningServer, numbers: range) -> None:
    for number in numbers:
        assert server.request("POST", "/instances", instances.file(number))[0] == 200


def _assert_there(server: RunningServer, numbers: range) -> None:
    assert set(server.json("/instances")) == {instances.public_id(number) for number in numbers}
    for number in numbers:
        found = server.request("GET", f"/instances/{instances.public_id(number)}/file")
        assert found == (200, instances.file(number))


def _files(storage: Path) -> dict[str, bytes]:
    """The files of instances, by name."""
    return {path.name: path.read_bytes() for path in storage.glob("[0-9a-f][0-9a-f]/*/*")}


def test_a_copy_of_the_stopped_folder_is_a_backup(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        _post(server, range(50))
    shutil.copytree(tmp_path / "storage", tmp_path / "copy")
    with running(tmp_path) as server:
        _post(server, range(50, 60))
        for number in range(20):
            assert server.request("DELETE", f"/instances/{instances.public_id(number)}")[0] == 200
    with running(tmp_path, {"StorageDirectory": "copy"}) as server:
        _assert_there(server, range(50))


def test_after_a_stop_files_are_as_they_were_received(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        _post(server, range(30))
    assert sorted(_files(tmp_path / "storage").values()) == sorted(map(instances.file, range(30)))


def test_a_running_server_can_be_backed_up_index_first(tmp_path: Path) -> None:
    storage, copy = tmp_path / "storage", tmp_path / "copy"
    with running(tmp_path) as server:
        _post(server, range(50))
        copy.mkdir()
        with (
            sqlite3.connect(storage / "hounsfield.db") as source,
            sqlite3.connect(copy / "hounsfield.db") as to,
        ):
            source.backup(to)
        source.close()
        to.close()
        _post(server, range(50, 60))  # Between the two halves of the backup.
        shutil.copytree(
            storage, copy, dirs_exist_ok=True, ignore=shutil.ignore_patterns("hounsfield.db*", "spool")
        )
    with running(tmp_path, {"StorageDirectory": "copy"}) as server:
        present = set(server.json("/instances"))
        assert {instances.public_id(number) for number in range(50)} <= present
        for number in range(50):
            found = server.request("GET", f"/instances/{instances.public_id(number)}/file")
            assert found == (200, instances.file(number))


def test_an_older_index_costs_no_file(tmp_path: Path) -> None:
    storage = tmp_path / "storage"
    with running(tmp_path) as server:
        _post(server, range(20))
    shutil.copy(storage / "hounsfield.db", tmp_path / "old.db")
    with running(tmp_path) as server:
        _post(server, range(20, 40))
    before = _files(storage)
    shutil.copy(tmp_path / "old.db", storage / "hounsfield.db")
    with running(tmp_path) as server:
        present = set(server.json("/instances"))
        assert {instances.public_id(number) for number in range(20)} <= present
    assert "older than the storage area" in server.log.read_text()
    assert _files(storage).items() >= before.items()


def test_the_files_alone_are_enough_to_fill_a_new_server(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        _post(server, range(20))
    files = _files(tmp_path / "storage")
    with running(tmp_path, {"StorageDirectory": "fresh"}) as server:
        for data in files.values():
            assert server.request("POST", "/instances", data)[0] == 200
        _assert_there(server, range(20))


def test_files_and_index_may_be_on_two_disks_and_move(tmp_path: Path) -> None:
    with running(tmp_path, {"IndexDirectory": "fast"}) as server:
        _post(server, range(20))
    assert (tmp_path / "fast" / "hounsfield.db").exists()
    assert not (tmp_path / "storage" / "hounsfield.db").exists()
    (tmp_path / "storage").rename(tmp_path / "new-files")
    (tmp_path / "fast").rename(tmp_path / "new-index")
    with running(tmp_path, {"StorageDirectory": "new-files", "IndexDirectory": "new-index"}) as server:
        _assert_there(server, range(20))
        _post(server, range(20, 25))
        _assert_there(server, range(25))


def test_two_servers_do_not_share_an_index(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        _post(server, range(3))
        with pytest.raises(AssertionError, match="stopping now"), running(tmp_path):
            pass
        _assert_there(server, range(3))
