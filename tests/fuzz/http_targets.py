"""Functions that take any bytes and only return or raise an `ArchiveError`."""

import socket
from collections.abc import Callable

from hounsfield.http.auth import AccessOptions, Doorkeeper
from hounsfield.http.dispatch import Dispatcher, dispatch
from hounsfield.http.following import Follower, Head, Upload
from hounsfield.http.messages import (
    Request,
    Response,
    answer_json,
    body_bytes,
    components,
    content_disposition,
    parse_arguments,
)
from hounsfield.http.multipart import boundary_of, form_parts
from hounsfield.http.negotiation import preferred
from hounsfield.http.ranges import parse_range
from hounsfield.http.routing import Found, Route, Router

_DISPATCHER = Dispatcher(
    Router(
        [
            Route("GET", "/system", lambda r: answer_json(dict(r.arguments))),
            Route(
                "GET",
                "/instances/{id}",
                lambda r: answer_json(r.values["id"].encode("utf-8", "replace").hex()),
            ),
            Route("POST", "/instances", lambda r: answer_json(len(body_bytes(r.body)))),
            Route("GET", "/content/{path...}", lambda r: answer_json(len(r.values["path"]))),
        ]
    )
)
_FOUND = _DISPATCHER.router.find("POST", "/instances")
_DOORKEEPER = Doorkeeper(AccessOptions(True, True, {"alice": "secret"}))


def target(data: bytes) -> None:
    """A request target as sent."""
    path, _, query = data.decode("latin-1").partition("?")
    for part in components(path):
        assert part not in ("", ".", "..")
    parse_arguments(query)
    dispatch(_DISPATCHER, Request("GET", path, query))


def request(data: bytes) -> None:
    """Method, target and a few headers, one a line, then the body."""
    head, _, body = data.partition(b"\n\n")
    method, path, *lines = [*head.decode("latin-1").split("\n"), "", ""][:12]
    headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines}
    response = dispatch(_DISPATCHER, Request(method, *path.partition("?")[::2], headers, body))
    assert response.error is None or response.error.code != -1


def form(data: bytes) -> None:
    """A Content-Type on the first line, then a multipart body."""
    content_type, _, body = data.partition(b"\n")
    boundary = boundary_of(content_type.decode("latin-1"))
    if boundary:
        for part in form_parts(body, boundary):
            assert len(part) <= len(body)


def accept(data: bytes) -> None:
    """An Accept header."""
    preferred(data.decode("latin-1"), ["image/png", "image/jpeg"])


def byte_range(data: bytes) -> None:
    """A Range header."""
    start, length = parse_range(data.decode("latin-1"), 1000)
    assert 0 <= start <= start + length <= 1000


def authorization(data: bytes) -> None:
    """An Authorization header."""
    _DOORKEEPER.admit("10.0.0.1", data.decode("latin-1"))


def filename(data: bytes) -> None:
    """The name of a download."""
    value = content_disposition(data.decode("utf-8", "replace"))
    assert b"\r" not in value
    assert b"\n" not in value
    assert value.count(b'"') == 2


def following(data: bytes) -> None:
    """What comes on a connection after an upload: every body that is understood is a part of it."""
    near, far = socket.socketpair()
    bodies: list[bytes] = []

    def answer(request: Request, found: Found) -> Response:
        bodies.append(body_bytes(request.body))
        return found.handler(request)

    def admit(head: Head) -> Upload | None:
        length = dict(head.headers).get(b"content-length", b"").decode("latin-1")
        if not (length.isascii() and length.isdigit()) or not 0 < int(length[:9]) < 1 << 20:
            return None
        request = Request(head.method.decode("ascii"), head.url.decode("latin-1"))
        return Upload(request, _FOUND, bytearray(), int(length[:9]), 0, head.keeps)

    with near, far:
        near.setblocking(False)
        far.sendall(data[: 64 << 10])
        far.shutdown(socket.SHUT_WR)
        follower = Follower(
            near.fileno(), answer, admit, lambda response: bytes(str(response.status), "ascii")
        )
        try:
            first = Upload(Request("POST", "/instances"), _FOUND, bytearray(), 0, 0, True)
            handed = follower.follow(first, lambda: True)
        finally:
            follower.close()
    assert all(body in data for body in (*bodies, handed.seen))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "http.target": target,
    "http.request": request,
    "http.form": form,
    "http.accept": accept,
    "http.range": byte_range,
    "http.authorization": authorization,
    "http.filename": filename,
    "http.following": following,
}

SEEDS: dict[str, list[bytes]] = {
    "http.target": [b"/system?a=b&c", b"/a/../%2e%2e//instances%2Fx%00?expand=%zz+"],
    "http.request": [
        b"GET\n/system?_method=put\nAccept: application/xml",
        b"POST\n/instances\nContent-Type: multipart/form-data; boundary=zz\nX-File-Name: a\nX-File-Size: 3"
        b"\n\n--zz\r\na: b\r\n\r\nabc\r\n--zz--",
    ],
    "http.form": [b'multipart/form-data; boundary="zz"\n--zz\r\na: b\r\n\r\nabc\r\n--zz--'],
    "http.accept": [b"image/png;q=0.5, image/*;q=0.1, */*"],
    "http.range": [b"bytes=0-10", b"bytes=-5", b"bytes=5-"],
    "http.authorization": [b"Basic YWxpY2U6c2VjcmV0", b"Bearer x"],
    "http.following": [
        b"POST /instances HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\n123456789POST /instances HTTP/1.1\r\n"
        b"Content-Length: 3\r\nConnection: close\r\n\r\nabcGET / HTTP/1.1\r\n\r\n",
        b"PUT /a HTTP/1.0\r\ncontent-length: 70000\r\nexpect: 100-continue\r\ntransfer-encoding: chunked\r\n\r\n0\r\n",
    ],
    "http.filename": [b'"a\r\nb".dcm'],
}
