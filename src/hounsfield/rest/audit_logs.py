"""The audit log, at the address that Orthanc's plugin for PostgreSQL gave it; it is there with every database."""

import base64
from datetime import UTC, datetime
from functools import partial
from typing import Any

import orjson

from hounsfield.http.errors import BadParameterType, ParameterOutOfRange
from hounsfield.http.messages import Request, Response, answer_json, unsigned
from hounsfield.http.routing import Route
from hounsfield.index.audit import AuditEntry, AuditQuery, list_audit
from hounsfield.rest.door import Door

_FORMATS = ("json", "base64")
_SECOND_NS = 1_000_000_000


def routes(door: Door) -> list[Route]:
    """The route of the audit log."""
    return [Route("GET", "/plugins/postgresql/audit-logs", partial(get_audit_logs, door))]


def get_audit_logs(door: Door, request: Request) -> Response:
    """Who did what, by time."""
    arguments = request.arguments
    form = arguments.get("log-data-format", "base64")
    if form not in _FORMATS:
        raise ParameterOutOfRange(f"log-data-format must be one of {', '.join(_FORMATS)}")
    query = AuditQuery(
        user_id=arguments.get("user-id", ""),
        resource_id=arguments.get("resource-id", ""),
        action=arguments.get("action", ""),
        first_ns=_time_ns(arguments.get("from-timestamp", "")),
        end_ns=_time_ns(arguments.get("to-timestamp", "")),
        since=unsigned(arguments.get("since", "0")),
        limit=unsigned(arguments.get("limit", "0")),
    )
    with door.archive.database.read() as tx:
        entries = list_audit(tx, query)
    return answer_json([_written(entry, is_json=form == "json") for entry in entries])


def _written(entry: AuditEntry, *, is_json: bool) -> dict[str, Any]:
    milliseconds = entry.at_ns // 1_000_000
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    written: dict[str, Any] = {
        "SourcePlugin": entry.source,
        "Timestamp": f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z",
        "UserId": entry.user_id,
        "ResourceType": "None" if entry.level is None else entry.level.word,
        "ResourceId": entry.resource_id,
        "Action": entry.action,
    }
    if is_json:
        try:
            return {**written, "JsonLogData": orjson.loads(entry.data) if entry.data else None}
        except orjson.JSONDecodeError:
            pass
    return {**written, "Base64LogData": base64.b64encode(entry.data).decode()}


def _time_ns(text: str) -> int | None:
    """A time of ISO 8601, in UTC unless it says otherwise; None for no text."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadParameterType("Times are written as 2025-08-11T11:25:55.639Z") from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    try:
        return int(moment.timestamp() * 1000) * (_SECOND_NS // 1000)
    except OverflowError as error:
        raise ParameterOutOfRange("This time is too far away") from error
