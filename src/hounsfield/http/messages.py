"""Requests and responses, as records that know no socket: a script builds them as well as a connection does."""

import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol
from urllib.parse import unquote, unquote_plus

import orjson

from hounsfield.http.errors import BadParameterType, ParameterOutOfRange
from hounsfield.store.spool import SpoolFile

Body = bytes | memoryview | SpoolFile
Header = tuple[bytes, bytes]
Origin = Literal["http", "lua", "plugin"]


def _never() -> bool:
    return False


# Not frozen: one is built for every request, and freezing triples the cost of building it.
@dataclass(slots=True)
class Request:
    """What a client asks.

    `path` is as sent, still percent-encoded and without the query; `values` holds what the route's pattern
    captured. Header names are lower case. `is_gone` says whether the client has hung up, so that long work may stop.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = b""
    remote_ip: str = "127.0.0.1"
    username: str = ""
    is_secure: bool = False
    origin: Origin = "http"
    values: Mapping[str, str] = field(default_factory=dict)
    is_gone: Callable[[], bool] = _never
    _arguments: Mapping[str, str] | None = None

    @property
    def arguments(self) -> Mapping[str, str]:
        """Arguments of the query string; only GET has any."""
        if self._arguments is None:
            self._arguments = parse_arguments(self.query) if self.method == "GET" else {}
        return self._arguments

    def override(self, method: str) -> None:
        """Take the request for one of another method, whose arguments are then others."""
        if method != self.method:
            self.method = method
            self._arguments = None

    def flag(self, name: str, default: bool = False) -> bool:
        """A Boolean argument: absent is `default`, present without value is true.

        Raises
        ------
        ParameterOutOfRange
            For any value but `0`, `1`, `true` and `false`.
        """
        value = self.arguments.get(name) if self.query else None
        if value is None:
            return default
        if value in _BOOLEANS:
            return _BOOLEANS[value]
        raise ParameterOutOfRange(f'Expected a Boolean for GET argument "{name}", found: {value}')

    def has(self, name: str) -> bool:
        """Whether the argument is present, whatever its value: the convention of a few historical flags."""
        return bool(self.query) and name in self.arguments


_BOOLEANS = {"": True, "1": True, "true": True, "0": False, "false": False}


class BodySink(Protocol):
    """Takes a body while it arrives, in worker threads, one call at a time; ends with `finish` or `abort`."""

    def write(self, data: bytes | bytearray) -> None:
        """Take the next bytes."""
        ...

    def finish(self) -> "Response":
        """Answer, once the whole body is here."""
        ...

    def abort(self) -> None:
        """The connection was cut, or the client is too slow: no more will come."""
        ...


@dataclass(frozen=True, slots=True)
class FileBody:
    """A body that is a stretch of a file; kept apart so that a server may send it without copying."""

    path: Path
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class ErrorNote:
    """The error behind a response, for callers in the same process."""

    code: int
    text: str
    details: str


@dataclass(frozen=True, slots=True)
class Response:
    """What is answered. Header names are lower case; an iterator's length is unknown until it ends."""

    status: int = 200
    headers: tuple[Header, ...] = ()
    body: bytes | FileBody | Iterator[bytes] = b""
    error: ErrorNote | None = None

    def header(self, name: bytes) -> bytes | None:
        """The value of a header, if it is there."""
        for key, value in self.headers:
            if key == name:
                return value
        return None


NO_CONTENT = 204
JSON_TYPE: Header = (b"content-type", b"application/json; charset=utf-8")
TEXT_TYPE: Header = (b"content-type", b"text/plain")
EMPTY_TEXT = Response(200, (TEXT_TYPE,))
EMPTY_OBJECT = Response(200, ((b"content-type", b"application/json"),), b"{}")

_JSON_HEADERS = (JSON_TYPE,)
_TEXT_HEADERS = (TEXT_TYPE,)


def answer_json(value: object, headers: tuple[Header, ...] = ()) -> Response:
    """Answer `value` as JSON with sorted keys."""
    return Response(200, _JSON_HEADERS + headers, orjson.dumps(value, option=orjson.OPT_SORT_KEYS))


