"""Instances larger than what a server may hold in memory: they pass through the disk."""

import json
import shutil
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pytest
from pydicom.uid import UID
from pynetdicom import AE
from pynetdicom import _config as pynetdicom_config
from tests import instances
from tests.servers import RunningServer, running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

_SIZE = 1_500_000_000
_FREE_BYTES_WANTED = 6_000_000_000
_GROWTH_BYTES_ALLOWED = 200_000_000
_CHUNK = 4 << 20


@pytest.fixture
def large_file(tmp_path: Path) -> Iterator[Path]:
    """A file of 1.5 GB whose pixels are a hole: it takes no room. What the server made of it is removed."""
    if shutil.disk_usage(tmp_path).free < _FREE_BYTES_WANTED:
        pytest.skip("less than 6 GB are free")
    path = tmp_path / "large.dcm"
    whole = instances.file(1, size=0)
    with path.open("wb") as file:
        file.write(whole[:-4] + struct.pack("<I", _SIZE))
        file.truncate(len(whole) + _SIZE)
    yield path
    shutil.rmtree(tmp_path / "storage")


def _resident_bytes(pid: int) -> int:
    """Memory of the process that is not the cache of a file, which the system takes back when it wants to."""
    fields = dict(
        line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
    )
    return int(fields["RssAnon"].split()[0]) * 1024


@contextmanager
def _watched(server: RunningServer) -> Iterator[None]:
    """Fail if the server's memory grows by more than a buffer during the block."""
    before = _resident_bytes(server.process.pid)
    peak = before
    finished = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not finished.wait(0.02):
            peak = max(peak, _resident_bytes(server.process.pid))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        finished.set()
        thread.join()
    assert peak - before < _GROWTH_BYTES_ALLOWED, f"memory grew by {(peak - before) >> 20} MB"


def _assert_same(server: RunningServer, large_file: Path) -> None:
    """Compare what the server gives with the file, piece by piece."""
    connection = server.connection()
    connection.request("GET", f"/instances/{instances.public_id(1)}/file")
    answer = connection.getresponse()
    assert answer.status == 200
    with large_file.open("rb") as file:
        _skip_header(file)
        _skip_header(answer)
        while piece := file.read(_CHUNK):
            assert answer.read(len(piece)) == piece
    assert answer.read(1) == b""
    connection.close()


def _skip_header(stream: BinaryIO) -> None:
    """Read as far as the data set: the meta information differs after C-STORE."""
    start = stream.read(144)
    stream.read(struct.unpack("<I", start[140:144])[0])


def test_a_post_of_a_gigabyte_and_a_half_does_not_fill_the_memory(tmp_path: Path, large_file: Path) -> None:
    with running(tmp_path) as server:
        assert server.request("POST", "/instances", instances.file(2))[0] == 200
        with _watched(server), large_file.open("rb") as body:
            headers = {"Content-Length": str(large_file.stat().st_size)}
            status, answer = server.request("POST", "/instances", body, headers)
            assert (status, json.loads(answer)["Status"]) == (200, "Success")
        with _watched(server):
            _assert_same(server, large_file)
        _assert_spool_is_empty(tmp_path)


def test_nothing_that_is_asked_of_a_large_instance_fills_the_memory(tmp_path: Path, large_file: Path) -> None:
    with running(tmp_path) as server:
        with large_file.open("rb") as body:
            headers = {"Content-Length": str(large_file.stat().st_size)}
            assert server.request("POST", "/instances", body, headers)[0] == 200
        address = f"/instances/{instances.public_id(1)}"
        with _watched(server):
            assert _drained(server, f"{address}/content/7fe0-0010/0") == _SIZE
            assert _drained(server, f"{address}/attachments/dicom/data") == large_file.stat().st_size
            assert _drained(server, f"/tools/create-archive?resources={instances.public_id(1)}") > 1_000_000
            for part in ("tags", "metadata?expand", "frames", "content", "attachments/dicom/md5"):
                assert server.request("GET", f"{address}/{part}")[0] == 200, part


def _drained(server: RunningServer, path: str) -> int:
    """The length of an answer, of which no more than a piece is kept."""
    connection = server.connection()
    connection.request("GET", path)
    answer = connection.getresponse()
    length = 0
    while piece := answer.read(_CHUNK):
        length += len(piece)
    connection.close()
    return length


def test_a_c_store_of_a_gigabyte_and_a_half_does_not_fill_the_memory(
    tmp_path: Path, large_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pynetdicom_config, "STORE_SEND_CHUNKED_DATASET", True)
    with running(tmp_path) as server:
        assert server.request("POST", "/instances", instances.file(2))[0] == 200
        entity = AE("WALKER")
        entity.maximum_pdu_size = 0
        entity.add_requested_context(UID(instances.SOP_CLASS_UID), UID(instances.TRANSFER_SYNTAX_UID))
        entity.dimse_timeout = entity.network_timeout = 200
        association = entity.associate("127.0.0.1", server.dicom_port, ae_title="HOUNSFIELD")
        with _watched(server):
            assert association.send_c_store(large_file).Status == 0
        association.release()
        with _watched(server):
            _assert_same(server, large_file)
        _assert_spool_is_empty(tmp_path)


def test_a_large_upload_that_breaks_off_leaves_nothing(tmp_path: Path, large_file: Path) -> None:
    with running(tmp_path) as server:
        connection = server.connection()
        connection.putrequest("POST", "/instances")
        connection.putheader("Content-Length", str(large_file.stat().st_size))
        connection.endheaders()
        with large_file.open("rb") as file:
            for _ in range(20):
                connection.send(file.read(_CHUNK))
        connection.close()
        assert server.request("GET", "/system")[0] == 200
        assert server.json("/instances") == []
        _assert_spool_is_empty(tmp_path)


def _assert_spool_is_empty(folder: Path) -> None:
    spool = folder / "storage" / ".hounsfield" / "spool"
    deadline = time.monotonic() + 20
    while list(spool.iterdir()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
