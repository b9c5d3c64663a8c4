"""Modification and anonymization of resources of every level, one at a time or many."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import orjson

from hounsfield.deid.apply import PATIENT_NAME, Plan, apply
from hounsfield.deid.request import Request as Wish
from hounsfield.deid.request import read_anonymization, read_modification
from hounsfield.deid.uid_map import UidMap, new_key
from hounsfield.dicom.identifiers import identify
from hounsfield.dicom.levels import Level
from hounsfield.dicom.rewriting import ChangedFile, read_for_change, write_changed
from hounsfield.dicom.uids import TRANSFER_SYNTAXES
from hounsfield.errors import BadRequest, NotFound
from hounsfield.http.errors import BadFileFormat, ParameterOutOfRange, ReadOnly
from hounsfield.http.messages import Request, Response, answer_bytes, body_bytes
from hounsfield.http.routing import Route
from hounsfield.imaging.transcode import transcode
from hounsfield.index.database import Transaction
from hounsfield.index.properties import next_anonymization
from hounsfield.index.resources import find_level
from hounsfield.ingest.intake import Overwrite
from hounsfield.jobs import modify
from hounsfield.jobs.modify import Task, instances_of, is_in_place, labels_around
from hounsfield.jobs.patient_consistency import check_patient
from hounsfield.jobs.rewriting import LARGE, read_original
from hounsfield.rest.door import ORTHANC_VERSION, Door
from hounsfield.rest.find import parse_level
from hounsfield.rest.job_options import answer_job, read_job_options

_PRODUCT = f"Orthanc {ORTHANC_VERSION}"
_DICOM = "application/dicom"
_PIECE = 1 << 20


def routes(door: Door) -> list[Route]:
    """The routes of modification and anonymization."""
    found = [
        Route("POST", "/instances/{id}/modify", partial(modify_instance, door)),
        Route("POST", "/instances/{id}/anonymize", partial(anonymize_instance, door)),
        Route("POST", "/tools/bulk-modify", partial(bulk_modify, door)),
        Route("POST", "/tools/bulk-anonymize", partial(bulk_anonymize, door)),
    ]
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        path = f"/{level.plural}/{{id}}"
        found += [
            Route("POST", path + "/modify", partial(modify_resource, door, level)),
            Route("POST", path + "/anonymize", partial(anonymize_resource, door, level)),
        ]
    return found


def strict_object(request: Request) -> dict[str, Any]:
    """The body as a JSON object.

    Raises
    ------
    BadFileFormat
        If it is anything else.
    """
    try:
        value = orjson.loads(body_bytes(request.body))
    except orjson.JSONDecodeError as cause:
        raise BadFileFormat("The body must contain a JSON object") from cause
    if not isinstance(value, dict):
        raise BadFileFormat("The body must contain a JSON object")
    return value


def texts_field(body: Mapping[str, Any], name: str) -> list[str]:
    """A member of a body that is a list of strings.

    Raises
    ------
    BadFileFormat
        If it is anything else.
    """
    found = body.get(name)
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadFileFormat(f"List of strings expected in field: {name}")
    return found


def check_writable(door: Door) -> None:
    """Refuse what a read-only server does not do.

    Raises
    ------
    ReadOnly
        If it is one.
    """
    if door.options.is_read_only:
        raise ReadOnly


# --- One instance, answered and not stored ---


def modify_instance(door: Door, request: Request) -> Response:
    """The file of an instance, modified."""
    wish = read_modification(strict_object(request), Level.INSTANCE, door.options.default_private_creator)
    return _answer_file(door, request.values["id"], Plan(wish, _new_uids()))


def anonymize_instance(door: Door, request: Request) -> Response:
    """The file of an instance, anonymized."""
    wish = read_anonymization(strict_object(request), door.options.default_private_creator)
    check_writable(door)
    return _answer_file(door, request.values["id"], Plan(wish, _new_uids(), _new_name(door, wish), _PRODUCT))


def _answer_file(door: Door, public_id: str, plan: Plan) -> Response:
    wish = plan.request
    if wish.transcode and wish.transcode not in TRANSFER_SYNTAXES:
        raise ParameterOutOfRange(f"Unknown transfer syntax: {wish.transcode[:64]}")

    with read_original(door.archive, public_id) as original:
        head, dataset = read_for_change(original, default_encoding=door.options.default_encoding)
        apply(plan, dataset, identify(head.dataset))
        changed = write_changed(head, dataset)
        if not wish.transcode and len(original) >= LARGE:
            return answer_bytes(_pieces(changed), _DICOM)
        file = changed.to_bytes()
    if wish.transcode:
        quality = wish.lossy_quality or door.options.lossy_quality
        file = transcode(file, wish.transcode, lossy_quality=quality)
    return answer_bytes(file, _DICOM)


def _pieces(changed: ChangedFile) -> Iterator[bytes]:
    """A large file, which lies in views of a mapped one, piece by piece."""
    for part in (changed.start, *changed.rest):
        for start in range(0, len(part), _PIECE):
            yield bytes(part[start : start + _PIECE])


def _new_uids() -> UidMap:
    return UidMap(bytes.fromhex(new_key()))


def _new_name(door: Door, wish: Wish) -> str:
    if PATIENT_NAME in wish.replaced or PATIENT_NAME in wish.kept:
        return ""
    return f"Anonymized{door.archive.database.write(next_anonymization)}"


# --- Jobs ---


def modify_resource(door: Door, level: Level, request: Request) -> Response:
    """A job that makes a modified patient, study or series of one."""
    body = strict_object(request)
    wish = read_modification(body, level, door.options.default_private_creator)
    check_writable(door)
    return _submit(door, request, body, wish, _resources(door, [request.values["id"]]), single_level=level)


def anonymize_resource(door: Door, level: Level, request: Request) -> Response:
    """A job that makes an anonymized patient, study or series of one."""
    body = strict_object(request)
    wish = read_anonymization(body, door.options.default_private_creator)
    check_writable(door)
    return _submit(door, request, body, wish, _resources(door, [request.values["id"]]), single_level=level)


def bulk_modify(door: Door, request: Request) -> Response:
    """A job that makes modified resources of many, of any levels."""
    body = strict_object(request)
    level = body.get("Level", Level.INSTANCE.word)
    if not isinstance(level, str):
        raise BadFileFormat("String value expected in field: Level")
    check_writable(door)
    resources = _resources(door, texts_field(body, "Resources"))
    wish = read_modification(body, parse_level(level), door.options.default_private_creator)
    return _submit(door, request, body, wish, resources)


def bulk_anonymize(door: Door, request: Request) -> Response:
    """A job that makes anonymized resources of many, of any levels."""
    body = strict_object(request)
    check_writable(door)
    resources = _resources(door, texts_field(body, "Resources"))
    wish = read_anonymization(body, door.options.default_private_creator)
    return _submit(door, request, body, wish, resources)


def _resources(door: Door, names: Sequence[str]) -> list[tuple[Level, str]]:
    """Resources with their levels, which need not be that of the address, as in Orthanc."""
    with door.archive.database.read() as tx:
        return [(_level_of(tx, name), name) for name in names]


def _level_of(tx: Transaction, public_id: str) -> Level:
    level = find_level(tx, public_id)
    if level is None:
        raise ParameterOutOfRange(f"Unknown resource: {public_id[:64]}")
    return level


def _submit(
    door: Door,
    request: Request,
    body: dict[str, Any],
    wish: Wish,
    resources: Sequence[tuple[Level, str]],
    single_level: Level | None = None,
) -> Response:
    read_job_options(body)
    if wish.transcode and wish.transcode not in TRANSFER_SYNTAXES:
        raise BadFileFormat(f"Unknown transfer syntax: {wish.transcode[:64]}")
    _check_in_place(door, wish)
    with door.archive.database.read() as tx:
        try:
            instances = instances_of(tx, resources)
        except NotFound as cause:
            raise ParameterOutOfRange("Unknown resource") from cause
        if door.options.is_patient_level_enabled and wish.level == Level.STUDY:
            studies = [public_id for each, public_id in resources if each == Level.STUDY]
            check_patient(tx, wish, door.main_tags, studies)
        labels = labels_around(tx, resources) if wish.keeps_labels or is_in_place(wish) else {}
    task = Task(
        body=body,
        level=wish.level,
        is_anonymization=wish.is_anonymization,
        single_level=single_level,
        resources=resources,
        instances=instances,
        labels=labels,
        key=new_key(),
        patient_name=_new_name(door, wish) if wish.is_anonymization else "",
        method=_PRODUCT,
        private_creator=door.options.default_private_creator,
        remote_ip=request.remote_ip,
        http_username=request.username,
    )
    return answer_job(door, modify.KIND, task.to_json(), body)


def _check_in_place(door: Door, wish: Wish) -> None:
    """Instances that are to be replaced must not be deleted afterwards, and must be allowed to be replaced."""
    if not is_in_place(wish):
        return
    if not wish.keeps_source and wish.level <= Level.STUDY:
        raise BadRequest(
            "When keeping StudyInstanceUID, SeriesInstanceUID and SOPInstanceUID, KeepSource must be true: the modified"
            " instances would be deleted"
        )
    if door.intake.options.overwrite is Overwrite.NEVER:
        raise BadRequest('When keeping all identifiers, the option "OverwriteInstances" must not be "Never"')
