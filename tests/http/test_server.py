"""Real connections to a running server."""

import contextlib
import hashlib
import http.client
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import orjson
import pytest
import trustme

from hounsfield import errors
from hounsfield.http.asgi import Application, RequestFilter
from hounsfield.http.auth import AccessOptions
from hounsfield.http.dispatch import Dispatcher
from hounsfield.http.messages import (
    FileBody,
    Request,
    Response,
    answer_bytes,
    answer_json,
    answer_text,
    body_bytes,
    body_length,
    body_view,
)
from hounsfield.http.options import HttpOptions, TlsOptions
from hounsfield.http.routing import Route, Router
from hounsfield.http.server import BadTls, HttpServer, PortInUse
from hounsfield.store.spool import FolderSpool

HOST = "127.0.0.1"
BIG = 12 * 1024 * 1024 + 7
OPTIONS = HttpOptions(port=0, bind_addresses=(HOST,), threads=4, keep_alive_timeout_seconds=5)


class House:
    """A server with a few rooms to visit, and what happened in them."""

    def __init__(
        self, folder: Path, options: HttpOptions = OPTIONS, filters: tuple[RequestFilter, ...] = ()
    ) -> None:
        self.folder = folder
        self.spool = folder / "spool"
        self.spool.mkdir()
        self.big = folder / "big"
        self.big.write_bytes(os.urandom(BIG))
        self.closed = threading.Event()
        self.entered = threading.Event()
        self.may_leave = threading.Event()
        self.visits: list[str] = []
        application = Application(
            Dispatcher(Router(self.routes())), options, FolderSpool(self.spool), filters
        )
        self.server = HttpServer(application, options)
        self.server.start()
        self.port = self.server.port

    def routes(self) -> list[Route]:
        whole = FileBody(self.big, 0, BIG)
        return [
            Route(
                "GET",
                "/system",
                lambda r: answer_json({"user": r.username, "ip": r.remote_ip}),
                is_inline=True,
            ),
            Route("GET", "/pool", lambda r: answer_json({"secure": r.is_secure})),
            Route("GET", "/args", lambda r: answer_json(dict(r.arguments)), is_inline=True),
            Route("GET", "/headers", lambda r: answer_json(dict(r.headers))),
            Route("POST", "/echo", lambda r: answer_bytes(body_bytes(r.body), "application/octet-stream")),
            Route("POST", "/upload", self.upload, is_upload=True),
            Route("PUT", "/length", lambda r: answer_json([body_length(r.body), type(r.body).__name__])),
            Route("POST", "/length", lambda r: answer_json([body_length(r.body), type(r.body).__name__])),
            Route("GET", "/big", lambda _: answer_bytes(whole, "application/dicom", filename="a.dcm")),
            Route("GET", "/small", lambda _: answer_bytes(FileBody(self.big, 5, 100), "application/dicom")),
            Route("GET", "/gone", lambda _: answer_bytes(FileBody(self.folder / "no", 0, 9), "x/y")),
            Route("GET", "/gone-big", lambda _: answer_bytes(FileBody(self.folder / "no", 0, BIG), "x/y")),
            Route("GET", "/short-big", lambda _: answer_bytes(FileBody(self.big, 0, 2 * BIG), "x/y")),
            Route("GET", "/stream", lambda _: answer_bytes(self.pieces(50), "application/zip")),
            Route("GET", "/endless", lambda _: answer_bytes(self.pieces(10**9), "application/zip")),
            Route("GET", "/broken", lambda _: answer_bytes(self.breaking(), "application/zip")),
            Route("GET", "/broken-first", lambda _: answer_bytes(self.breaking_first(), "application/zip")),
            Route("GET", "/wait", self.wait),
            Route("GET", "/visit", self.visit),
            Route("POST", "/visit", self.visit),
            Route("GET", "/split", lambda _: Response(200, ((b"x-evil", b"a\r\nb: c"),)), is_inline=True),
        ]

    def upload(self, request: Request) -> Response:
        return answer_text(hashlib.sha256(body_view(request.body)).hexdigest())

    def pieces(self, count: int) -> Iterator[bytes]:
        try:
            for _ in range(count):
                yield b"p" * 100_000
        finally:
            self.closed.set()

    def breaking(self) -> Iterator[bytes]:
        yield b"p" * 1_000_000
        raise errors.Corrupt("in the middle")

    def breaking_first(self) -> Iterator[bytes]:
        if self.big:
            raise errors.NotFound("before anything")
        yield b""

    def wait(self, _request: Request) -> Response:
        self.entered.set()
        assert self.may_leave.wait(10)
        return answer_text("waited")

    def visit(self, request: Request) -> Response:
        self.visits.append(request.method)
        return answer_text("visited")

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(HOST, self.port, timeout=10)

    def ask(
        self,
        method: str,
        target: str,
        body: bytes | Iterator[bytes] | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[http.client.HTTPResponse, bytes]:
        connection = self.connect()
        connection.request(method, target, body, headers or {})
        response = connection.getresponse()
        content = response.read()
        connection.close()
        return response, content

    def raw(self, sent: bytes) -> bytes:
        """What comes back for `sent` until the server closes or is silent for a while."""
        with socket.create_connection((HOST, self.port), timeout=10) as connection:
            connection.sendall(sent)
            connection.settimeout(1)
            received = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while data := connection.recv(65536):
                    received += data
            return received


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    built = House(tmp_path_factory.mktemp("house"))
    yield built
    built.server.stop()


Build = Callable[..., House]


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    built: list[House] = []

    def make(options: HttpOptions = OPTIONS, filters: tuple[RequestFilter, ...] = ()) -> House:
        built.append(House(tmp_path, options, filters))
        return built[-1]

    yield make
    for each in built:
        each.may_leave.set()
        each.server.stop()


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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


def test_stopping_waits_for_what_is_in_progress(build: Build) -> None:
    house = build()
    answers: list[bytes] = []
    client = threading.Thread(target=lambda: answers.append(house.ask("GET", "/wait")[1]))
    client.start()
    assert house.entered.wait(10)
    stopper = threading.Thread(target=house.server.stop)
    stopper.start()
    house.may_leave.set()
    stopper.join(10)
    client.join(10)
    assert answers == [b"waited"]
    with pytest.raises(OSError, match="refused"):
        house.connect().connect()


def test_what_nobody_waits_for_any_more_is_not_done(build: Build) -> None:
    """One thread is busy; of those who wait for it two hang up, and what changes nothing is left out."""
    house = build(replace(OPTIONS, threads=1))
    first = threading.Thread(target=house.ask, args=("GET", "/wait"))
    first.start()
    assert house.entered.wait(10)
    for head in (b"GET /visit HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /visit HTTP/1.1\r\nHost: x\r\n\r\n"):
        with socket.create_connection((HOST, house.port), timeout=10) as gone:
            gone.sendall(head)
            house.ask("GET", "/system")  # Answered by the event loop, which has then read the other one too.
    for _ in range(2):
        house.ask("GET", "/system")  # And has seen them leave.
    house.may_leave.set()
    first.join(10)
    until(lambda: "POST" in house.visits)
    assert house.ask("GET", "/visit")[1] == b"visited"
    assert house.visits == ["POST", "GET"]


def test_stopping_closes_idle_connections_at_once(build: Build) -> None:
    house = build()
    connection = house.connect()
    connection.request("GET", "/system")
    connection.getresponse().read()
    started = time.monotonic()
    house.server.stop()
    assert time.monotonic() - started < 3
    connection.close()


def test_stopping_gives_up_endless_streams(build: Build) -> None:
    house = build(replace(OPTIONS, shutdown_timeout_seconds=1))
    logging.getLogger("uvicorn.error").disabled = True
    with socket.create_connection((HOST, house.port), timeout=10) as connection:
        connection.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(100)
        started = time.monotonic()
        house.server.stop()
        assert time.monotonic() - started < 8
    logging.getLogger("uvicorn.error").disabled = False
    assert house.closed.wait(10)


def test_a_port_in_use_is_told(house: House, build: Build) -> None:
    with pytest.raises(PortInUse, match=str(house.port)):
        build(replace(OPTIONS, port=house.port))


def test_an_address_that_is_not_ours_is_told(build: Build) -> None:
    with pytest.raises(PortInUse):
        build(replace(OPTIONS, bind_addresses=("192.0.2.1",)))


def test_https_is_spoken_with_a_certificate(build: Build, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    house = build(replace(OPTIONS, tls=TlsOptions(certificate, minimum_version=5)))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    connection = http.client.HTTPSConnection(HOST, house.port, timeout=10, context=context)
    for target in ("/pool", "/system", "/big"):
        connection.request("GET", target)
        response = connection.getresponse()
        assert response.status == 200
        response.read()
    connection.close()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        http.client.HTTPSConnection(HOST, house.port, timeout=10, context=context).request("GET", "/system")


def test_https_may_ask_clients_for_a_certificate(build: Build, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate, trusted = tmp_path / "server.pem", tmp_path / "ca.pem"
    authority.issue_cert(HOST).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(trusted))
    house = build(replace(OPTIONS, tls=TlsOptions(certificate, trusted_client_certificates=trusted)))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    stranger = http.client.HTTPSConnection(HOST, house.port, timeout=10, context=context)
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        stranger.request("GET", "/pool")
        stranger.getresponse()
    authority.issue_cert("client").configure_cert(context)
    friend = http.client.HTTPSConnection(HOST, house.port, timeout=10, context=context)
    friend.request("GET", "/pool")
    assert orjson.loads(friend.getresponse().read()) == {"secure": True}
    friend.close()


def test_a_certificate_that_cannot_be_read_is_told(build: Build, tmp_path: Path) -> None:
    bad = tmp_path / "bad.pem"
    bad.write_text("no certificate")
    for path in (bad, tmp_path / "missing.pem"):
        with pytest.raises(BadTls, match="certificates"):
            HttpServer(
                Application(Dispatcher(Router([])), OPTIONS, FolderSpool(tmp_path)),
                replace(OPTIONS, tls=TlsOptions(path)),
            ).start()
