"""Uploads that follow one another on a connection."""

import hashlib
import http.client
import os
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.http.house import HOST, House

from hounsfield.http import following

SIZE = 100_000


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    built = House(tmp_path_factory.mktemp("house"))
    yield built
    built.server.stop()


def upload(body: bytes) -> bytes:
    return b"POST /upload HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % len(body) + body


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def connect(house: House) -> socket.socket:
    connection = socket.create_connection((HOST, house.port), timeout=10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def answer(connection: socket.socket) -> str:
    """The next answer."""
    response = http.client.HTTPResponse(connection)
    response.begin()
    assert response.status == 200
    return response.read().decode()


def ask(connection: http.client.HTTPConnection, method: str, target: str, body: bytes = b"") -> bytes:
    connection.request(method, target, body)
    response = connection.getresponse()
    assert response.status == 200
    return response.read()


@pytest.mark.parametrize("size", [SIZE, 3_000_000])
def test_every_upload_and_what_comes_between_is_answered(house: House, size: int) -> None:
    with closing(house.connect()) as connection:
        for number in range(150 if size == SIZE else 5):
            body = os.urandom(size + number)
            assert ask(connection, "POST", "/upload", body).decode() == digest(body)
            if number % 40 == 3:
                assert b"ip" in ask(connection, "GET", "/system")
                assert ask(connection, "POST", "/echo", b"short") == b"short"
                assert ask(connection, "POST", "/upload", b"short").decode() == digest(b"short")


def test_uploads_that_are_sent_before_the_answer_are_answered_in_order(house: House) -> None:
    bodies = [os.urandom(size) for size in (SIZE, 50, SIZE, 20_000, SIZE)]
    with connect(house) as connection:
        connection.sendall(b"".join(map(upload, bodies)))
        stream = connection.makefile("rb")
        for body in bodies:
            length = 0
            while (line := stream.readline()) != b"\r\n":
                if line.lower().startswith(b"content-length:"):
                    length = int(line.split(b":")[1])
            assert stream.read(length).decode() == digest(body)


@pytest.mark.parametrize("first", [10, 99_000])
def test_a_body_that_pauses_goes_on(house: House, monkeypatch: pytest.MonkeyPatch, first: int) -> None:
    monkeypatch.setattr(following, "_BODY_SECONDS", 0.0)
    body = os.urandom(SIZE)
    with connect(house) as connection:
        for _ in range(3):
            sent = upload(body)
            head = len(sent) - SIZE + first
            connection.sendall(sent[:head])
            for _ in range(3):  # Meanwhile others are served.
                assert house.ask("POST", "/upload", body)[1].decode() == digest(body)
            connection.sendall(sent[head:])
            assert answer(connection) == digest(body)


def test_a_head_in_pieces_is_understood(house: House) -> None:
    body = os.urandom(SIZE)
    with connect(house) as connection:
        for cut in (5, 30, 60):
            sent = upload(body)
            connection.sendall(sent[:cut])
            assert house.ask("GET", "/pool")[0].status == 200
            connection.sendall(sent[cut:])
            assert answer(connection) == digest(body)


def test_who_hangs_up_in_the_middle_is_forgotten(tmp_path: Path) -> None:
    house = House(tmp_path)
    body = os.urandom(SIZE)
    for cut in (10, 70, SIZE // 2):
        with connect(house) as connection:
            connection.sendall(upload(body))
            assert answer(connection) == digest(body)
            connection.sendall(upload(body)[:cut])
    assert house.ask("POST", "/upload", body)[1].decode() == digest(body)
    house.server.stop()


@pytest.mark.parametrize(
    "garbage", [b"\0\1\2\r\n\r\n", b"POST /upload HTTP/1.1\r\ncontent-length: x\r\n\r\n"]
)
def test_what_is_not_http_after_an_upload_is_a_bad_request(house: House, garbage: bytes) -> None:
    body = os.urandom(SIZE)
    with connect(house) as connection:
        connection.sendall(upload(body))
        assert answer(connection) == digest(body)
        connection.sendall(garbage)
        assert connection.recv(65536).startswith(b"HTTP/1.1 400")


def test_a_client_that_wants_the_connection_closed_gets_that(house: House) -> None:
    body = os.urandom(SIZE)
    with connect(house) as connection:
        connection.sendall(upload(body))
        assert answer(connection) == digest(body)
        connection.sendall(upload(body).replace(b"host: a", b"connection: close", 1))
        assert answer(connection) == digest(body)
        assert connection.recv(1) == b""


def test_stopping_ends_a_connection_that_sends_and_sends(tmp_path: Path) -> None:
    house = House(tmp_path)
    body = os.urandom(SIZE)
    with connect(house) as connection:
        for _ in range(3):
            connection.sendall(upload(body))
            assert answer(connection) == digest(body)
        house.server.stop()
        assert connection.recv(1) == b""
