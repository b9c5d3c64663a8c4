"""What the head of a request says, and the head of an answer as it is sent."""

import re
from collections.abc import Iterable, Mapping

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from hounsfield.http.messages import NO_CONTENT, Header, Request, Response
from hounsfield.http.options import HttpOptions

_ILLEGAL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_KNOWN_BLOCKS = 256
_LONGEST_LENGTH = 18
"""Of the number of bytes of a body, in digits."""


class HeaderBlocks:
    """Headers as the lines they are sent as, kept for the few combinations there are."""

    def __init__(self, standing: tuple[Header, ...]) -> None:
        self._standing = standing
        self._blocks: dict[tuple[Header, ...], bytes] = {}

    def block(self, headers: tuple[Header, ...]) -> bytes:
        """The lines of `headers` and of what every answer has.

        Raises
        ------
        ValueError
            If a value could end its line.
        """
        known = self._blocks.get(headers)
        if known is not None:
            return known
        lines = b"".join(b"%s: %s\r\n" % pair for pair in (*headers, *self._standing))
        if any(_ILLEGAL.search(name) or _ILLEGAL.search(value) for name, value in headers):
            raise ValueError("A header holds a control character")
        if len(self._blocks) >= _KNOWN_BLOCKS:
            self._blocks.clear()
        self._blocks[headers] = lines
        return lines

    def encode(self, response: Response, length: int, current: Iterable[Header]) -> bytes:
        """The status line and headers of an answer with a body of `length` bytes; `current` changes, as dates do.

        Raises
        ------
        ValueError
            If a value could end its line.
        """
        pieces = [STATUS_LINE[response.status]]
        for name, value in current:
            pieces += (name, b": ", value, b"\r\n")
        pieces.append(self.block(response.headers))
        pieces.append(b"\r\n" if response.status == NO_CONTENT else b"content-length: %d\r\n\r\n" % length)
        return b"".join(pieces)


def decode_headers(headers: Iterable[Header]) -> dict[str, str]:
    """The headers of a request by their names; of those that come twice, the last."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}


def read_request(
    method: bytes, url: bytes, headers: Mapping[str, str], remote_ip: str, is_secure: bool
) -> Request:
    """The request that a head announces, without its body."""
    path, _, query = url.decode("latin-1").partition("?")
    return Request(
        method.decode("ascii"),
        path,
        query.partition("#")[0],
        headers,
        remote_ip=remote_ip,
        is_secure=is_secure,
    )


def body_length(headers: Mapping[str, str], options: HttpOptions) -> int | None:
    """The length of a body that may be held in memory; None if it may not, or is not known."""
    if "transfer-encoding" in headers:
        return None
    text = headers.get("content-length", "0")
    if not (text.isascii() and text.isdigit()) or len(text) > _LONGEST_LENGTH:
        return None
    length = int(text)
    limit = options.maximum_body_bytes or length
    return length if length <= min(limit, options.spool_threshold_bytes) else None
