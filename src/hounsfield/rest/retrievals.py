"""Answering with a job that fetches from a modality."""

from typing import Any

import orjson

from hounsfield.errors import NotFound
from hounsfield.http.messages import Response, answer_json
from hounsfield.http.status import Retold
from hounsfield.rest.door import Door
from hounsfield.rest.job_options import answer_submitted, read_job_options, submit_job, wait_for_success


def answer_retrieval(door: Door, kind: str, parameters: dict[str, object], body: dict[str, Any]) -> Response:
    """As `answer_job`; if the job fails, its details are told beside the error.

    Raises
    ------
    Retold
        The error of the job.
    """
    options = read_job_options(body)
    job_id = submit_job(door, kind, parameters, options)
    if not options.is_synchronous:
        return answer_submitted(job_id)
    try:
        return answer_json(orjson.loads(wait_for_success(door, job_id).content))
    except Retold as error:
        raise _with_details(door, job_id, error) from error


def _with_details(door: Door, job_id: str, error: Retold) -> Retold:
    try:
        content = orjson.loads(door.engine.get(job_id).content)
    except NotFound:
        return error
    payload = {"Type": "RetrieveJob", "Content": content.get("Details", [])}
    return Retold(str(error), error.status.code, error.status.text, payload)
