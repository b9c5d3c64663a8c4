"""Writing an instance to a file of the server's machine, where the administrator allows it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from hounsfield.errors import NotFound
from hounsfield.http.errors import CannotWriteFile, Forbidden, UnknownResource
from hounsfield.http.messages import EMPTY_OBJECT, Request, Response, body_bytes
from hounsfield.http.routing import Route
from hounsfield.rest.door import Door
from hounsfield.retrieve.files import find_dicom, stream_attachment


def routes(door: Door) -> list[Route]:
    """The route of exports to files."""
    return [Route("POST", "/instances/{id}/export", partial(export_file, door))]


def export_file(door: Door, request: Request) -> Response:
    """Write the DICOM file of an instance to the path in the body, on the server's machine."""
    if not door.options.may_write_files:
        raise Forbidden("Set RestApiWriteToFileSystemEnabled to allow this")
    try:
        attachment = find_dicom(door.archive, request.values["id"])
    except NotFound as cause:
        raise UnknownResource from cause
    path = body_bytes(request.body).decode("utf-8", "surrogateescape").strip("\0")
    _write(path, stream_attachment(door.archive, attachment))
    return EMPTY_OBJECT


def _write(path: str, pieces: Iterator[bytes]) -> None:
    try:
        with Path(path).open("wb") as file:
            file.writelines(pieces)
    except (OSError, ValueError) as cause:
        raise CannotWriteFile("The file cannot be written") from cause
