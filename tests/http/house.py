"""A real HTTP server with a few rooms to visit."""

import contextlib
import hashlib
import http.client
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from hounsfield import errors
from hounsfield.http.asgi import Application, RequestFilter
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
from hounsfield.http.options import HttpOptions
from hounsfield.http.routing import Route, Router
from hounsfield.http.server import HttpServer
from hounsfield.store.spool import FolderSpool

HOST = "127.0.0.1"
BIG = 12 * 1024 * 1024 + 7
OPTIONS = HttpOptions(port=0, bind_addresses=(HOST,), threads=4, keep_alive_timeout_seconds=5)


Build = Callable[..., "House"]
"""Makes a server: options and filters."""


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


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)
