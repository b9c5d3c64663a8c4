"""Patients, studies, series and instances: lists, objects, children, parents, sizes, deletion, protection."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from hounsfield.dicom.dictionary.lookup import UnknownTag
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.errors import BadRequest, NotFound
from hounsfield.events import ResourceDeleted
from hounsfield.http.errors import BadFileFormat, NoAnswer, ParameterOutOfRange
from hounsfield.http.messages import (
    EMPTY_TEXT,
    Request,
    Response,
    answer_json,
    answer_text,
    body_bytes,
    unsigned,
)
from hounsfield.http.routing import Route
from hounsfield.index.database import Transaction
from hounsfield.index.deletion import Deleted, delete
from hounsfield.index.patients import is_protected, set_protected
from hounsfield.index.resources import ancestor, children, find_level, list_ids
from hounsfield.index.statistics import resource_statistics
from hounsfield.ingest.instance import date_of
from hounsfield.rest.door import Door
from hounsfield.rest.expansion import Expansion, expand, parse_content
from hounsfield.rest.formats import TagFormat, format_of
from hounsfield.rest.remembered import remembering
from hounsfield.rest.requested_tags import parse_tags

_MEGABYTE = 1024 * 1024
_SHORT_PAGE = 50
_DELETED_TOGETHER = 20


def routes(door: Door) -> list[Route]:
    """The routes of the four levels."""
    found: list[Route] = []
    for level in Level:
        path = f"/{level.plural}"
        found += [
            remembering(door, "GET", path, partial(list_resources, door, level), _is_short),
            remembering(
                door,
                "GET",
                path + "/{id}",
                partial(get_resource, door, level),
                _is_plain if level == Level.INSTANCE else _is_never_short,
            ),
            Route("DELETE", path + "/{id}", partial(delete_resource, door, level)),
            Route("GET", path + "/{id}/statistics", partial(get_statistics, door, level)),
        ]
        for other in Level:
            if other > level:
                handler = partial(list_children, door, level, other)
                found.append(Route("GET", f"{path}/{{id}}/{other.plural}", handler))
            elif other < level:
                word = other.word.lower()
                handler = partial(get_ancestor, door, level, other)
                found.append(Route("GET", f"{path}/{{id}}/{word}", handler))
    return [
        *found,
        Route("GET", "/patients/{id}/protected", partial(get_protected, door), is_inline=True),
        Route("PUT", "/patients/{id}/protected", partial(put_protected, door)),
    ]


def list_resources(door: Door, level: Level, request: Request) -> Response:
    """Ids in ascending order, or objects."""
    arguments = request.arguments
    since, limit = _paging(request)
    content = arguments.get("response-content")
    selected = parse_content(_split(content)) if content is not None else None
    is_expanded = request.flag("expand") or selected is not None
    with door.archive.database.read() as tx:
        public_ids = list_ids(tx, level, since, limit)
        if not is_expanded:
            return answer_json(public_ids)
        return answer_json(expand(door, tx, level, public_ids, _expansion(request, selected)))


def _is_plain(request: Request) -> bool:
    return not request.query


def _is_never_short(_request: Request) -> bool:
    return False


def _is_short(request: Request) -> bool:
    """Whether a page of resources is small, and made without headers."""
    arguments = request.arguments
    limit = arguments.get("limit", "")
    is_small = limit.isdigit() and len(limit) < 3 and 0 < int(limit) <= _SHORT_PAGE
    return is_small and not {"requested-tags", "requestedTags"} & arguments.keys()


def _paging(request: Request) -> tuple[int, int]:
    """`since` and `limit`, which come together or not at all."""
    arguments = request.arguments
    names = ("since", "limit")
    given = [name for name in names if name in arguments]
    if not given:
        return 0, 0
    for name in names:
        if name not in given:
            raise BadRequest(f'Missing "{name}" argument for GET request against: {request.path}')
    return unsigned(arguments["since"]), unsigned(arguments["limit"])


def _split(text: str) -> list[str]:
    return [name for name in text.split(";") if name]


def _expansion(request: Request, content: frozenset[str] | None = None) -> Expansion:
    requested = request.arguments.get("requested-tags", request.arguments.get("requestedTags", ""))
    try:
        tags = parse_tags(_split(requested))
    except UnknownTag as cause:
        raise BadRequest(f"Invalid requested-tags argument: Unknown DICOM tag {cause}") from cause
    return Expansion(format_of(request, TagFormat.HUMAN), content, tags)


_PLAIN = Expansion()


def get_resource(door: Door, level: Level, request: Request) -> Response:
    """The object of a resource."""
    expansion = _expansion(request) if request.query else _PLAIN
    return _object(door, level, request.values["id"], expansion)


def _object(door: Door, level: Level, public_id: str, expansion: Expansion) -> Response:
    with door.archive.database.read() as tx:
        objects = expand(door, tx, level, [public_id], expansion)
    if not objects:
        raise NoAnswer
    return answer_json(objects[0])


def list_children(door: Door, level: Level, wanted: Level, request: Request) -> Response:
    """The objects of all descendants at a level, or their ids."""
    is_expanded = request.flag("expand", default=True)
    with door.archive.database.read() as tx:
        public_ids = children(tx, level, request.values["id"], wanted)
        if not is_expanded:
            return answer_json(public_ids)
        return answer_json(expand(door, tx, wanted, public_ids, _expansion(request)))


def get_ancestor(door: Door, level: Level, wanted: Level, request: Request) -> Response:
    """The object of an ancestor."""
    with door.archive.database.read() as tx:
        public_id = ancestor(tx, level, request.values["id"], wanted)
    return _object(door, wanted, public_id, _expansion(request))


def get_statistics(door: Door, level: Level, request: Request) -> Response:
    """Counts and sizes; zeros if there is no such resource."""
    with door.archive.database.read() as tx:
        found = resource_statistics(tx, level, request.values["id"])
    written: dict[str, Any] = {}
    for name, size in (
        ("DiskSize", found.stored_size),
        ("UncompressedSize", found.size),
        ("DicomDiskSize", found.dicom_stored_size),
        ("DicomUncompressedSize", found.dicom_size),
    ):
        written[name] = str(size)
        written[name + "MB"] = size // _MEGABYTE
    counts = (
        ("CountStudies", Level.STUDY, found.studies),
        ("CountSeries", Level.SERIES, found.series),
        ("CountInstances", Level.INSTANCE, found.instances),
    )
    return answer_json({**written, **{name: count for name, below, count in counts if below > level}})


def delete_resource(door: Door, level: Level, request: Request) -> Response:
    """Delete a resource and all below it; tell which ancestor is left."""
    try:
        deleted = remove(door, level, request.values["id"])
    except NotFound as cause:
        raise NoAnswer from cause
    if deleted.remaining_ancestor is None:
        return answer_json({"RemainingAncestor": None})
    upper, public_id = deleted.remaining_ancestor
    return answer_json({"RemainingAncestor": reference(upper, public_id)})


def remove(door: Door, level: Level, public_id: str) -> Deleted:
    """Delete a resource for good, and tell of it.

    Raises
    ------
    NotFound
        If there is none.
    """
    date = date_of(door.intake.clock_ns())
    deleted = door.archive.database.write(lambda tx: delete(tx, level, public_id, date))
    _tell(door, [deleted])
    return deleted


def remove_many(door: Door, targets: Sequence[tuple[Level | None, str]]) -> None:
    """Delete resources for good, by level if it is given; those that do not exist, or no longer, are passed over.

    Many at a time share a synchronisation; others may write in between.
    """
    date = date_of(door.intake.clock_ns())
    for start in range(0, len(targets), _DELETED_TOGETHER):
        page = targets[start : start + _DELETED_TOGETHER]
        _tell(door, door.archive.database.write(lambda tx, page=page: _delete_all(tx, page, date)))  # type: ignore[misc]


def _delete_all(tx: Transaction, targets: Sequence[tuple[Level | None, str]], date: str) -> list[Deleted]:
    found = []
    for wanted, public_id in targets:
        level = find_level(tx, public_id)
        if level is not None and wanted in (None, level):
            found.append(delete(tx, level, public_id, date))
    return found


def _tell(door: Door, deleted: Sequence[Deleted]) -> None:
    """Have the files deleted in the background, and tell who listens."""
    door.intake.settling.files_were_deleted()
    for each in deleted:
        for level, public_id in each.resources:
            door.archive.events.publish(ResourceDeleted(level, public_id))


def reference(level: Level, public_id: PublicId) -> dict[str, str]:
    """A resource by its address."""
    return {"ID": public_id, "Path": f"/{level.plural}/{public_id}", "Type": level.word}


def get_protected(door: Door, request: Request) -> Response:
    """Whether a patient is protected, as `0` or `1`."""
    with door.archive.database.read() as tx:
        return answer_text("1" if _known_patient(is_protected, tx, request.values["id"]) else "0")


def put_protected(door: Door, request: Request) -> Response:
    """Protect a patient or not."""
    text = body_bytes(request.body).strip()
    if text not in _BOOLEANS:
        raise BadFileFormat("The body must be a Boolean value: 0, 1, true or false")
    public_id, now_ns = request.values["id"], door.intake.clock_ns()
    door.archive.database.write(
        lambda tx: _known_patient(set_protected, tx, public_id, _BOOLEANS[text], now_ns)
    )
    return EMPTY_TEXT


_BOOLEANS = {b"0": False, b"false": False, b"1": True, b"true": True}


def _known_patient(action: Callable[..., Any], *arguments: Any) -> Any:
    """An unknown patient is a bad parameter here."""
    try:
        return action(*arguments)
    except NotFound as cause:
        raise ParameterOutOfRange("No such patient") from cause
