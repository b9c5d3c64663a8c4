"""Labels of resources of any level."""

import re
from functools import partial

from hounsfield.dicom.levels import Level
from hounsfield.http.errors import NoAnswer, ParameterOutOfRange
from hounsfield.http.messages import EMPTY_TEXT, Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.index.labels import add_label, labels_of, list_labels, remove_label
from hounsfield.index.resources import get_row
from hounsfield.rest.door import Door

_LABEL = re.compile(r"[A-Za-z0-9_-]{1,64}")


def routes(door: Door) -> list[Route]:
    """The routes of labels."""
    found = [Route("GET", "/tools/labels", partial(get_all_labels, door))]
    for level in Level:
        path = f"/{level.plural}/{{id}}/labels"
        found += [
            Route("GET", path, partial(get_labels, door, level), is_inline=True),
            Route("GET", path + "/{label}", partial(get_label, door, level), is_inline=True),
            Route("PUT", path + "/{label}", partial(put_label, door, level)),
            Route("DELETE", path + "/{label}", partial(delete_label, door, level)),
        ]
    return found


def get_all_labels(door: Door, _request: Request) -> Response:
    """All labels in use."""
    with door.archive.database.read() as tx:
        return answer_json(list_labels(tx))


def _labels(door: Door, level: Level, request: Request) -> list[str]:
    with door.archive.database.read() as tx:
        return labels_of(tx, level, get_row(tx, level, request.values["id"]))


def get_labels(door: Door, level: Level, request: Request) -> Response:
    """The labels of a resource, sorted."""
    return answer_json(_labels(door, level, request))


def get_label(door: Door, level: Level, request: Request) -> Response:
    """Whether a resource has a label."""
    if request.values["label"] not in _labels(door, level, request):
        raise NoAnswer
    return EMPTY_TEXT


def put_label(door: Door, level: Level, request: Request) -> Response:
    """Put a label."""
    label, public_id = _checked(request), request.values["id"]
    door.archive.database.write(lambda tx: add_label(tx, level, get_row(tx, level, public_id), label))
    return EMPTY_TEXT


def delete_label(door: Door, level: Level, request: Request) -> Response:
    """Take a label away."""
    label, public_id = _checked(request), request.values["id"]
    door.archive.database.write(lambda tx: remove_label(tx, level, get_row(tx, level, public_id), label))
    return EMPTY_TEXT


def _checked(request: Request) -> str:
    label = request.values["label"]
    if not _LABEL.fullmatch(label):
        raise ParameterOutOfRange("A label has up to 64 characters among A-Z, a-z, 0-9, - and _")
    return label
