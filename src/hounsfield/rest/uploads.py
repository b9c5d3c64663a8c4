"""`POST /instances`: DICOM files and ZIP archives."""

from functools import partial
from typing import Any

from hounsfield.dicom.levels import Level
from hounsfield.errors import Corrupt
from hounsfield.http.errors import BadFileFormat
from hounsfield.http.messages import Request, Response, answer_json, body_length
from hounsfield.http.routing import Route
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.receive import Receipt
from hounsfield.ingest.upload import upload
from hounsfield.rest.door import Door


def routes(door: Door) -> list[Route]:
    """The route of uploads."""
    return [Route("POST", "/instances", partial(post_instances, door), is_brief=True)]


def post_instances(door: Door, request: Request) -> Response:
    """Store one file, or all of an archive."""
    origin = origin_of(request)
    is_gzip = request.headers.get("content-encoding", "").strip().lower() == "gzip"
    length = body_length(request.body)
    try:
        result = upload(door.intake, door.uploads, origin, request.body, is_gzip=is_gzip)
    except Corrupt as cause:
        if length == 0:
            raise
        raise BadFileFormat(f"Cannot parse an invalid DICOM file (size: {length} bytes)") from cause
    return answer_json([describe(each) for each in result] if isinstance(result, list) else describe(result))


def origin_of(request: Request) -> Origin:
    """Who sends an instance by a request: a client, or a script of the server itself."""
    match request.origin:
        case "lua":
            return Origin(OriginKind.LUA)
        case "plugin":
            return Origin(OriginKind.PLUGINS)
    return Origin(OriginKind.REST_API, remote_ip=request.remote_ip, http_username=request.username)


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
