"""Functions that take any bytes and only return or raise an `ArchiveError`."""

from collections.abc import Callable

from hounsfield.http.auth import AccessOptions, Doorkeeper
from hounsfield.http.dispatch import Dispatcher, dispatch
from hounsfield.http.messages import (
    Request,
    answer_json,
    body_bytes,
    components,
    content_disposition,
    parse_arguments,
)
from hounsfield.http.multipart import boundary_of, form_parts
from hounsfield.http.negotiation import preferred
from hounsfield.http.ranges import parse_range
from hounsfield.http.routing import Route, Router

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


TARGETS: dict[str, Callable[[bytes], None]] = {
    "http.target": target,
    "http.request": request,
    "http.form": form,
    "http.accept": accept,
    "http.range": byte_range,
    "http.authorization": authorization,
    "http.filename": filename,
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
    "http.filename": [b'"a\r\nb".dcm'],
}
