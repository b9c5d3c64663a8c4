"""C-FIND of the modality worklist. PS3.4 Annex K."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from hounsfield.dicom.charset import ENCODINGS, CharacterSet
from hounsfield.dicom.keys import Keys, KeyValue, write_keys
from hounsfield.dicom.tags import SPECIFIC_CHARACTER_SET, Tag
from hounsfield.errors import BadRequest
from hounsfield.hooks import FindFilter
from hounsfield.net.dimse import CommandField, Status
from hounsfield.net.messages import Burst, Operation, Request, Response, Responses, Service
from hounsfield.scp.query import query_status, request_keys
from hounsfield.scp.verification import PREFERRED_TRANSFER_SYNTAXES
from hounsfield.worklist.entries import Worklist
from hounsfield.worklist.matching import answer, check, matches, restrict_to_station, start_of

WORKLIST_FIND = "1.2.840.10008.5.1.4.31"
_log = logging.getLogger("hounsfield.dicom")
_MOST_IN_A_BURST = 50


@dataclass(frozen=True, slots=True)
class WorklistOptions:
    """What the configuration says of worklist queries; 0 answers for no limit."""

    default_encoding: str = "Latin1"
    is_name_case_sensitive: bool = False
    filters_by_station: bool = False
    maximum_answers: int = 0
    logs_ids: bool = False


def worklist_service(worklist: Worklist, options: WorklistOptions, filters: Sequence[FindFilter]) -> Service:
    """The service for the Modality Worklist Information Model."""
    return Service(
        {CommandField.C_FIND_RQ: Operation.FIND_WORKLIST},
        partial(respond, worklist, options, filters),
        PREFERRED_TRANSFER_SYNTAXES.__contains__,
        PREFERRED_TRANSFER_SYNTAXES,
        status_of=query_status,
    )


def respond(
    worklist: Worklist, options: WorklistOptions, filters: Sequence[FindFilter], request: Request
) -> Responses:
    """Answer a query: a pending response for each entry that matches, by its date and time, then a success.

    Raises
    ------
    BadRequest
        If a sequence of the query has several items.
    """
    keys: Keys = request_keys(request, options.default_encoding)
    caller = request.agreement.caller
    for rewrite in filters:
        keys = rewrite(keys, caller)
    if options.filters_by_station:
        keys = restrict_to_station(keys, caller.calling_ae_title)
    keys = {tag: value for tag, value in keys.items() if tag >> 16 >= 0x0008 and tag & 0xFFFF}
    check(keys)
    strict = options.is_name_case_sensitive
    found = [
        entry for entry in worklist.entries() if matches(entry.keys, keys, is_name_case_sensitive=strict)
    ]
    found.sort(key=lambda entry: (*start_of(entry.keys), entry.id))
    if options.logs_ids:
        _log.info("Matched worklists: %s", ", ".join(entry.id for entry in found))
    given = found[: options.maximum_answers] if options.maximum_answers else found
    for start in range(0, len(given), _MOST_IN_A_BURST):
        yield Burst(
            [
                _write(answer(entry.keys, keys, is_name_case_sensitive=strict), options, request)
                for entry in given[start : start + _MOST_IN_A_BURST]
            ]
        )
    yield Response(Status.SUCCESS if len(given) == len(found) else Status.CANCEL)


def _write(found: dict[Tag, KeyValue], options: WorklistOptions, request: Request) -> bytes:
    """An answer in the character set of the configuration; characters that it lacks are dropped."""
    character_set = CharacterSet.of_answers(options.default_encoding)
    told = {**found, SPECIFIC_CHARACTER_SET: ENCODINGS.get(options.default_encoding, "")}
    syntax = request.context.transfer_syntax
    try:
        return write_keys(told, syntax, character_set)
    except BadRequest:  # A file may hold numbers that are none: what cannot be written is left out.
        return write_keys(_writable(told, syntax), syntax, character_set)


def _writable(keys: Keys, transfer_syntax_uid: str) -> dict[Tag, KeyValue]:
    kept: dict[Tag, KeyValue] = {}
    for tag, value in keys.items():
        if not isinstance(value, str):
            kept[tag] = [_writable(item, transfer_syntax_uid) for item in value]
            continue
        try:
            write_keys({tag: value}, transfer_syntax_uid)
        except BadRequest:
            continue
        kept[tag] = value
    return kept
