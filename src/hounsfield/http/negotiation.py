"""What the client accepts: types by quality, and compressed bodies. RFC 9110 12.5."""

from collections.abc import Sequence

from isal import igzip, isal_zlib

from hounsfield.http.messages import Header, Response

_SMALLEST_COMPRESSED = 2048
_COMPRESSIBLE = (
    b"text/",
    b"application/json",
    b"application/dicom+json",
    b"application/dicom+xml",
    b"application/javascript",
    b"application/xml",
    b"image/svg+xml",
)


def preferred(accept: str, offered: Sequence[str]) -> str | None:
    """The type of `offered` that an Accept header likes best; at equal quality the first offered.

    >>> preferred("image/jpeg;q=0.5, image/*;q=0.8", ["image/png", "image/jpeg"])
    'image/png'
    """
    best: tuple[float, str] | None = None
    wanted = accepted_types(accept)
    for mime in offered:
        quality = _quality(wanted, mime)
        if quality > 0 and (best is None or quality > best[0]):
            best = (quality, mime)
    return best[1] if best else None


def accepted_types(accept: str) -> list[tuple[str, float]]:
    """The media ranges of an Accept header with their qualities; without a header, everything."""
    ranges: list[tuple[str, float]] = []
    for entry in accept.split(","):
        mime, *parameters = [piece.strip() for piece in entry.split(";")]
        quality = 1.0
        for parameter in parameters:
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                quality = _number(value.strip())
        if mime:
            ranges.append((mime.lower(), quality))
    return ranges or [("*/*", 1.0)]


def _quality(wanted: list[tuple[str, float]], mime: str) -> float:
    """The quality of the most specific range that covers `mime`."""
    family = mime.partition("/")[0] + "/*"
    for pattern in (mime, family, "*/*"):
        for name, quality in wanted:
            if name == pattern:
                return quality
    return 0.0


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return 0.0
    return value if 0.0 <= value <= 1.0 else 0.0


def compress(response: Response, accept_encoding: str) -> Response:
    """The same answer with a compressed body, where that is worth it and the client can read it."""
    body = response.body
    mime = response.header(b"content-type")
    if not isinstance(body, bytes) or len(body) < _SMALLEST_COMPRESSED or mime is None:
        return response
    if not mime.startswith(_COMPRESSIBLE) or response.header(b"content-encoding") is not None:
        return response
    encodings = {name: quality for name, quality in accepted_types(accept_encoding) if quality > 0}
    if "gzip" in encodings:
        return _encoded(response, b"gzip", igzip.compress(body, 1))
    if "deflate" in encodings:
        return _encoded(response, b"deflate", isal_zlib.compress(body, 1))
    return response


def _encoded(response: Response, encoding: bytes, body: bytes) -> Response:
    headers: tuple[Header, ...] = (
        *response.headers,
        (b"content-encoding", encoding),
        (b"vary", b"accept-encoding"),
    )
    return Response(response.status, headers, body, response.error)
