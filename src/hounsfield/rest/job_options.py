"""Answering with a job: submitted and waited for, or only submitted, as the body asks."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from hounsfield.errors import NotFound
from hounsfield.http.errors import BadFileFormat, InexistentItem
from hounsfield.http.messages import Response, answer_json
from hounsfield.http.status import Retold
from hounsfield.index.jobs import JobRow, JobState
from hounsfield.rest.door import Door

DESCRIPTION = "REST API"


@dataclass(frozen=True, slots=True)
class JobOptions:
    """How a client wants its job to be run."""

    is_synchronous: bool
    priority: int
    is_permissive: bool
    user_data: object


def read_job_options(
    request_json: Mapping[str, Any], *, is_synchronous_by_default: bool = True
) -> JobOptions:
    """The options in a body.

    Raises
    ------
    BadFileFormat
        If one has the wrong type.
    """
    is_synchronous = is_synchronous_by_default
    if "Synchronous" in request_json:
        is_synchronous = boolean_field(request_json, "Synchronous", False)
    elif "Asynchronous" in request_json:
        is_synchronous = not boolean_field(request_json, "Asynchronous", False)
    priority = request_json.get("Priority", 0)
    if not isinstance(priority, int) or isinstance(priority, bool) or abs(priority) >= 1 << 31:
        raise BadFileFormat("Integer value expected in field: Priority")
    return JobOptions(
        is_synchronous,
        priority,
        boolean_field(request_json, "Permissive", False),
        request_json.get("UserData"),
    )


def boolean_field(request_json: Mapping[str, Any], name: str, default: bool) -> bool:
    """A Boolean member of a body.

    Raises
    ------
    BadFileFormat
        If it is anything else.
    """
    value = request_json.get(name, default)
    if not isinstance(value, bool):
        raise BadFileFormat(f"Boolean value expected in field: {name}")
    return value


def answer_job(
    door: Door,
    kind_name: str,
    parameters: dict[str, object],
    request_json: Mapping[str, Any],
    is_synchronous_by_default: bool = True,
) -> Response:
    """Submit a job; answer its content once it has succeeded or, if the body asks for that, where to find it.

    Raises
    ------
    Retold
        If the job was waited for and failed: its own error.
    """
    options = read_job_options(request_json, is_synchronous_by_default=is_synchronous_by_default)
    job_id = submit_job(door, kind_name, parameters, options)
    if not options.is_synchronous:
        return answer_submitted(job_id)
    return answer_json(orjson.loads(wait_for_success(door, job_id).content))


def submit_job(door: Door, kind_name: str, parameters: dict[str, object], options: JobOptions) -> str:
    """Submit a job as its options say; its id. One that somebody waits for need not survive a power cut."""
    return door.engine.submit(
        kind_name,
        parameters,
        priority=options.priority,
        is_permissive=options.is_permissive,
        user_data=options.user_data,
        description=DESCRIPTION,
        is_durable=not options.is_synchronous,
    )


def answer_submitted(job_id: str) -> Response:
    """Where to find a job."""
    return answer_json({"ID": job_id, "Path": f"/jobs/{job_id}"})


def wait_for_success(door: Door, job_id: str) -> JobRow:
    """Wait until a job has succeeded.

    Raises
    ------
    InexistentItem
        If no finished job is remembered.
    Retold
        If it failed: its own error.
    """
    try:
        job = door.engine.wait(job_id)
    except NotFound as cause:
        raise InexistentItem(
            'Cannot retrieve the status of the job, make sure that "JobsHistorySize" is not 0'
        ) from cause
    if job.state is JobState.FAILURE:
        payload = None if job.error_payload is None else orjson.loads(job.error_payload)
        raise Retold(job.error_details, job.error_code, job.error_text, payload)
    return job
