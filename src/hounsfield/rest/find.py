"""Searches: `/tools/find` and `/tools/count-resources`.

Everything is searched in the index: what no main DICOM tag holds, in the header of one instance of each candidate.
"""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import SERIES_INSTANCE_UID, SOP_INSTANCE_UID, STUDY_INSTANCE_UID, Tag, format_tag
from hounsfield.errors import BadRequest
from hounsfield.http.errors import BadSequenceOfCalls, InexistentItem, ParameterOutOfRange
from hounsfield.http.messages import Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.index.database import Transaction
from hounsfield.index.find import are_few, count, find, is_indexed
from hounsfield.index.query import (
    WILDCARD_VRS,
    Constraint,
    LabelsConstraint,
    Match,
    Order,
    OrderKind,
    Query,
    parse_constraint,
)
from hounsfield.rest.door import Door
from hounsfield.rest.expansion import Expansion, expand, parse_content
from hounsfield.rest.formats import TagFormat, format_of_body, json_object
from hounsfield.rest.metadata_names import metadata_number
from hounsfield.rest.remembered import remembering
from hounsfield.rest.requested_tags import parse_tags
from hounsfield.retrieve.headers import header_access

_SPECIAL = frozenset("*?\\")
_IDENTIFIERS: tuple[Tag, ...] = (
    0x00100020,
    0x00100010,
    0x00100030,
    STUDY_INSTANCE_UID,
    0x00080050,
    0x00081030,
    0x00080020,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
)


def routes(door: Door) -> list[Route]:
    """The routes of searches."""
    return [
        remembering(door, "POST", "/tools/find", partial(post_find, door), partial(_is_short, door)),
        remembering(door, "POST", "/tools/count-resources", partial(post_count, door), _is_never_short),
    ]


@dataclass(frozen=True, slots=True)
class Search:
    """A query, and whether headers are needed to decide it: the constraints on what are no main tags."""

    query: Query
    on_headers: tuple[Constraint, ...]


def post_find(door: Door, request: Request) -> Response:
    """The ids or objects of what satisfies a query."""
    body = json_object(request)
    search = parse_search(door, body)
    expansion = _expansion(body)
    with door.archive.database.read() as tx:
        public_ids = run(door, tx, search)
        if expansion is None:
            return answer_json(public_ids)
        return answer_json(expand(door, tx, search.query.level, public_ids, expansion))


def post_count(door: Door, request: Request) -> Response:
    """How many satisfy a query."""
    body = {key: value for key, value in json_object(request).items() if key not in ("Since", "Limit")}
    search = parse_search(door, body)
    if search.query.is_case_sensitive:
        raise ParameterOutOfRange("CaseSensitive is not available for counting")
    if search.on_headers:
        raise BadRequest("Unable to count with constraints on tags that are not stored in the database")
    with door.archive.database.read() as tx:
        return answer_json({"Count": count(tx, search.query, door.main_tags)})


def _is_short(door: Door, request: Request) -> bool:
    """Whether a query names an identifier that few resources have."""
    body = json_object(request)
    query, level = body.get("Query"), body.get("Level")
    if not isinstance(query, dict) or not isinstance(level, str) or "RequestedTags" in body:
        return False
    for name, value in query.items():
        if isinstance(value, str) and value and not _SPECIAL.intersection(value):
            with door.archive.database.peek() as tx:
                if are_few(tx, lookup.parse_tag(name), value, parse_level(level)):
                    return True
    return False


def _is_never_short(_request: Request) -> bool:
    return False


def run(door: Door, tx: Transaction, search: Search) -> list[PublicId]:
    """The ids of what a search finds, within its limits."""
    query, options = search.query, door.options
    is_instance = query.level == Level.INSTANCE
    cap = options.limit_find_instances if is_instance else options.limit_find_results
    limit = query.limit
    if cap and not (query.since and not limit):
        limit = min(limit, cap) if limit else cap
    if search.on_headers and options.storage_access == "Never":
        return []
    access = header_access(door.archive, options.default_encoding)
    return find(tx, replace(query, limit=limit), door.main_tags, access)


def parse_level(text: Any) -> Level:
    """A level by its name in one or many, in any case; `Image` is an instance.

    Raises
    ------
    ParameterOutOfRange
        If it is none.
    """
    if isinstance(text, str) and text.lower() in _LEVELS:
        return _LEVELS[text.lower()]
    raise ParameterOutOfRange(f"Invalid resource type '{text}'")


_LEVELS = {
    **{level.word.lower(): level for level in Level},
    **{level.plural: level for level in Level},
    "image": Level.INSTANCE,
    "images": Level.INSTANCE,
}


