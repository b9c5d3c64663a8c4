"""`POST /instances`: DICOM files and ZIP archives."""

from functools import partial
from typing import Any

from hounsfield.dicom.levels import Level
from hounsfield.errors import Corrupt, StorageFull
from hounsfield.http.errors import BadFileFormat
from hounsfield.http.messages import Body, Request, Response, answer_json, body_length
from hounsfield.http.routing import Route
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.receive import Receipt
from hounsfield.ingest.upload import Content, upload
from hounsfield.rest.door import Door
from hounsfield.store.spool import SpoolFile

_IN_MEMORY = 4 * 1024 * 1024


def routes(door: Door) -> list[Route]:
    """The route of uploads."""
    return [Route("POST", "/instances", partial(post_instances, door))]


def post_instances(door: Door, request: Request) -> Response:
    """Store one file, or all of an archive."""
    origin = Origin(OriginKind.REST_API, remote_ip=request.remote_ip, http_username=request.username)
    is_gzip = request.headers.get("content-encoding", "").strip().lower() == "gzip"
    length = body_length(request.body)
    content = _content(door, request.body)
    try:
        result = upload(door.intake, door.uploads, origin, content, is_gzip=is_gzip)
    except Corrupt as cause:
        if length == 0:
            raise
        raise BadFileFormat(f"Cannot parse an invalid DICOM file (size: {length} bytes)") from cause
    finally:
        if isinstance(content, SpoolFile) and content is not request.body:
            content.close()
    return answer_json([describe(each) for each in result] if isinstance(result, list) else describe(result))


def _content(door: Door, body: Body) -> Content:
    """The body as the way in wants it; a large part of a form goes to the spool."""
    if not isinstance(body, memoryview):
        return body
    if len(body) <= _IN_MEMORY:
        return bytes(body)
    spooled = door.uploads.spool.create()
    try:
        spooled.write(body)
    except OSError as cause:
        spooled.close()
        raise StorageFull("A part of the form cannot be spooled") from cause
    return spooled


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
