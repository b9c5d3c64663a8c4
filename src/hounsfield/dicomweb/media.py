"""Data sets in the type that a client accepts: JSON, or XML in a multipart body. PS3.18 8.7.3."""

from collections.abc import Iterator, Sequence
from uuid import uuid4

import orjson

from hounsfield.dicom.dicom_json import JsonObject
from hounsfield.dicom.native_model import native_model
from hounsfield.http.messages import Header, Request, Response

_JSON: Header = (b"content-type", b"application/dicom+json")
_XML = b"application/dicom+xml"


def answer_datasets(
    request: Request, datasets: Sequence[JsonObject], headers: tuple[Header, ...] = ()
) -> Response:
    """Answer data sets, one part each in XML. Anything that is neither JSON nor XML is answered JSON."""
    if _wants_xml(request):
        return _multipart((native_model(dict(sorted(dataset.items()))) for dataset in datasets), headers)
    return Response(200, (_JSON, *headers), orjson.dumps(datasets, option=orjson.OPT_SORT_KEYS))


def _wants_xml(request: Request) -> bool:
    accept = (request.arguments.get("accept") or request.headers.get("accept", "")).lower()
    if any(word in accept for word in ("dicom+json", "json", "*/*")):
        return False
    return any(word in accept for word in ("dicom+xml", "text/xml", "application/xml"))


def _multipart(parts: Iterator[bytes], headers: tuple[Header, ...]) -> Response:
    boundary = uuid4().hex.encode()
    body = b"".join(_part(boundary, part) for part in parts)
    kind = b'multipart/related; type="%s"; boundary=%s' % (_XML, boundary)
    return Response(200, ((b"content-type", kind), *headers), body + b"--%s--\r\n" % boundary)


def _part(boundary: bytes, content: bytes) -> bytes:
    return b"--%s\r\nContent-Type: %s\r\nContent-Length: %d\r\nMIME-Version: 1.0\r\n\r\n%s\r\n" % (
        boundary,
        _XML,
        len(content),
        content,
    )
