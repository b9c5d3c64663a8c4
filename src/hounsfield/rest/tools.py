"""Small tools, and work on many resources at once."""

from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import uuid4

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.uids import new_uid
from hounsfield.errors import BadRequest
from hounsfield.http.errors import BadFileFormat, NoAnswer
from hounsfield.http.messages import EMPTY_TEXT, Request, Response, answer_json, answer_text, body_bytes
from hounsfield.http.routing import Route
from hounsfield.index.database import Transaction
from hounsfield.index.find import lookup
from hounsfield.index.resources import ancestor, children, find_level
from hounsfield.rest.door import Door
from hounsfield.rest.expansion import Expansion, expand
from hounsfield.rest.find import parse_level
from hounsfield.rest.formats import TagFormat, format_of_body, json_object
from hounsfield.rest.hierarchy import reference, remove_many

_DATE_TIME = "%Y%m%dT%H%M%S"


def routes(door: Door) -> list[Route]:
    """The routes of the tools."""
    return [
        Route("GET", "/tools/now", partial(get_now, door), is_inline=True),
        Route("GET", "/tools/now-local", partial(get_now_local, door), is_inline=True),
        Route("GET", "/tools/generate-uid", generate_uid),
        Route("POST", "/tools/lookup", partial(look_up, door)),
        Route("POST", "/tools/bulk-content", partial(bulk_content, door)),
        Route("POST", "/tools/bulk-delete", partial(bulk_delete, door)),
    ]


def get_now(door: Door, _request: Request) -> Response:
    """The time, in UTC."""
    return answer_text(_now(door).strftime(_DATE_TIME))


def get_now_local(door: Door, _request: Request) -> Response:
    """The time where the server is."""
    return answer_text(_now(door).astimezone().strftime(_DATE_TIME))


def _now(door: Door) -> datetime:
    return datetime.fromtimestamp(door.intake.clock_ns() // 1_000_000_000, UTC)


def generate_uid(request: Request) -> Response:
    """A new identifier for a level."""
    level = request.arguments.get("level")
    if level == "patient":
        return answer_text(str(uuid4()))
    if level in ("study", "series", "instance"):
        return answer_text(new_uid())
    raise NoAnswer


def look_up(door: Door, request: Request) -> Response:
    """The resources with an identifier."""
    value = body_bytes(request.body).decode("utf-8", "replace")
    with door.archive.database.read() as tx:
        return answer_json([reference(level, public_id) for level, public_id in lookup(tx, value)])


def bulk_content(door: Door, request: Request) -> Response:
    """The objects of many resources, each at its own level or all at one."""
    body = json_object(request)
    names = body.get("Resources")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadFileFormat("Field Resources must be an array of strings")
    has_metadata = body.get("Metadata", True)
    if not isinstance(has_metadata, bool):
        raise BadFileFormat("Boolean value expected in field: Metadata")
    wanted = parse_level(body["Level"]) if "Level" in body else None
    expansion = Expansion(format_of_body(body, TagFormat.HUMAN), has_metadata=has_metadata)
    with door.archive.database.read() as tx:
        chosen = [target for name in names for target in _at_level(tx, name, wanted)]
        if wanted is not None:
            chosen = list(dict.fromkeys(chosen))
        objects = {
            (level, found["ID"]): found
            for level in Level
            for found in expand(
                door, tx, level, [each for upper, each in chosen if upper == level], expansion
            )
        }
    return answer_json([objects[target] for target in chosen if target in objects])


def _at_level(tx: Transaction, name: str, wanted: Level | None) -> list[tuple[Level, PublicId]]:
    """What an id stands for at a level: itself, its ancestor, or its descendants."""
    level = find_level(tx, name)
    if level is None:
        return []
    if wanted is None:
        return [(level, PublicId(name))]
    if wanted <= level:
        return [(wanted, ancestor(tx, level, name, wanted))]
    return [(wanted, public_id) for public_id in children(tx, level, name, wanted)]


def bulk_delete(door: Door, request: Request) -> Response:
    """Delete many resources; those that do not exist are passed over."""
    names = json_object(request).get("Resources")
    if not isinstance(names, list):
        raise BadRequest("Field Resources must be an array")
    remove_many(door, [_target(name) for name in names])
    return EMPTY_TEXT


def _target(name: Any) -> tuple[Level | None, str]:
    if isinstance(name, str):
        return None, name
    if isinstance(name, dict) and isinstance(name.get("ID"), str) and isinstance(name.get("Level"), str):
        return parse_level(name["Level"]), name["ID"]
    raise BadRequest("Field Resources must hold ids, or objects with Level and ID")
