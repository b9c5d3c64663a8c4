"""What is not let in: requests that do not end, that are too large, or of strangers."""

import socket
import time
from dataclasses import replace
from functools import partial

import orjson
import pytest
from tests.http.house import BIG, HOST, OPTIONS, Build, House, until

from hounsfield.http.asgi import RequestFilter
from hounsfield.http.auth import AccessOptions
from hounsfield.http.messages import (
    Request,
)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"GET /sys",
        b"GET /system HTTP/1.1\r\nHos",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
    ],
)
def test_a_request_that_does_not_come_to_an_end_is_given_up(build: Build, sent: bytes) -> None:
    house = build(replace(OPTIONS, request_timeout_seconds=0.2))
    with socket.create_connection((HOST, house.port), timeout=5) as connection:
        connection.sendall(sent)
        received = connection.recv(1000)
    assert received == b"" or received.startswith(b"HTTP/1.1 408")


def test_a_second_request_that_does_not_come_to_an_end_is_given_up(build: Build) -> None:
    seconds = 0.2
    house = build(replace(OPTIONS, request_timeout_seconds=seconds))
    with socket.create_connection((HOST, house.port), timeout=5) as connection:
        began = time.monotonic()
        connection.sendall(b"GET /system HTTP/1.1\r\nHost: x\r\n\r\nGET /sys")
        received = b"".join(iter(partial(connection.recv, 1000), b""))
        waited = time.monotonic() - began
    assert seconds <= waited < OPTIONS.keep_alive_timeout_seconds
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert body == house.ask("GET", "/system")[1]


def test_a_body_beyond_the_limit_is_refused(build: Build) -> None:
    house = build(replace(OPTIONS, maximum_body_bytes=1000))
    assert house.ask("POST", "/echo", bytes(1000))[0].status == 200
    response, body = house.ask("POST", "/echo", bytes(1001))
    assert (response.status, body) == (413, b"")
    received = house.raw(
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n800\r\n" + bytes(0x800)
    )
    assert received.startswith(b"HTTP/1.1 413")


def test_who_sends_too_large_a_body_gets_to_see_it(build: Build) -> None:
    house = build(replace(OPTIONS, maximum_body_bytes=1000))
    with socket.create_connection((HOST, house.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
            assert connection.recv(10_000).startswith(b"HTTP/1.1 413")
            connection.sendall(bytes(5_000_000))


def test_a_body_is_not_read_for_nobody(house: House) -> None:
    response, body = house.ask("POST", "/nope", bytes(100_000))
    assert (response.status, orjson.loads(body)["OrthancStatus"]) == (404, 17)


USERS = AccessOptions(True, True, {"alice": "secret"})


def test_users_are_asked_for_their_password(build: Build) -> None:
    house = build(replace(OPTIONS, access=USERS))
    good, bad = "Basic YWxpY2U6c2VjcmV0", "Basic YWxpY2U6c2VjcmV1"
    for method, target in (
        ("GET", "/system"),
        ("GET", "/pool"),
        ("POST", "/echo"),
        ("FOO", "/"),
        ("GET", "/nope"),
    ):
        for headers in ({}, {"Authorization": bad}):
            response, body = house.ask(method if method != "FOO" else "PATCH", target, b"", headers)
            assert (response.status, body) == (401, b"")
            assert response.getheader("WWW-Authenticate") == 'Basic realm="Orthanc Secure Area"'
    assert orjson.loads(house.ask("GET", "/system", headers={"Authorization": good})[1])["user"] == "alice"
    assert house.ask("POST", "/echo", b"abc", {"Authorization": good})[1] == b"abc"


def test_a_refused_upload_gets_to_see_its_refusal(build: Build) -> None:
    house = build(replace(OPTIONS, access=USERS))
    for size in (BIG, 40 << 20):
        assert house.ask("POST", "/echo", bytes(size))[0].status == 401


def test_who_sends_slowly_what_was_refused_is_cut_off(build: Build) -> None:
    house = build(replace(OPTIONS, access=USERS, request_timeout_seconds=0.3))
    with socket.create_connection((HOST, house.port), timeout=10) as connection:
        connection.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 401")

        def is_cut_off() -> bool:
            try:
                connection.sendall(b"a")
            except OSError:
                return True
            return False

        until(is_cut_off)


def test_after_a_refused_upload_the_connection_is_still_good(build: Build) -> None:
    house = build(replace(OPTIONS, access=USERS))
    with socket.create_connection((HOST, house.port), timeout=10) as connection:
        for _ in range(2):
            connection.sendall(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n")
            connection.sendall(bytes(5_000_000))
            assert connection.recv(10_000).startswith(b"HTTP/1.1 401")


def test_a_filter_may_deny_a_request(build: Build) -> None:
    seen: list[tuple[str, str, str]] = []

    def passes(request: Request) -> bool:
        seen.append((request.method, request.path, request.remote_ip))
        return request.path != "/system"

    house = build(filters=(RequestFilter(passes),))
    response, body = house.ask("GET", "/system")
    assert (response.status, body) == (403, b"")
    assert house.ask("GET", "/pool")[0].status == 200
    assert seen == [("GET", "/system", HOST), ("GET", "/pool", HOST)]


def test_long_answers_are_compressed_if_switched_on(build: Build) -> None:
    house = build(replace(OPTIONS, is_compressed=True))
    headers = {"Accept-Encoding": "gzip", "X-Long": "x" * 5000}
    assert house.ask("GET", "/headers", headers=headers)[0].getheader("Content-Encoding") == "gzip"