def answer_json_bytes(value: bytes) -> Response:
    """Answer a JSON document that is already written."""
    return Response(200, _JSON_HEADERS, value)


def answer_text(value: str, headers: tuple[Header, ...] = ()) -> Response:
    """Answer plain text."""
    return Response(200, _TEXT_HEADERS + headers, value.encode())


def answer_bytes(
    body: bytes | FileBody | Iterator[bytes],
    mime_type: str,
    *,
    filename: str | None = None,
    headers: tuple[Header, ...] = (),
) -> Response:
    """Answer bytes of some type, to be saved as `filename` if given."""
    pairs: tuple[Header, ...] = ((b"content-type", header_value(mime_type)),)
    if filename is not None:
        pairs += ((b"content-disposition", content_disposition(filename)),)
    return Response(200, pairs + headers, body)


def redirect(location: str) -> Response:
    """Send the client to `location`, which may be relative; the method is kept."""
    return Response(307, ((b"location", header_value(location)),))


def content_disposition(filename: str) -> bytes:
    """The header naming a download; quotes and line ends cannot leave the quoted string."""
    return b'filename="' + header_value(filename.replace('"', "")) + b'"'


def header_value(text: str) -> bytes:
    """`text` as the value of a header: control characters, which could start another header, are dropped."""
    if text.isprintable() and text.isascii():
        return text.encode("ascii")
    return "".join(c for c in text if c == "\t" or (c >= " " and c != "\x7f")).encode("utf-8", "replace")


def split_target(target: str) -> tuple[str, str]:
    """Cut a request target into path and query."""
    path, _, query = target.partition("?")
    return path, query


def parse_arguments(query: str) -> dict[str, str]:
    """Read `key=value&key2`: a key alone has an empty value, and the last of several equal keys counts.

    >>> parse_arguments("since=0&limit=+1&expand")
    {'since': '0', 'limit': ' 1', 'expand': ''}
    """
    found: dict[str, str] = {}
    for part in query.split("&"):
        if part:
            key, _, value = part.partition("=")
            found[unquote_plus(key)] = unquote_plus(value)
    return found


def unsigned(text: str) -> int:
    """A non-negative decimal integer; blanks around are tolerated.

    Raises
    ------
    BadParameterType
        If it is anything else.
    """
    digits = text.strip()
    if digits.isascii() and digits.isdigit() and len(digits) <= 18:
        return int(digits)
    raise BadParameterType("Syntax error in some user-supplied data")


def decode_path(path: str) -> str:
    """Undo percent-encoding; an encoded NUL ends the path."""
    if "%" in path:
        path = unquote(path)
    cut = path.find("\0")
    return path if cut < 0 else path[:cut]


def components(path: str) -> list[str]:
    """Cut a path as sent into its components: slashes collapsed, `..` resolved, percent-encoding undone.

    >>> components("/tools//../system%2F")
    ['system']
    """
    if "%" not in path and "//" not in path and "/." not in path and "\0" not in path and path[:1] == "/":
        return (path[1:-1] if path.endswith("/") else path[1:]).split("/") if len(path) > 1 else []
    decoded = decode_path(path)
    parts: list[str] = []
    for part in decoded.split("/"):
        if part == "..":
            if parts:
                parts.pop()
        elif part and part != ".":
            parts.append(part)
    return parts


def body_bytes(body: Body) -> bytes:
    """The whole body in memory; for handlers whose bodies are small."""
    if isinstance(body, bytes):
        return body
    return bytes(body_view(body))


def body_view(body: Body) -> memoryview:
    """The whole body without a copy: a spooled one is mapped."""
    if isinstance(body, SpoolFile):
        return body.view()
    return memoryview(body)


def body_length(body: Body) -> int:
    """The length of the body in bytes."""
    return body.size if isinstance(body, SpoolFile) else len(body)


Searchable = bytes | mmap.mmap


def searchable(view: memoryview) -> Searchable:
    """What is behind a view of a whole body, as something with a `find`."""
    source = view.obj
    if isinstance(source, (bytes, mmap.mmap)) and len(source) == len(view):
        return source
    return bytes(view)
