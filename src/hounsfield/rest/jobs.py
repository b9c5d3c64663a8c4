"""Jobs: their list, what each is doing, and what may be asked of one."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import orjson

from hounsfield.errors import NotFound
from hounsfield.http.errors import BadSequenceOfCalls, InexistentItem, NoAnswer
from hounsfield.http.messages import (
    EMPTY_OBJECT,
    EMPTY_TEXT,
    FileBody,
    Request,
    Response,
    answer_bytes,
    answer_json,
)
from hounsfield.http.ranges import content_range, parse_range
from hounsfield.http.routing import Route
from hounsfield.index.jobs import JobRow, JobState
from hounsfield.jobs.control import NotResubmittable
from hounsfield.jobs.engine import Engine
from hounsfield.rest.door import Door

_OPERATIONS: dict[str, Callable[[Engine, str], bool]] = {
    "cancel": Engine.cancel,
    "pause": Engine.pause,
    "resume": Engine.resume,
    "resubmit": Engine.resubmit,
}


def routes(door: Door) -> list[Route]:
    """The routes of jobs.

    Requests that wait for jobs may take all threads: what lets them go on is urgent.
    """
    return [
        Route("GET", "/jobs", partial(list_jobs, door), is_inline=True, is_urgent=True),
        Route("GET", "/jobs/{id}", partial(get_job, door), is_inline=True, is_urgent=True),
        Route("DELETE", "/jobs/{id}", partial(delete_job, door)),
        *(
            Route("POST", f"/jobs/{{id}}/{name}", partial(change_job, door, name), is_urgent=True)
            for name in _OPERATIONS
        ),
        Route("GET", "/jobs/{id}/{key}", partial(get_output, door)),
        Route("DELETE", "/jobs/{id}/{key}", partial(delete_output, door)),
    ]


def list_jobs(door: Door, request: Request) -> Response:
    """The ids of all jobs, or their objects."""
    if request.flag("expand"):
        return answer_json([describe_job(job) for job in door.engine.list()])
    return answer_json(door.engine.ids())


def get_job(door: Door, request: Request) -> Response:
    """What a job is, and how far it came."""
    try:
        return answer_json(describe_job(door.engine.get(request.values["id"])))
    except NotFound as cause:
        raise NoAnswer from cause


def delete_job(door: Door, request: Request) -> Response:
    """Forget a job that has ended, and what it made."""
    try:
        door.engine.delete(request.values["id"])
    except NotFound as cause:
        raise InexistentItem(str(cause)) from cause
    return EMPTY_TEXT


def change_job(door: Door, operation: str, request: Request) -> Response:
    """Cancel, pause, resume or resubmit a job; nothing, if that makes no sense now."""
    try:
        if not _OPERATIONS[operation](door.engine, request.values["id"]):
            raise NoAnswer
    except NotResubmittable as cause:
        raise BadSequenceOfCalls("Cannot resubmit the creation of an archive") from cause
    return EMPTY_OBJECT


def get_output(door: Door, request: Request) -> Response:
    """A file that a job made, or a part of it."""
    job_id, name = request.values["id"], request.values["key"]
    try:
        output = door.engine.output(job_id, name)
    except NotFound as cause:
        raise InexistentItem(str(cause)) from cause
    headers = ((b"accept-ranges", b"bytes"), (b"etag", f'"{job_id}"'.encode()))
    total = output.size
    span = request.headers.get("range")
    if span is None or request.headers.get("if-range", f'"{job_id}"') != f'"{job_id}"':
        body = FileBody(output.path, 0, total)
        return answer_bytes(body, output.mime_type, filename=output.filename, headers=headers)
    start, length = parse_range(span, total)
    answer = answer_bytes(
        FileBody(output.path, start, length),
        output.mime_type,
        filename=output.filename,
        headers=(*headers, content_range(start, length, total)),
    )
    return Response(206, answer.headers, answer.body)


def delete_output(door: Door, request: Request) -> Response:
    """Delete a file that a job made."""
    try:
        door.engine.delete_output(request.values["id"], request.values["key"])
    except NotFound as cause:
        raise InexistentItem(str(cause)) from cause
    return EMPTY_TEXT


def describe_job(job: JobRow) -> dict[str, Any]:
    """A job as clients see it."""
    now = datetime.now(UTC)
    told: dict[str, Any] = {
        "ID": job.id,
        "Type": job.kind,
        "State": job.state.value,
        "Priority": job.priority,
        "Progress": job.progress_ppm // 10_000,
        "CreationTime": _date(_moment(job.created_ns)),
        "Timestamp": _date(now),
        "EffectiveRuntime": job.runtime_ns // 1_000_000 / 1000,
        "ErrorCode": job.error_code,
        "ErrorDescription": job.error_text,
        "ErrorDetails": job.error_details,
        "Content": orjson.loads(job.content),
    }
    if job.completed_ns:
        told["CompletionTime"] = _date(_moment(job.completed_ns))
    if job.state is JobState.RUNNING and job.progress_ppm:
        left = job.runtime_ns * (1_000_000 - job.progress_ppm) // job.progress_ppm // 1000
        told["EstimatedTimeOfArrival"] = _date(now + timedelta(microseconds=left))
    if job.user_data is not None:
        told["UserData"] = orjson.loads(job.user_data)
    if job.error_payload is not None:
        told["ErrorPayload"] = orjson.loads(job.error_payload)
    return told


def _moment(time_ns: int) -> datetime:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC) + timedelta(
        microseconds=time_ns % 1_000_000_000 // 1000
    )


def _date(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S.%f")
