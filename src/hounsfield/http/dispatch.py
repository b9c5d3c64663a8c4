"""From a request to a response, in the caller's thread; connections and scripts both enter here.

Order: the verb (overrides, verbs nobody serves), the route, the body (a form is cut into its parts), the handler,
the error if any, and the form the client asked for.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import orjson

from hounsfield.errors import ArchiveError, BadRequest
from hounsfield.http.errors import BadRevision, NoAnswer, ProtocolViolation
from hounsfield.http.messages import (
    TEXT_TYPE,
    ErrorNote,
    Request,
    Response,
    body_view,
    components,
    searchable,
)
from hounsfield.http.multipart import boundary_of, form_parts
from hounsfield.http.partial import PartialUploads
from hounsfield.http.routing import METHODS, WEBDAV_METHODS, Found, Router
from hounsfield.http.status import INTERNAL, STATUSES, Retold, Status, phrase, status_of
from hounsfield.http.xml import json_to_xml

_log = logging.getLogger("hounsfield.http")

_OVERRIDES = ("PUT", "DELETE")
_VERBS = frozenset(METHODS) | WEBDAV_METHODS


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Where requests go, and how errors are told.

    `statuses` may extend the table of this room with the errors of others.
    """

    router: Router
    statuses: Mapping[type[ArchiveError], Status] = field(default_factory=lambda: STATUSES)
    describes_errors: bool = True
    partial_uploads: PartialUploads | None = None


def dispatch(dispatcher: Dispatcher, request: Request) -> Response:
    """Answer `request`; every failure is a response too."""
    found = find(dispatcher, request)
    if isinstance(found, Response):
        return found
    return perform(dispatcher, request, found)


def find(dispatcher: Dispatcher, request: Request) -> Found | Response:
    """The handler for `request`, whose method is replaced if it is overridden, or the answer that says there is none.

    Reads no body: it is called before one has arrived.
    """
    try:
        if request.query or "x-http-method-override" in request.headers:
            request.override(effective_method(request))
        elif request.method not in _VERBS and request.method not in dispatcher.router.methods:
            return Response(400)
        found = dispatcher.router.find(request.method, request.path)
    except ArchiveError as error:
        return describe(dispatcher, request, error)
    request.values = found.values
    return found


def perform(dispatcher: Dispatcher, request: Request, found: Found) -> Response:
    """Run the handler and give its answer the form that was asked for."""
    try:
        if request.method == "POST" and _is_form(request):
            return _perform_form(dispatcher, request, found)
        response = found.handler(request)
        accept = request.headers.get("accept")
        if accept is not None and "application/xml" in accept:
            return _as_xml(response, accept)
        return response
    except ArchiveError as error:
        return describe(dispatcher, request, error)
    except Exception:  # noqa: BLE001 - the rim of HTTP.
        _log.exception("Unhandled error in %s of a request", request.method)
        return _answer_error(
            dispatcher, request, INTERNAL, "An unhandled exception was generated inside the HTTP server"
        )


def effective_method(request: Request) -> str:
    """The method after overrides: a header on any method, an argument on GET.

    Raises
    ------
    BadRequest
        Bare, for an override that is neither PUT nor DELETE, or for a verb nobody serves.
    """
    override = request.headers.get("x-http-method-override")
    if override is None and request.method == "GET" and "_method" in request.query:
        override = request.arguments.get("_method")
    if override is None:
        if request.method not in _VERBS:
            raise _BareBadRequest
        return request.method
    if override.upper() not in _OVERRIDES:
        raise _BareBadRequest
    return override.upper()


class _BareBadRequest(BadRequest):
    """A 400 without body."""


def describe(dispatcher: Dispatcher, request: Request, error: ArchiveError) -> Response:
    """The answer for an error."""
    status = status_of(error, dispatcher.statuses)
    details = str(error)
    if isinstance(error, _BareBadRequest):
        return Response(400)
    if status.is_bare:
        http = 400 if isinstance(error, NoAnswer) and request.method == "POST" else status.http
        return Response(http, error=ErrorNote(status.code, status.text, details))
    if status.http >= 500 and not request.is_gone():
        _log.warning("%s failed: %s (%s)", request.method, status.text, type(error).__name__)
    payload = error.payload if isinstance(error, Retold) else None
    answer = _answer_error(dispatcher, request, status, details, payload)
    if isinstance(error, BadRevision):
        return replace(answer, headers=(*answer.headers, *error.headers))
    return answer


def _answer_error(
    dispatcher: Dispatcher, request: Request, status: Status, details: str, payload: object = None
) -> Response:
    note = ErrorNote(status.code, status.text, details)
    if not dispatcher.describes_errors:
        return Response(status.http, error=note)
    body: dict[str, object] = {
        "HttpError": phrase(status.http),
        "HttpStatus": status.http,
        "Message": status.text,
        "Method": request.method,
        "OrthancError": status.text,
        "OrthancStatus": status.code,
        "Uri": "/" + "/".join(components(request.path)),
    }
    if details:
        body["Details"] = details
    if payload is not None:
        body["ErrorPayload"] = payload
    try:
        text = orjson.dumps(body, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    except orjson.JSONEncodeError:  # Bytes that are no UTF-8 came through as lone surrogates.
        clean = {
            k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in body.items()
        }
        text = orjson.dumps(clean, option=orjson.OPT_SORT_KEYS | orjson.OPT_INDENT_2)
    return Response(status.http, (TEXT_TYPE,), text, note)


def _is_form(request: Request) -> bool:
    return request.headers.get("content-type", "").lower().startswith("multipart/form-data") and bool(
        boundary_of(request.headers["content-type"])
    )


def _perform_form(dispatcher: Dispatcher, request: Request, found: Found) -> Response:
    """Answer each part of a form as a POST of its own; the first failure is the answer of all."""
    requester = request.headers.get("x-requested-with")
    if requester is not None and requester != "XMLHttpRequest":
        raise ProtocolViolation(
            'HTTP header "X-Requested-With" should be "XMLHttpRequest" in multipart uploads'
        )
    whole = searchable(body_view(request.body))
    headers = {k: v for k, v in request.headers.items() if k not in ("content-type", "content-length")}
    for part in form_parts(whole, boundary_of(request.headers["content-type"])):
        content = _assemble(dispatcher, request, part)
        if content is None:
            continue
        answer = perform(dispatcher, replace(request, body=content, headers=headers), found)
        if isinstance(answer.body, bytes) and answer.status < 400:
            continue
        return answer
    return Response(200)


def _assemble(dispatcher: Dispatcher, request: Request, part: memoryview) -> bytes | memoryview | None:
    """The content to hand on: the part itself, or the whole file once its last chunk is here."""
    name = request.headers.get("x-file-name")
    size = request.headers.get("x-file-size")
    if name is None or size is None or dispatcher.partial_uploads is None:
        return part
    if not size.isascii() or not size.isdigit():
        raise ProtocolViolation('HTTP header "X-File-Size" should be a number')
    return dispatcher.partial_uploads.add(name, int(size[:18]), part)


def _as_xml(response: Response, accept: str) -> Response:
    mime = response.header(b"content-type")
    if mime is None or not mime.startswith(b"application/json") or not isinstance(response.body, bytes):
        return response
    if "application/xml" not in accept.replace(";", ",").split(","):
        return response
    headers = tuple(pair for pair in response.headers if pair[0] != b"content-type")
    xml = json_to_xml(orjson.loads(response.body))
    return Response(response.status, ((b"content-type", b"application/xml; charset=utf-8"), *headers), xml)
