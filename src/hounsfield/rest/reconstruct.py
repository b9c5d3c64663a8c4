"""Reading files again, of one resource or of all."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from hounsfield.dicom.levels import Level
from hounsfield.http.errors import BadFileFormat
from hounsfield.http.messages import EMPTY_TEXT, Request, Response, body_length
from hounsfield.http.routing import Route
from hounsfield.ingest import reconstruction
from hounsfield.rest.door import Door
from hounsfield.rest.modify import strict_object


def routes(door: Door) -> list[Route]:
    """The routes of reconstruction."""
    return [
        *(
            Route("POST", f"/{level.plural}/{{id}}/reconstruct", partial(reconstruct, door, level))
            for level in Level
        ),
        Route("POST", "/tools/reconstruct", partial(reconstruct_all, door)),
    ]


def reconstruct(door: Door, level: Level, request: Request) -> Response:
    """Read the files of a resource again, and write anew what the index keeps of them."""
    body = strict_object(request) if body_length(request.body) else {}
    reconstruction.reconstruct(
        door.intake,
        level,
        request.values["id"],
        renews_files=_flag(body, "ReconstructFiles"),
        only_this_level=_flag(body, "LimitToThisLevelMainDicomTags"),
    )
    door.cache.clear()
    return EMPTY_TEXT


def reconstruct_all(door: Door, request: Request) -> Response:
    """Read all files again, and write anew what the index keeps of them."""
    body = strict_object(request) if body_length(request.body) else {}
    reconstruction.reconstruct_all(door.intake, renews_files=_flag(body, "ReconstructFiles"))
    door.cache.clear()
    return EMPTY_TEXT


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise BadFileFormat(f"Boolean value expected in field: {name}")
    return value
