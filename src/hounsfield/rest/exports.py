"""The log of what was sent to other servers."""

from functools import partial
from typing import Any

from hounsfield.dicom.levels import Level
from hounsfield.http.errors import ReadOnly
from hounsfield.http.messages import EMPTY_TEXT, Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.index.exports import Export, clear_exports, latest_export, list_exports
from hounsfield.rest.changes import number_argument
from hounsfield.rest.door import Door

_IDENTIFIERS = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def routes(door: Door) -> list[Route]:
    """The routes of the log."""
    return [
        Route("GET", "/exports", partial(get_exports, door)),
        Route("DELETE", "/exports", partial(delete_exports, door)),
    ]


def get_exports(door: Door, request: Request) -> Response:
    """A page of the log of what was sent, if `LogExportedResources` is set."""
    with door.archive.database.read() as tx:
        if request.has("last"):
            page = latest_export(tx)
        else:
            since = number_argument(request, "since", 0)
            page = list_exports(tx, since=since, limit=number_argument(request, "limit", 100))
    written: dict[str, Any] = {
        "Exports": [_write(export) for export in page.exports],
        "Done": page.is_done,
        "Last": page.last,
    }
    if page.first is not None:
        written["First"] = page.first
    return answer_json(written)


def _write(export: Export) -> dict[str, Any]:
    """Identifiers go down to the level of what was sent."""
    level: Level = export.level
    return {
        "Seq": export.seq,
        "ResourceType": level.word,
        "ID": export.public_id,
        "Path": f"/{level.plural}/{export.public_id}",
        "RemoteModality": export.remote_modality,
        "Date": export.date,
        **dict(zip(_IDENTIFIERS[: level + 1], export.identifiers, strict=False)),
    }


def delete_exports(door: Door, _request: Request) -> Response:
    """Empty the log."""
    if door.options.is_read_only:
        raise ReadOnly
    door.archive.database.write(clear_exports)
    return EMPTY_TEXT
