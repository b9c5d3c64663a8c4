"""The entries of the modality worklist."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hounsfield.dicom.dictionary.lookup import UnknownTag
from hounsfield.dicom.keys import Keys, KeyValue, keys_of_names, text_of
from hounsfield.dicom.tags import SPECIFIC_CHARACTER_SET, STUDY_INSTANCE_UID, Tag
from hounsfield.dicom.uids import new_uid
from hounsfield.errors import BadRequest, NotFound
from hounsfield.http.errors import BadFileFormat, ParameterOutOfRange, UnknownResource
from hounsfield.http.messages import EMPTY_OBJECT, Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.rest.formats import TagFormat
from hounsfield.rest.job_options import boolean_field
from hounsfield.rest.neighbours import json_body, write_keys
from hounsfield.worklist.entries import Entry, Worklist, new_id
from hounsfield.worklist.matching import SCHEDULED_STEPS

_MODALITY: Tag = 0x00080060
_START_DATE: Tag = 0x00400002
_FORMATS = {"Simplify": TagFormat.HUMAN, "Short": TagFormat.SHORT, "Full": TagFormat.FULL}


@dataclass(frozen=True, slots=True)
class Desk:
    """The worklist, and whether entries get a Study Instance UID if they have none."""

    worklist: Worklist
    sets_study_uid: bool = True


def routes(desk: Desk) -> list[Route]:
    """The routes of the worklist."""
    return [
        Route("GET", "/worklists", partial(list_worklists, desk)),
        Route("POST", "/worklists/create", partial(create_worklist, desk)),
        Route("GET", "/worklists/{id}", partial(get_worklist, desk)),
        Route("PUT", "/worklists/{id}", partial(put_worklist, desk)),
        Route("DELETE", "/worklists/{id}", partial(delete_worklist, desk)),
    ]


def list_worklists(desk: Desk, request: Request) -> Response:
    """All entries of the modality worklist."""
    tag_format = _format(request)
    written = []
    for entry in desk.worklist.entries():
        shown = _write(entry, tag_format)
        if entry.created is not None:
            shown["CreationDate"] = entry.created
        written.append(shown)
    return answer_json(written)


def get_worklist(desk: Desk, request: Request) -> Response:
    """An entry of the modality worklist."""
    tag_format = _format(request)
    try:
        entry = desk.worklist.get(request.values["id"])
    except NotFound as error:
        raise UnknownResource("Worklist not found") from error
    return answer_json(_write(entry, tag_format))


def _write(entry: Entry, tag_format: TagFormat) -> dict[str, Any]:
    return {"ID": entry.id, "Tags": write_keys(entry.keys, tag_format)}


def _format(request: Request) -> TagFormat:
    name = request.arguments.get("format", "Simplify")
    if name not in _FORMATS:
        raise ParameterOutOfRange(f"Unknown format: {name}")
    return _FORMATS[name]


def create_worklist(desk: Desk, request: Request) -> Response:
    """Add an entry to the modality worklist, from its `Tags`."""
    return _put(desk, request, new_id(), is_forced=False)


def put_worklist(desk: Desk, request: Request) -> Response:
    """Replace an entry of the modality worklist, or add it."""
    return _put(desk, request, request.values["id"], is_forced=True)


def _put(desk: Desk, request: Request, entry_id: str, *, is_forced: bool) -> Response:
    body = json_body(request)
    if not isinstance(body, dict):
        raise BadFileFormat("A JSON payload was expected")
    tags = body.get("Tags")
    if not isinstance(tags, dict):
        raise BadFileFormat("'Tags' field is missing or not a JSON object")
    try:
        keys = keys_of_names(tags)
    except UnknownTag as error:
        raise BadRequest(f"Unknown DICOM tag: {error}") from error
    if not boolean_field(body, "Force", is_forced):
        _check(keys)
    desk.worklist.put(entry_id, _complete(desk, keys), datetime.now(UTC).strftime("%Y%m%dT%H%M%S"))
    return answer_json({"ID": entry_id, "Path": f"/worklists/{entry_id}"})


def _check(keys: Keys) -> None:
    """What every modality needs to know must be there."""
    steps = keys.get(SCHEDULED_STEPS)
    hint = "Use 'Force': true to bypass this check."
    if not steps or isinstance(steps, str):
        raise BadFileFormat(f"'Tags' is missing a 'ScheduledProcedureStepSequence'. {hint}")
    for tag, name in ((_MODALITY, "Modality"), (_START_DATE, "ScheduledProcedureStepStartDate")):
        if not text_of(steps[0], tag):
            raise BadFileFormat(f"'ScheduledProcedureStepSequence' is missing a '{name}'. {hint}")


def _complete(desk: Desk, keys: dict[Tag, KeyValue]) -> dict[Tag, KeyValue]:
    completed = {SPECIFIC_CHARACTER_SET: "ISO_IR 192", **keys}
    if desk.sets_study_uid and not completed.get(STUDY_INSTANCE_UID):
        completed[STUDY_INSTANCE_UID] = new_uid()
    return completed


def delete_worklist(desk: Desk, request: Request) -> Response:
    """Take an entry from the modality worklist."""
    try:
        desk.worklist.delete(request.values["id"])
    except NotFound as error:
        raise UnknownResource("Worklist not found") from error
    return EMPTY_OBJECT
