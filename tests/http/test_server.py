"""Real connections to a running server."""

import http.client
import os
import socket
import time
from dataclasses import replace

import orjson
import pytest
from tests.http.house import BIG, HOST, OPTIONS, Build, House, until


@pytest.mark.parametrize("target", ["/system", "/pool", "/nope", "/tools%00"])
def test_every_answer_has_the_standing_headers(house: House, target: str) -> None:
    response, body = house.ask("GET", target)
    assert response.getheader("X-Content-Type-Options") == "nosniff"
    assert response.getheader("Connection") == "keep-alive"
    assert response.getheader("Keep-Alive") == "timeout=5"
    assert response.getheader("Content-Length") == str(len(body))
    assert response.getheader("Server") is None


def test_without_keep_alive_every_connection_is_closed(build: Build) -> None:
    house = build(replace(OPTIONS, is_kept_alive=False))
    for target in (b"/system", b"/pool"):
        received = house.raw(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % target)
        assert b"connection: close\r\n" in received
        assert received.endswith(b"}")


@pytest.mark.parametrize("target", ["/system", "/pool", "/big"])
def test_one_connection_serves_many_requests(house: House, target: str) -> None:
    connection = house.connect()
    lengths = set()
    for _ in range(3):
        connection.request("GET", target)
        response = connection.getresponse()
        assert response.status == 200
        lengths.add(len(response.read()))
    connection.close()
    assert len(lengths) == 1


def test_pipelined_requests_are_answered_in_order(house: House) -> None:
    sent = b"".join(
        b"%s %s HTTP/1.1\r\nHost: x\r\n%s" % line
        for line in (
            (b"GET", b"/args?n=1", b"\r\n"),
            (b"GET", b"/pool", b"\r\n"),
            (b"GET", b"/args?n=2", b"\r\n"),
            (b"POST", b"/echo", b"Content-Length: 4\r\n\r\nfour"),
            (b"GET", b"/args?n=5", b"Connection: close\r\n\r\n"),
        )
    )
    bodies = [part for part in house.raw(sent).split(b"\r\n") if part[:1] in b"{f" and part]
    seen = b"".join(bodies)
    order = [
        seen.find(mark) for mark in (b'{"n":"1"}', b'{"secure":false}', b'{"n":"2"}', b"four", b'{"n":"5"}')
    ]
    assert order == sorted(order)
    assert order[0] == 0


@pytest.mark.parametrize("size", [0, 1, 70_000, 5 * 1024 * 1024])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_arrives_whole(house: House, size: int, is_chunked: bool) -> None:
    content = os.urandom(size)
    pieces = (content[i : i + 65_537] for i in range(0, size, 65_537))
    response, body = house.ask("POST", "/echo", pieces if is_chunked else content)
    assert response.status == 200
    assert body == content


def test_a_large_body_waits_in_the_spool_which_is_empty_afterwards(house: House) -> None:
    for method in ("PUT", "POST"):
        assert orjson.loads(house.ask(method, "/length", bytes(BIG))[1]) == [BIG, "SpoolFile"]
    assert orjson.loads(house.ask("PUT", "/length", bytes(1000))[1]) == [1000, "memoryview"]
    until(lambda: not list(house.spool.iterdir()))


