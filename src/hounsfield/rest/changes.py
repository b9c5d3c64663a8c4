"""The log of changes."""

from functools import partial
from typing import Any

from hounsfield.http.errors import BadParameterType, ParameterOutOfRange, ReadOnly
from hounsfield.http.messages import EMPTY_TEXT, Request, Response, answer_json, unsigned
from hounsfield.http.routing import Route
from hounsfield.index.changes import ChangeType, clear_changes, latest_change, list_changes
from hounsfield.rest.door import Door

_TYPES = {kind.word: kind for kind in ChangeType}
# Valid names of what is told to scripts and never logged.
_NEVER_LOGGED = ("Deleted", "NewChildInstance")


def routes(door: Door) -> list[Route]:
    """The routes of the log."""
    return [
        Route("GET", "/changes", partial(get_changes, door)),
        Route("DELETE", "/changes", partial(delete_changes, door)),
    ]


def get_changes(door: Door, request: Request) -> Response:
    """A page of the log."""
    types, is_empty = _types(request.arguments.get("type", ""))
    with door.archive.database.read() as tx:
        if request.has("last"):
            page = latest_change(tx)
        else:
            page = list_changes(
                tx,
                since=number_argument(request, "since", 0),
                to=number_argument(request, "to", -1),
                limit=0 if is_empty else number_argument(request, "limit", 100),
                types=types,
            )
    written: dict[str, Any] = {
        "Changes": [
            {
                "Seq": change.seq,
                "ChangeType": change.type.word,
                "ResourceType": change.level.word,
                "ID": change.public_id,
                "Path": f"/{change.level.plural}/{change.public_id}",
                "Date": change.date,
            }
            for change in page.changes
        ],
        "Done": page.is_done,
        "Last": page.last,
    }
    if page.first is not None:
        written["First"] = page.first
    return answer_json(written)


def _types(text: str) -> tuple[list[ChangeType], bool]:
    """The types asked for, and whether there can be none such."""
    names = [name for name in text.split(";") if name]
    for name in names:
        if name not in _TYPES and name not in _NEVER_LOGGED and name != "all":
            raise ParameterOutOfRange(f"Unknown type of change: {name}")
    if "all" in names:
        return [], False
    found = [_TYPES[name] for name in names if name in _TYPES]
    return found, bool(names) and not found


def number_argument(request: Request, name: str, default: int) -> int:
    """A number, or its default for anything that is none."""
    try:
        return unsigned(request.arguments[name]) if name in request.arguments else default
    except BadParameterType:
        return default


def delete_changes(door: Door, _request: Request) -> Response:
    """Empty the log."""
    if door.options.is_read_only:
        raise ReadOnly
    door.archive.database.write(clear_changes)
    return EMPTY_TEXT
