"""What the modules about other servers work with, and what their bodies have in common."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.keys import Keys, KeyValue, full_names, keys_of_names, short_names, simple_names
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import Tag
from hounsfield.errors import BadRequest, NotFound
from hounsfield.http.errors import BadFileFormat, UnknownResource
from hounsfield.http.messages import Request, body_bytes
from hounsfield.index.database import Transaction
from hounsfield.index.exports import log_export
from hounsfield.jobs.resources import instances_of, name_resources
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.rest.door import Door
from hounsfield.rest.formats import TagFormat

_PUBLIC_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{8}){4}")
_WRITERS = {TagFormat.FULL: full_names, TagFormat.SHORT: short_names, TagFormat.HUMAN: simple_names}


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The door, and the other servers."""

    door: Door
    network: Network

    def modality(self, name: str) -> Modality:
        """A modality by its name. Raises UnknownName if there is none."""
        return self.network.modalities.get(name)


def json_body(request: Request) -> Any:
    """The body as JSON of any kind.

    Raises
    ------
    BadFileFormat
        If it is none.
    """
    try:
        return orjson.loads(body_bytes(request.body))
    except orjson.JSONDecodeError as cause:
        raise BadFileFormat("The body must contain a JSON document") from cause


def object_body(request: Request, *, may_be_empty: bool = False) -> dict[str, Any]:
    """The body as a JSON object. Errors as of `json_body`."""
    if may_be_empty and not body_bytes(request.body).strip():
        return {}
    body = json_body(request)
    if not isinstance(body, dict):
        raise BadFileFormat("The body must contain a JSON object")
    return body


def text_field(body: Mapping[str, Any], name: str) -> str | None:
    """An optional text of a body; an empty one counts as none."""
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise BadFileFormat(f"String value expected in field: {name}")
    return value or None


def timeout_field(body: Mapping[str, Any]) -> float | None:
    """The time-out of a body in seconds, None if it has none; 0 is for ever."""
    value = body.get("Timeout")
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise BadFileFormat("Unsigned integer expected in field: Timeout")
    return float(value)


def keys_field(value: object) -> dict[Tag, KeyValue]:
    """The keys of a query in a body.

    Raises
    ------
    BadFileFormat
        If they are no object, or hold an unknown tag or what is no text.
    """
    if not isinstance(value, dict):
        raise BadFileFormat("The tags of a query must be a JSON object")
    try:
        return keys_of_names(value)
    except BadRequest as error:
        raise BadFileFormat(f"Cannot read the tags of a query: {error}") from error


def write_keys(keys: Keys, tag_format: TagFormat) -> dict[str, object]:
    """A small data set in a format."""
    return _WRITERS[tag_format](keys)


def resources_of(request: Request) -> tuple[list[str], dict[str, Any]]:
    """The public ids in a body, and the body: a text with an id, an array of ids, or an object with Resources.

    Raises
    ------
    BadFileFormat
        If it is none of them, or holds what is no public id.
    """
    raw = body_bytes(request.body)
    text = raw.decode("utf-8", "replace").strip()
    if _PUBLIC_ID.fullmatch(text):
        return [text], {}
    body = json_body(request)
    if isinstance(body, str):
        body = [body]
    if isinstance(body, list):
        return public_ids_of(body), {}
    if not isinstance(body, dict) or not isinstance(body.get("Resources"), (list, str)):
        raise BadFileFormat("Field Resources must be an array of ids")
    resources = body["Resources"]
    return public_ids_of([resources] if isinstance(resources, str) else resources), body


def public_ids_of(values: Iterable[object]) -> list[str]:
    """Public ids. Errors as of `resources_of`."""
    found = []
    for value in values:
        if not isinstance(value, str) or not _PUBLIC_ID.fullmatch(value):
            raise BadFileFormat(f"This string is not a valid Orthanc identifier: {value}")
        found.append(value)
    return found


def instances_to_send(neighbours: Neighbours, resources: Sequence[dict[str, str]]) -> list[PublicId]:
    """The instances of resources, as they are now."""
    with neighbours.network.archive.database.read() as tx:
        return instances_of(tx, resources)


def named_resources(
    neighbours: Neighbours, public_ids: Sequence[str], remote_name: str
) -> list[dict[str, str]]:
    """The resources to be sent to somebody, which is logged if that is wanted.

    Raises
    ------
    UnknownResource
        If one does not exist.
    """
    database = neighbours.network.archive.database
    try:
        with database.read() as tx:
            named = name_resources(tx, public_ids)
    except NotFound as error:
        raise UnknownResource(str(error)) from error
    if neighbours.network.options.logs_exports:
        date = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
        levels = {level.word: level for level in Level}
        wanted = [(levels[each["Type"]], each["ID"]) for each in named]

        def log(tx: Transaction) -> None:
            for level, public_id in wanted:
                log_export(tx, level, public_id, remote_name, date)

        database.write(log)
    return named
