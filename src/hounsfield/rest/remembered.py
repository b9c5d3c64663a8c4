"""Answers that hold as long as the index does not change.

Work lists and viewers ask the same again and again. An answer that only the index gave is kept under the state the
index had before it was asked: after the next commit nobody finds it any more.
"""

from collections.abc import Callable
from functools import wraps

from hounsfield.http.errors import NoAnswer
from hounsfield.http.messages import Request, Response, answer_json, answer_json_bytes, body_view
from hounsfield.http.routing import Handler, Route
from hounsfield.rest.door import Door

_JSON_HEADERS = answer_json(None).headers
_LONGEST_QUESTION = 4096
_LONGEST_ANSWER = 1 << 20


def remembering(
    door: Door, method: str, pattern: str, handler: Handler, is_short: Callable[[Request], bool]
) -> Route:
    """A route whose JSON answers depend on nothing but the request and the index.

    `is_short` tells whether a request that was not asked before is answered by a glance at the index.
    """

    @wraps(handler)
    def handle(request: Request) -> Response:
        state = door.archive.database.state
        response = handler(request)
        body = response.body
        if state is not None and response.headers == _JSON_HEADERS and isinstance(body, bytes):
            key = _key(door, state, request)
            if key is not None and len(body) <= _LONGEST_ANSWER:
                door.answers.get_or_make(key, lambda: body)
        return response

    def at_once(request: Request) -> Response:
        state = door.archive.database.state
        key = None if state is None else _key(door, state, request)
        known = None if key is None else door.answers.get(key)
        if known is not None:
            return answer_json_bytes(known)
        if not is_short(request):
            raise NoAnswer
        return handle(request)

    return Route(method, pattern, handle, at_once=at_once)


def _key(door: Door, state: int, request: Request) -> tuple[str, ...] | None:
    known = str(state), door.settings.default_encoding, request.method, request.path, request.query
    if not request.body:
        return known
    body = body_view(request.body)
    if len(body) > _LONGEST_QUESTION:
        return None
    return *known, str(bytes(body), "latin-1")
