"""Forms with files, as browsers and `curl -F` send them. RFC 7578, RFC 2046 5.1."""

import re
from collections.abc import Iterator

from hounsfield.http.errors import ProtocolViolation
from hounsfield.http.messages import Searchable

_BOUNDARY = re.compile(r';\s*boundary\s*=\s*(?:"([^"]{1,200})"|([^\s;,"]{1,200}))', re.IGNORECASE)

# A search holds the interpreter lock: it is cut so that a form of gigabytes does not stop everybody else.
_WINDOW = 32 * 1024 * 1024
_MAXIMUM_PARTS = 100_000
_MAXIMUM_PART_HEADER = 64 * 1024


def boundary_of(content_type: str) -> str:
    """The boundary in a Content-Type; empty if it names none.

    >>> boundary_of('multipart/form-data; boundary="a b"')
    'a b'
    """
    match = _BOUNDARY.search(content_type)
    return (match.group(1) or match.group(2)) if match else ""


def form_parts(body: Searchable, boundary: str) -> Iterator[memoryview]:
    """The contents of each part, without a copy; nothing if the boundary never occurs.

    Raises
    ------
    ProtocolViolation
        If a part is cut off or has no header.
    """
    delimiter = b"--" + boundary.encode("latin-1", "replace")
    view = memoryview(body)
    at = _find(body, delimiter, 0)
    for _ in range(_MAXIMUM_PARTS):
        head = at + len(delimiter)
        # Some senders end with a delimiter that lacks its two hyphens.
        if at < 0 or head == len(body) or body[head : head + 2] == b"--":
            return
        start = body.find(b"\r\n\r\n", head, head + _MAXIMUM_PART_HEADER)
        end = _find(body, b"\r\n" + delimiter, start + 2)
        if start < 0 or end < 0:
            raise ProtocolViolation("A part of a multipart body is incomplete")
        yield view[start + 4 : max(end, start + 4)]
        at = end + 2
    raise ProtocolViolation("A multipart body has too many parts")


def _find(body: Searchable, wanted: bytes, start: int) -> int:
    if start < 0:
        return -1
    while start < len(body):
        found = body.find(wanted, start, start + _WINDOW + len(wanted))
        if found >= 0:
            return found
        start += _WINDOW
    return -1
