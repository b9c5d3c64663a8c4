"""Uploads on a real server: cut in the middle, killed in the middle, larger than its memory."""

import io
import json
import random
import socket
import struct
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests import instances
from tests.servers import RunningServer, start

_OCTETS = "application/offset+octet-stream"
_TUS = {"Tus-Resumable": "1.0.0"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path


def create(server: RunningServer, length: int) -> str:
    connection = server.connection()
    connection.request("POST", "/uploads", None, {**_TUS, "Upload-Length": str(length)})
    answer = connection.getresponse()
    assert answer.status == 201
    location = answer.headers["Location"]
    answer.read()
    connection.close()
    return "/" + location


def offset_of(server: RunningServer, path: str) -> int:
    connection = server.connection()
    connection.request("HEAD", path, None, _TUS)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    assert answer.status == 200
    return int(answer.headers["Upload-Offset"])


def patch(server: RunningServer, path: str, offset: int, body: bytes) -> int:
    headers = {**_TUS, "Upload-Offset": str(offset), "Content-Type": _OCTETS}
    return server.request("PATCH", path, body, headers)[0]


def begin_piece(server: RunningServer, path: str, offset: int, length: int) -> socket.socket:
    """A connection on which a piece of this length was announced."""
    opened = socket.create_connection(("127.0.0.1", server.http_port))
    opened.sendall(
        f"PATCH {path} HTTP/1.1\r\nHost: x\r\nTus-Resumable: 1.0.0\r\nUpload-Offset: {offset}\r\n"
        f"Content-Type: {_OCTETS}\r\nContent-Length: {length}\r\n\r\n".encode()
    )
    return opened


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def zipped(count: int, size: int) -> bytes:
    noise = random.Random(1).randbytes(size)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for number in range(count):
            archive.writestr(
                f"{number}.dcm", instances.file(number, size=0)[:-4] + struct.pack("<I", size) + noise
            )
    return target.getvalue()


def test_a_cut_connection_costs_nothing_that_arrived(folder: Path) -> None:
    server = start(folder)
    try:
        body = zipped(20, 200_000)
        path = create(server, len(body))
        cut = begin_piece(server, path, 0, len(body))
        cut.sendall(body[: len(body) // 2])
        until(lambda: _on_disk(folder) >= len(body) // 2 - (1 << 20))
        cut.close()
        until(lambda: server.json(path)["Offset"] == len(body) // 2)
        assert offset_of(server, path) == len(body) // 2
        assert patch(server, path, len(body) // 2, body[len(body) // 2 :]) == 204
        until(lambda: server.json(path)["State"] == "Success")
        assert server.json("/statistics")["CountInstances"] == 20
        assert {each["Status"] for each in server.json(path + "/results")} == {"Success"}
    finally:
        server.stop()


def _on_disk(folder: Path) -> int:
    return sum(
        each.stat().st_size for each in (folder / "storage" / ".hounsfield" / "uploads").glob("*.data")
    )


def test_a_stalled_connection_does_not_keep_others_from_going_on(folder: Path) -> None:
    server = start(folder)
    try:
        body = zipped(3, 100_000)
        path = create(server, len(body))
        stalled = begin_piece(server, path, 0, len(body))
        stalled.sendall(body[:1000])
        at = offset_of(server, path)
        assert patch(server, path, at, body[at:]) == 204
        until(lambda: server.json(path)["State"] == "Success")
        stalled.close()
    finally:
        server.stop()


def test_a_killed_server_goes_on_where_it_was(folder: Path) -> None:
    body = zipped(40, 200_000)
    server = start(folder)
    path = create(server, len(body))
    half = len(body) // 2
    assert patch(server, path, 0, body[:half]) == 204
    opened = begin_piece(server, path, half, len(body) - half)
    opened.sendall(body[half : half + 1_500_000])
    server.kill()
    opened.close()
    server = start(folder)
    try:
        at = offset_of(server, path)
        assert half <= at <= half + 1_500_000
        assert patch(server, path, at, body[at:]) == 204
        server.kill()  # Perhaps in the middle of taking it in.
        server = start(folder)
        until(lambda: server.json(path)["State"] == "Success")
        assert server.json("/statistics")["CountInstances"] == 40
        found = server.json(path + "/results")
        assert sorted(each["Name"] for each in found) == sorted(f"{number}.dcm" for number in range(40))
        assert {each["Status"] for each in found} <= {"Success", "AlreadyStored"}
    finally:
        server.stop()


def test_a_stopped_server_takes_an_archive_in_after_its_next_start(folder: Path) -> None:
    server = start(folder, {"ConcurrentJobs": 1})
    body = zipped(60, 300_000)
    path = create(server, len(body))
    assert patch(server, path, 0, body) == 204
    assert server.stop() == 0
    server = start(folder)
    try:
        until(lambda: server.json(path)["State"] == "Success")
        assert server.json("/statistics")["CountInstances"] == 60
        assert len(server.json(path + "/results")) == 60
    finally:
        server.stop()


def test_results_of_a_large_archive_are_told_as_they_come(folder: Path) -> None:
    server = start(folder, {"SyncStorageArea": False})
    try:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for number in range(2500):
                archive.writestr(f"{number}.dcm", instances.file(number, size=2000))
        status, answer = server.request("POST", "/instances", target.getvalue())
        assert status == 200
        assert [each["Status"] for each in json.loads(answer)] == ["Success"] * 2500
    finally:
        server.stop()