def test_no_length_at_all_is_an_empty_body(house: House) -> None:
    received = house.raw(b"PUT /length HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert received.endswith(b'[0,"bytes"]')


def test_an_expectation_is_met_before_the_body(house: House) -> None:
    with socket.create_connection((HOST, house.port), timeout=10) as connection:
        connection.sendall(
            b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 100")
        connection.sendall(b"abc")
        received = b""
        while not received.endswith(b"abc"):
            received += connection.recv(1000)


@pytest.mark.parametrize("target", ["/system", "/pool"])
def test_the_body_of_a_get_is_ignored(house: House, target: str) -> None:
    connection = house.connect()
    for _ in range(2):
        connection.request("GET", target, b"x" * 200_000)
        response = connection.getresponse()
        assert response.status == 200
        response.read()
    connection.close()


@pytest.mark.parametrize("size", [3, 5 * 1024 * 1024])
def test_the_body_of_a_get_that_stands_for_a_put_is_read(house: House, size: int) -> None:
    for target, headers in (("/length", {"X-HTTP-Method-Override": "PUT"}), ("/length?_method=put", {})):
        response, body = house.ask("GET", target, bytes(size), headers)
        assert (response.status, orjson.loads(body)[0]) == (200, size)


def test_an_empty_expectation_is_none(house: House) -> None:
    assert house.ask("POST", "/echo", b"abc", {"Expect": ""})[1] == b"abc"


def test_a_slow_small_body_is_taken_while_it_keeps_its_pace(build: Build) -> None:
    house = build(replace(OPTIONS, request_timeout_seconds=0.1))
    with socket.create_connection((HOST, house.port), timeout=5) as connection:
        connection.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n")
        for _ in range(10):
            connection.sendall(bytes(500))
            time.sleep(0.03)
        received = connection.recv(1000)
    assert received.endswith(b'[5000,"memoryview"]')


def test_an_absolute_target_is_understood(house: House) -> None:
    received = house.raw(b"GET http://x/system HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert received.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET\r\n\r\n",
        b"FOO /system HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /system HTTP/9.9\r\n\r\n",
        b"GET /system HTTP/1.1\r\nbad header\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
)
def test_what_is_not_http_is_a_bad_request(house: House, garbage: bytes) -> None:
    received = house.raw(garbage)
    assert received == b"" or received.startswith(b"HTTP/1.1 400")
    assert house.ask("GET", "/system")[0].status == 200


@pytest.mark.parametrize(("method", "status"), [("HEAD", 404), ("OPTIONS", 404), ("PATCH", 400)])
def test_other_verbs_have_no_answer(house: House, method: str, status: int) -> None:
    response, body = house.ask(method, "/system")
    assert (response.status, body) == (status, b"")


def test_a_head_without_end_is_refused(house: House) -> None:
    received = house.raw(b"GET /system HTTP/1.1\r\n" + b"a: b\r\n" * 100_000)
    assert received == b"" or received.startswith(b"HTTP/1.1 400")


def test_a_file_is_sent_whole(house: House) -> None:
    response, body = house.ask("GET", "/big")
    assert response.getheader("Content-Disposition") == 'filename="a.dcm"'
    assert response.getheader("Content-Length") == str(BIG)
    assert body == house.big.read_bytes()
    assert house.ask("GET", "/small")[1] == body[5:105]


@pytest.mark.parametrize("target", ["/gone", "/gone-big"])
def test_a_file_that_is_gone_is_an_error(house: House, target: str) -> None:
    response, body = house.ask("GET", target)
    assert (response.status, orjson.loads(body)["OrthancStatus"]) == (404, 13)


@pytest.mark.filterwarnings("ignore")
def test_a_file_shorter_than_announced_breaks_the_connection(house: House) -> None:
    with pytest.raises(http.client.IncompleteRead):
        house.ask("GET", "/short-big")


def test_a_stream_has_no_length_and_ends_with_the_connection(house: House) -> None:
    response, body = house.ask("GET", "/stream")
    assert response.getheader("Content-Length") is None
    assert response.getheader("Connection") == "close"
    assert body == b"p" * 5_000_000


def test_a_stream_to_a_client_of_http_1_0_has_a_length(house: House) -> None:
    received = house.raw(b"GET /stream HTTP/1.0\r\n\r\n")
    head, _, body = received.partition(b"\r\n\r\n")
    assert b"content-length: 5000000" in head
    assert b"chunked" not in head
    assert body == b"p" * 5_000_000
    until(lambda: not list(house.spool.iterdir()))


def test_a_stream_that_breaks_does_not_look_complete(house: House) -> None:
    with pytest.raises(http.client.IncompleteRead):
        house.ask("GET", "/broken")


def test_a_stream_that_fails_at_once_is_an_error_like_any_other(house: House) -> None:
    response, body = house.ask("GET", "/broken-first")
    assert (response.status, orjson.loads(body)["Details"]) == (404, "before anything")


def test_a_stream_is_closed_when_the_client_leaves(house: House) -> None:
    house.closed.clear()
    with socket.create_connection((HOST, house.port), timeout=10) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100)
    assert house.closed.wait(10)


def test_a_header_that_could_start_another_is_never_sent(house: House) -> None:
    response, _ = house.ask("GET", "/split")
    assert response.status == 500
    assert response.getheader("b") is None


def test_a_half_sent_body_leaves_nothing_behind(house: House) -> None:
    with socket.create_connection((HOST, house.port), timeout=10) as connection:
        connection.sendall(b"POST /length HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
        connection.sendall(bytes(8 * 1024 * 1024))
        until(lambda: bool(list(house.spool.iterdir())))
    until(lambda: not list(house.spool.iterdir()))
