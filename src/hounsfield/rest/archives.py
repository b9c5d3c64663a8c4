"""Downloading a patient, a study or a series as a ZIP archive."""

from functools import partial

from hounsfield.dicom import uids
from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound, Unsupported
from hounsfield.http.errors import InexistentItem, ParameterOutOfRange
from hounsfield.http.messages import Request, Response, answer_bytes
from hounsfield.http.routing import Route
from hounsfield.rest.door import Door
from hounsfield.retrieve.archives import plan, stream


def routes(door: Door) -> list[Route]:
    """The archive of each level that has instances below it."""
    return [
        Route("GET", f"/{level.plural}/{{id}}/archive", partial(get_archive, door, level))
        for level in (Level.PATIENT, Level.STUDY, Level.SERIES)
    ]


def get_archive(door: Door, level: Level, request: Request) -> Response:
    """All files below a resource, in a ZIP archive."""
    public_id, arguments = request.values["id"], request.arguments
    if "transcode" in arguments:
        if uids.uid_name(arguments["transcode"]) is None:
            raise ParameterOutOfRange(f"Unknown transfer syntax: {arguments['transcode']}")
        raise Unsupported(f"Cannot transcode to {arguments['transcode']}")
    try:
        members = plan(door.archive, level, public_id)
    except NotFound as error:
        raise InexistentItem(f"Missing resource while creating an archive: {public_id}") from error
    filename = arguments.get("filename", f"{public_id}.zip")
    return answer_bytes(stream(door.archive, members), "application/zip", filename=filename)
