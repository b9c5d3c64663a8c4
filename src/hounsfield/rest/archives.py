"""Downloading resources as a ZIP archive: in folders, or as a medium with a DICOMDIR.

By default the archive is sent while it is made; the job that makes it is then as much at work as its reader.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import orjson

from hounsfield.dicom.levels import Level
from hounsfield.dicom.uids import TRANSFER_SYNTAXES
from hounsfield.errors import BadRequest, NotFound
from hounsfield.http.errors import BadFileFormat, InexistentItem, ParameterOutOfRange, UnknownResource
from hounsfield.http.messages import FileBody, Request, Response, answer_bytes, body_bytes, unsigned
from hounsfield.http.routing import Route
from hounsfield.index.resources import find_level, get_row
from hounsfield.jobs.archives import OUTPUT, ArchiveRequest, make_archive
from hounsfield.rest.door import Door
from hounsfield.rest.job_options import (
    DESCRIPTION,
    JobOptions,
    answer_submitted,
    boolean_field,
    read_job_options,
    submit_job,
    wait_for_success,
)

_DEFAULT_FILENAME = "Archive.zip"
_QUALITIES = range(1, 101)


@dataclass(frozen=True, slots=True)
class _Layout:
    """What an address makes of resources."""

    is_media: bool = False
    is_extended: bool = False


def routes(door: Door) -> list[Route]:
    """The archive and the medium of each level that has instances below it, and of any resources."""
    found = []
    for level in (Level.PATIENT, Level.STUDY, Level.SERIES):
        for name, layout in (("archive", _Layout()), ("media", _Layout(is_media=True))):
            path = f"/{level.plural}/{{id}}/{name}"
            found += [
                Route("GET", path, partial(get_archive, door, level, layout)),
                Route("POST", path, partial(post_archive, door, level, layout)),
            ]
    for name, layout in (
        ("archive", _Layout()),
        ("media", _Layout(is_media=True)),
        ("media-extended", _Layout(is_media=True, is_extended=True)),
    ):
        found += [
            Route("GET", f"/tools/create-{name}", partial(get_archive_of_many, door, layout)),
            Route("POST", f"/tools/create-{name}", partial(post_archive_of_many, door, layout)),
        ]
    return found


def get_archive(door: Door, level: Level, layout: _Layout, request: Request) -> Response:
    """All files below a resource, in a ZIP archive: in folders, or as a medium."""
    wanted = _of_arguments(request, layout, f"{request.values['id']}.zip")
    return _answer(door, replace(wanted, resources=_one(door, level, request)), _AT_ONCE)


def get_archive_of_many(door: Door, layout: _Layout, request: Request) -> Response:
    """All files below some resources, in a ZIP archive: in folders, or as a medium."""
    if "resources" not in request.arguments:
        raise BadRequest("Missing argument: resources")
    wanted = _of_arguments(request, layout, _DEFAULT_FILENAME)
    names = [name for name in request.arguments["resources"].split(",") if name]
    return _answer(door, replace(wanted, resources=_many(door, names)), _AT_ONCE)


def post_archive(door: Door, level: Level, layout: _Layout, request: Request) -> Response:
    """All files below a resource, in a ZIP archive or in a job that makes one."""
    body = _json(request)
    options = body if isinstance(body, dict) else {}
    wanted = _of_body(door, options, layout, f"{request.values['id']}.zip")
    resources = _one(door, level, request)
    return _answer(door, replace(wanted, resources=resources), read_job_options(options))


def post_archive_of_many(door: Door, layout: _Layout, request: Request) -> Response:
    """All files below some resources, in a ZIP archive or in a job that makes one."""
    body = _json(request, "Expected a list of resources to archive in the body")
    options = body if isinstance(body, dict) else {}
    if isinstance(body, dict) and "Resources" not in body:
        raise BadFileFormat("Missing field Resources in the JSON body")
    names = body["Resources"] if isinstance(body, dict) else body
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadFileFormat("Expected a list of strings (Orthanc identifiers)")
    wanted = _of_body(door, options, layout, _DEFAULT_FILENAME)
    return _answer(door, replace(wanted, resources=_many(door, names)), read_job_options(options))


_AT_ONCE = JobOptions(is_synchronous=True, priority=0, is_permissive=False, user_data=None)


def _answer(door: Door, wanted: ArchiveRequest, options: JobOptions) -> Response:
    """The archive, or where to find the job that makes it."""
    if options.is_synchronous and door.options.is_zip_streamed:
        pieces = door.engine.stream(
            wanted.kind,
            wanted.parameters(),
            partial(make_archive, door.archives, wanted),
            priority=options.priority,
            user_data=options.user_data,
            description=DESCRIPTION,
        )
        return answer_bytes(pieces, "application/zip", filename=wanted.filename)
    job_id = submit_job(door, wanted.kind, wanted.parameters(), options)
    if not options.is_synchronous:
        return answer_submitted(job_id)
    wait_for_success(door, job_id)
    output = door.engine.output(job_id, OUTPUT)
    body = FileBody(output.path, 0, output.size)
    return answer_bytes(body, output.mime_type, filename=output.filename)


def _of_arguments(request: Request, layout: _Layout, filename: str) -> ArchiveRequest:
    """What the arguments of a GET ask for, which never has names in UTF-8."""
    arguments = request.arguments
    quality = unsigned(arguments["lossy-quality"]) if "lossy-quality" in arguments else None
    return ArchiveRequest(
        (),
        _filename(arguments.get("filename", filename)),
        layout.is_media,
        layout.is_extended or (layout.is_media and request.has("extended")),
        False,
        _transfer_syntax(arguments.get("transcode", "")),
        _quality(quality),
    )


def _of_body(door: Door, body: Mapping[str, Any], layout: _Layout, filename: str) -> ArchiveRequest:
    quality = body.get("LossyQuality")
    if "LossyQuality" in body and (not isinstance(quality, int) or isinstance(quality, bool)):
        raise BadFileFormat("Integer value expected in field: LossyQuality")
    return ArchiveRequest(
        (),
        _filename(_text(body, "Filename", filename)),
        layout.is_media,
        layout.is_extended or boolean_field(body, "Extended", False),
        boolean_field(body, "Utf8", door.options.is_zip_utf8),
        _transfer_syntax(_text(body, "Transcode", "")),
        _quality(quality),
    )


def _json(request: Request, problem: str = "The body must contain a JSON object") -> Any:
    try:
        return orjson.loads(body_bytes(request.body))
    except orjson.JSONDecodeError as cause:
        raise BadFileFormat(problem) from cause


def _text(body: Mapping[str, Any], name: str, default: str) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadFileFormat(f"String value expected in field: {name}")
    return value


def _filename(name: str) -> str:
    return name.replace('"', "")


def _transfer_syntax(uid: str) -> str:
    if uid and uid not in TRANSFER_SYNTAXES:
        raise ParameterOutOfRange(f"Unknown transfer syntax: {uid}")
    return uid


def _quality(quality: int | None) -> int | None:
    if quality is not None and quality not in _QUALITIES:
        raise ParameterOutOfRange("The lossy quality must be between 1 and 100")
    return quality


def _one(door: Door, level: Level, request: Request) -> tuple[tuple[Level, str], ...]:
    public_id = request.values["id"]
    try:
        with door.archive.database.read() as tx:
            get_row(tx, level, public_id)
    except NotFound as error:
        raise InexistentItem(f"Missing resource while creating an archive: {public_id}") from error
    return ((level, public_id),)


def _many(door: Door, names: Iterable[str]) -> tuple[tuple[Level, str], ...]:
    found = []
    with door.archive.database.read() as tx:
        for name in names:
            level = find_level(tx, name)
            if level is None:
                raise UnknownResource
            found.append((level, name))
    return tuple(found)
