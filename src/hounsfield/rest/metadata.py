"""Metadata of resources of any level."""

import hashlib
from functools import partial

from hounsfield.dicom.levels import Level
from hounsfield.errors import NotFound
from hounsfield.events import MetadataUpdated
from hounsfield.http.errors import Forbidden, InexistentItem, NoAnswer, ReadOnly
from hounsfield.http.messages import EMPTY_TEXT, Request, Response, answer_json, answer_text, body_bytes
from hounsfield.http.routing import Route
from hounsfield.index.changes import ChangeType, log_change
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key
from hounsfield.index.metadata import (
    FIRST_USER_TYPE,
    LAST_USER_TYPE,
    delete_metadata,
    get_stored,
    put_metadata,
)
from hounsfield.index.resources import Part, Resource, get_row, load
from hounsfield.ingest.instance import date_of
from hounsfield.rest.door import Door
from hounsfield.rest.metadata_names import metadata_name, metadata_number
from hounsfield.rest.revisions import check_write, etag, not_modified


def routes(door: Door) -> list[Route]:
    """The routes of metadata."""
    found = []
    for level in Level:
        path = f"/{level.plural}/{{id}}/metadata"
        found += [
            Route("GET", path, partial(list_metadata, door, level), is_inline=True),
            Route("GET", path + "/{name}", partial(get_metadata, door, level), is_inline=True),
            Route("PUT", path + "/{name}", partial(set_metadata, door, level)),
            Route("DELETE", path + "/{name}", partial(remove_metadata, door, level)),
        ]
    return found


def _load(tx: Transaction, level: Level, public_id: str) -> Resource:
    found = load(tx, level, [public_id], (Part.METADATA,))
    if not found:
        raise NotFound
    return found[0]


def list_metadata(door: Door, level: Level, request: Request) -> Response:
    """The names of the metadata in the order of their numbers, or their values by name."""
    with door.archive.database.read() as tx:
        metadata = dict(sorted(_load(tx, level, request.values["id"]).metadata.items()))
    is_numeric, is_expanded = request.flag("numeric"), request.flag("expand")
    if is_expanded:
        names = {
            kind: str(int(kind)) if is_numeric else metadata_name(door.options, kind) for kind in metadata
        }
        return answer_json({names[kind]: value for kind, value in metadata.items()})
    if is_numeric:
        return answer_json([int(kind) for kind in metadata])
    return answer_json([metadata_name(door.options, kind) for kind in metadata])


def get_metadata(door: Door, level: Level, request: Request) -> Response:
    """The value of a metadata."""
    kind = _number(door, request)
    with door.archive.database.read() as tx:
        resource = _load(tx, level, request.values["id"])
        stored = get_stored(tx, level, resource.row, kind)
    value = resource.metadata.get(kind)
    if value is None:
        raise NoAnswer
    revision, md5 = stored.revision if stored else 0, _md5(value)
    return not_modified(request, revision, md5) or answer_text(value, (etag(revision, md5),))


def set_metadata(door: Door, level: Level, request: Request) -> Response:
    """Set a metadata of the users' range."""
    kind = _user_number(door, request)
    value = body_bytes(request.body).decode("utf-8", "replace")
    public_id, date = request.values["id"], date_of(door.intake.clock_ns())

    def work(tx: Transaction) -> int:
        row = get_row(tx, level, public_id)
        existing = get_stored(tx, level, row, kind)
        if existing is not None:
            check_write(door.options, request, existing.revision, _md5(existing.value))
        log_change(tx, ChangeType.UPDATED_METADATA, level, row, to_key(public_id), date)
        return put_metadata(tx, level, row, kind, value)

    revision = door.archive.database.write(work)
    door.archive.events.publish(MetadataUpdated(level, public_id, kind))
    return answer_text("", (etag(revision, _md5(value)),))


def remove_metadata(door: Door, level: Level, request: Request) -> Response:
    """Delete a metadata of the users' range."""
    kind = _user_number(door, request)
    public_id, date = request.values["id"], date_of(door.intake.clock_ns())

    def work(tx: Transaction) -> None:
        row = get_row(tx, level, public_id)
        existing = get_stored(tx, level, row, kind)
        if existing is not None:
            check_write(door.options, request, existing.revision, _md5(existing.value))
        delete_metadata(tx, level, row, kind)
        log_change(tx, ChangeType.UPDATED_METADATA, level, row, to_key(public_id), date)

    door.archive.database.write(work)
    door.archive.events.publish(MetadataUpdated(level, public_id, kind))
    return EMPTY_TEXT


def _number(door: Door, request: Request) -> int:
    number = metadata_number(door.options, request.values["name"])
    if number is None:
        raise InexistentItem("Unknown metadata")
    return number


def _user_number(door: Door, request: Request) -> int:
    if door.options.is_read_only:
        raise ReadOnly
    number = _number(door, request)
    if not FIRST_USER_TYPE <= number <= LAST_USER_TYPE:
        raise Forbidden
    return number


def _md5(value: str) -> str:
    return hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()
