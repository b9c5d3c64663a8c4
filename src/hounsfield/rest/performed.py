"""The performed procedure steps that modalities told of."""

from functools import partial
from typing import Any

from hounsfield.errors import NotFound
from hounsfield.http.errors import UnknownResource
from hounsfield.http.messages import EMPTY_OBJECT, Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.index.database import Database
from hounsfield.rest.formats import TagFormat, format_of
from hounsfield.rest.neighbours import write_keys
from hounsfield.worklist.performed import PerformedStep, PerformedSteps, missing_instances


def routes(database: Database, steps: PerformedSteps) -> list[Route]:
    """The routes of performed procedure steps."""
    return [
        Route("GET", "/mpps", partial(list_steps, database, steps)),
        Route("GET", "/mpps/{uid}", partial(get_step, database, steps)),
        Route("DELETE", "/mpps/{uid}", partial(delete_step, steps)),
    ]


def list_steps(database: Database, steps: PerformedSteps, request: Request) -> Response:
    """The UIDs of all performed procedure steps, or the steps."""
    if not request.flag("expand"):
        return answer_json([step.uid for step in steps.all()])
    tag_format = format_of(request, TagFormat.HUMAN)
    return answer_json([_write(database, step, tag_format) for step in steps.all()])


def get_step(database: Database, steps: PerformedSteps, request: Request) -> Response:
    """A performed procedure step, and which of its instances have not arrived."""
    try:
        step = steps.get(request.values["uid"])
    except NotFound as error:
        raise UnknownResource(str(error)) from error
    return answer_json(_write(database, step, format_of(request, TagFormat.HUMAN)))


def _write(database: Database, step: PerformedStep, tag_format: TagFormat) -> dict[str, Any]:
    count, missing = missing_instances(database, step)
    return {
        "ID": step.uid,
        "Status": step.status,
        "RemoteAET": step.remote_aet,
        "CreationDate": step.created,
        "LastUpdate": step.changed,
        "InstancesCount": count,
        "MissingInstances": missing,
        "Tags": write_keys(step.keys, tag_format),
    }


def delete_step(steps: PerformedSteps, request: Request) -> Response:
    """Forget a performed procedure step."""
    try:
        steps.delete(request.values["uid"])
    except NotFound as error:
        raise UnknownResource(str(error)) from error
    return EMPTY_OBJECT