def parse_search(door: Door, body: dict[str, Any]) -> Search:
    """The search that a body describes.

    Raises
    ------
    BadRequest
        In its many kinds.
    """
    if not isinstance(body.get("Level"), str):
        raise BadRequest('Field "Level" is missing, or should be a string')
    if not isinstance(body.get("Query"), dict):
        raise BadRequest('Field "Query" is missing, or should be a JSON object')
    level = parse_level(body["Level"])
    is_case_sensitive = _typed(body, "CaseSensitive", bool, False)
    constraints = tuple(_constraints(body["Query"], is_case_sensitive))
    on_headers = tuple(each for each in constraints if not is_indexed(each.tag, level, door.main_tags))
    since = _unsigned(body, "Since")
    if since and (
        on_headers or (is_case_sensitive and any(each.tag in _IDENTIFIERS for each in constraints))
    ):
        raise BadRequest(
            "Unable to use 'Since' in tools/find when querying tags that are not stored as MainDicomTags"
            " in the Database"
        )
    query = Query(
        level,
        constraints,
        tuple(_texts(body, "Labels")),
        _labels_constraint(body),
        tuple(_metadata(door, body)),
        _parent(body, level),
        tuple(_orders(door, body)),
        since,
        _unsigned(body, "Limit"),
        is_case_sensitive,
    )
    return Search(query, on_headers)


def _constraints(query: dict[str, Any], is_case_sensitive: bool) -> list[Constraint]:
    found = []
    for name, value in query.items():
        tag = lookup.parse_tag(name)
        if not isinstance(value, str):
            raise BadRequest(f'Tag "{name}" must be associated with a string')
        vr = lookup.vr(tag)
        constraint = parse_constraint(tag, value, vr=vr, is_case_sensitive=is_case_sensitive)
        if constraint is None:
            continue
        if constraint.match in (Match.WILDCARD, Match.PRESENT) and vr not in WILDCARD_VRS:
            raise ParameterOutOfRange(f"Wildcards are not allowed on tag {format_tag(tag)}")
        found.append(constraint)
    return found


def _typed(body: dict[str, Any], name: str, kind: type, default: Any) -> Any:
    value = body.get(name, default)
    if not isinstance(value, kind):
        words = {bool: "a Boolean", str: "a string", list: "an array", dict: "an object"}
        raise BadRequest(f'Field "{name}" must be {words[kind]}')
    return value


def _texts(body: dict[str, Any], name: str) -> list[str]:
    values: list[Any] = _typed(body, name, list, [])
    if not all(isinstance(value, str) for value in values):
        raise BadRequest(f'Field "{name}" must contain strings')
    return values


def _unsigned(body: dict[str, Any], name: str) -> int:
    value = body.get(name, 0)
    if not isinstance(value, int) or isinstance(value, bool):
        raise BadRequest(f'Field "{name}" must be an integer')
    if value < 0 or value > 1 << 62:
        raise ParameterOutOfRange(f'Field "{name}" must be a positive integer')
    return value


def _labels_constraint(body: dict[str, Any]) -> LabelsConstraint:
    try:
        return LabelsConstraint(_typed(body, "LabelsConstraint", str, "All"))
    except ValueError as cause:
        raise BadRequest('Field "LabelsConstraint" must be All, Any or None') from cause


def _metadata(door: Door, body: dict[str, Any]) -> list[tuple[int, str]]:
    found = []
    for name, value in _typed(body, "MetadataQuery", dict, {}).items():
        if not isinstance(value, str):
            raise BadRequest(f'Metadata "{name}" must be associated with a string')
        found.append((_metadata_number(door, name), value))
    return found


def _metadata_number(door: Door, name: str) -> int:
    number = metadata_number(door.options, name)
    if number is None:
        raise InexistentItem("Unknown metadata")
    return number


def _parent(body: dict[str, Any], level: Level) -> tuple[Level, str] | None:
    for parent in (Level.PATIENT, Level.STUDY, Level.SERIES):
        name = f"Parent{parent.word}"
        if name in body:
            public_id: str = _typed(body, name, str, "")
            if parent > level:
                raise BadSequenceOfCalls
            return parent, public_id
    return None


def _orders(door: Door, body: dict[str, Any]) -> list[Order]:
    found = []
    for entry in _typed(body, "OrderBy", list, []):
        if not isinstance(entry, dict):
            raise BadRequest('Field "OrderBy" must contain objects')
        kind, key, direction = (_typed(entry, name, str, None) for name in ("Type", "Key", "Direction"))
        if direction not in ("ASC", "DESC"):
            raise BadRequest('Field "Direction" must be ASC or DESC')
        try:
            order_kind = OrderKind(kind)
        except ValueError as cause:
            raise BadRequest(f"Unknown type of order: {kind}") from cause
        number = _metadata_number(door, key) if kind.startswith("Metadata") else lookup.parse_tag(key)
        found.append(Order(order_kind, number, direction == "DESC"))
    return found


def _expansion(body: dict[str, Any]) -> Expansion | None:
    """How to write what was found; None for ids."""
    is_expanded = body.get("Expand", False)
    if not isinstance(is_expanded, bool):
        raise BadRequest('Field "Expand" must be a Boolean')
    content = parse_content(_texts(body, "ResponseContent")) if "ResponseContent" in body else None
    requested = parse_tags(_texts(body, "RequestedTags"))
    if not is_expanded and content is None:
        return None
    return Expansion(format_of_body(body, TagFormat.HUMAN), content, requested)
