"""`POST /instances`: DICOM files and ZIP archives."""

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice
from typing import Any

import orjson

from hounsfield.dicom.levels import Level
from hounsfield.errors import Corrupt, StorageFull
from hounsfield.http.errors import BadFileFormat
from hounsfield.http.messages import JSON_TYPE, Request, Response, answer_json, body_length
from hounsfield.http.routing import Route
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Receipt
from hounsfield.ingest.upload import upload_one_by_one
from hounsfield.rest.door import Door
from hounsfield.store.spool import SpoolFile

_AT_ONCE = 1000
"""Results of an archive that are told together; of larger ones they are told as they come."""


def routes(door: Door) -> list[Route]:
    """The route of uploads."""
    return [Route("POST", "/instances", partial(post_instances, door), is_upload=True)]


def post_instances(door: Door, request: Request) -> Response:
    """Store one file, or all of an archive."""
    origin = origin_of(request)
    is_gzip = request.headers.get("content-encoding", "").strip().lower() == "gzip"
    length = body_length(request.body)
    try:
        result = upload_one_by_one(door.intake, door.uploads, origin, request.body, is_gzip=is_gzip)
        if isinstance(result, Receipt):
            return answer_json(describe(result))
        # What is in memory is not ours any more when the answer is sent.
        first = list(islice(result, _AT_ONCE) if isinstance(request.body, SpoolFile) else result)
    except Corrupt as cause:
        if length == 0:
            raise
        raise BadFileFormat(f"Cannot parse an invalid DICOM file (size: {length} bytes)") from cause
    if len(first) < _AT_ONCE or not isinstance(request.body, SpoolFile):
        return answer_json([describe(each) for each in first])
    return Response(200, (JSON_TYPE,), _told_one_by_one(chain(first, result)))


def origin_of(request: Request) -> Origin:
    """Who sends an instance by a request: a client, or a script of the server itself."""
    match request.origin:
        case "lua":
            return Origin(OriginKind.LUA)
        case "plugin":
            return Origin(OriginKind.PLUGINS)
    return Origin(OriginKind.REST_API, remote_ip=request.remote_ip, http_username=request.username)


def _told_one_by_one(results: Iterator[Receipt]) -> Iterator[bytes]:
    """A JSON array, written while the archive is read; its last item tells if that failed."""
    separator = b"["
    try:
        for each in results:
            yield separator + orjson.dumps(describe(each))
            separator = b","
    except StorageFull:
        yield separator + orjson.dumps({"Status": "StorageFull"})
    except Corrupt:
        yield separator + orjson.dumps({"Status": "Failure"})
    except GeneratorExit:
        for _ in results:  # Nobody listens any more, but what was sent is stored.
            pass
        raise
    yield b"]"


def describe(receipt: Receipt) -> dict[str, Any]:
    """What became of an instance."""
    patient, study, series, instance = receipt.identifiers.public_ids()
    return {
        "ID": instance,
        "Path": f"/{Level.INSTANCE.plural}/{instance}",
        "Status": receipt.outcome.value,
        "ParentPatient": patient,
        "ParentStudy": study,
        "ParentSeries": series,
    }
