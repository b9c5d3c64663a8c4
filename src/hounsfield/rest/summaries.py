"""What an instance is about, and the objects within instances."""

from functools import partial

from hounsfield.errors import BadRequest
from hounsfield.http.errors import InexistentItem, NotAcceptable
from hounsfield.http.messages import Header, Request, Response, answer_bytes, answer_json
from hounsfield.http.negotiation import preferred
from hounsfield.http.routing import Route
from hounsfield.rest.door import Door
from hounsfield.retrieve.documents import NoDocument, read_object
from hounsfield.retrieve.summaries import (
    NoPicture,
    Subject,
    open_subject,
    summary_facts,
    summary_html,
    summary_png,
    summary_svg,
)

_STL = "model/stl"
_JSON, _HTML, _PNG, _SVG = "application/json", "text/html", "image/png", "image/svg+xml"
# What a page may do: nothing but show itself. A text that got past the escaping would still not run.
_HARMLESS: Header = (
    b"content-security-policy",
    b"default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox",
)


def routes(door: Door) -> list[Route]:
    """The routes of summaries and objects."""
    return [
        Route("GET", "/instances/{id}/summary", partial(get_summary, door)),
        Route("GET", "/instances/{id}/object", partial(get_object, door)),
        Route("GET", "/instances/{id}/stl", partial(get_stl, door)),
    ]


def get_summary(door: Door, request: Request) -> Response:
    """What an instance is about: facts in JSON, a page in HTML, a picture as PNG, or as SVG of a waveform."""
    chosen = preferred(request.headers.get("accept", ""), [_JSON, _HTML, _PNG, _SVG])
    if chosen is None:
        raise NotAcceptable("A summary is given as JSON, HTML, PNG or SVG")
    subject = open_subject(door.archive, request.values["id"])
    try:
        with door.turns.take(request.is_gone):
            return _summary(subject, chosen)
    except NoPicture as cause:
        raise NotAcceptable(str(cause)) from cause


def _summary(subject: Subject, chosen: str) -> Response:
    if chosen == _JSON:
        return answer_json(summary_facts(subject))
    if chosen == _HTML:
        page = summary_html(subject).encode("utf-8", "replace")
        return answer_bytes(page, "text/html; charset=utf-8", headers=(_HARMLESS,))
    if chosen == _SVG:
        return answer_bytes(summary_svg(subject).encode("utf-8", "replace"), _SVG, headers=(_HARMLESS,))
    return answer_bytes(summary_png(subject), _PNG)


def get_object(door: Door, request: Request) -> Response:
    """The document within an instance (PDF, CDA, STL, OBJ...) or its video, as a file of its own."""
    public_id = request.values["id"]
    try:
        found = read_object(door.archive, public_id)
    except NoDocument as cause:
        raise InexistentItem(str(cause)) from cause
    filename = request.arguments.get("filename", public_id + found.suffix)
    return answer_bytes(found.data, found.mime_type, filename=filename, headers=_guard(found.mime_type))


def get_stl(door: Door, request: Request) -> Response:
    """The STL model within an instance; a bad request if there is none."""
    found = read_object(door.archive, request.values["id"])
    if found.mime_type != _STL:
        raise BadRequest("The instance holds no STL model")
    return answer_bytes(found.data, found.mime_type)


def _guard(mime_type: str) -> tuple[Header, ...]:
    """What keeps a document from doing anything; the viewers of PDF and of video would stop at it."""
    is_shown_by_a_viewer = mime_type == "application/pdf" or mime_type.startswith("video/")
    return () if is_shown_by_a_viewer else (_HARMLESS,)
