"""What can be changed while the server runs, and its end."""

import logging
from fnmatch import fnmatchcase
from functools import partial

import orjson

from hounsfield.dicom.charset import ENCODINGS
from hounsfield.dicom.uids import TRANSFER_SYNTAXES
from hounsfield.http.errors import BadFileFormat, ParameterOutOfRange
from hounsfield.http.messages import (
    EMPTY_OBJECT,
    EMPTY_TEXT,
    Request,
    Response,
    answer_json,
    answer_text,
    body_bytes,
)
from hounsfield.http.routing import Route
from hounsfield.logs import CATEGORIES, Verbosity, set_verbosity, verbosity_of
from hounsfield.rest.door import Door

_log = logging.getLogger("hounsfield.generic")

_BOOLEANS = {"0": False, "false": False, "1": True, "true": True}


def routes(door: Door) -> list[Route]:
    """The routes of the switches."""
    found = [
        Route("GET", "/tools/default-encoding", partial(get_default_encoding, door)),
        Route("PUT", "/tools/default-encoding", partial(set_default_encoding, door)),
        Route("GET", "/tools/accepted-transfer-syntaxes", partial(get_transfer_syntaxes, door)),
        Route("PUT", "/tools/accepted-transfer-syntaxes", partial(set_transfer_syntaxes, door)),
        Route("GET", "/tools/accepted-sop-classes", partial(get_sop_classes, door)),
        Route("GET", "/tools/unknown-sop-class-accepted", partial(get_unknown_sop_class, door)),
        Route("PUT", "/tools/unknown-sop-class-accepted", partial(set_unknown_sop_class, door)),
        Route("POST", "/tools/invalidate-tags", partial(invalidate_tags, door)),
        Route("POST", "/tools/reset", partial(reset, door)),
        Route("POST", "/tools/shutdown", partial(shut_down, door), is_urgent=True),
        *_log_routes("/tools/log-level", None),
    ]
    for category in CATEGORIES:
        found += _log_routes(f"/tools/log-level-{category}", category)
    return found


def _log_routes(path: str, category: str | None) -> list[Route]:
    return [
        Route("GET", path, partial(get_log_level, category)),
        Route("PUT", path, partial(set_log_level, category)),
    ]


def get_log_level(category: str | None, _request: Request) -> Response:
    """How much is logged: `default`, `verbose` or `trace`, in general or about one category."""
    return answer_text(verbosity_of(category or "generic").value)


def set_log_level(category: str | None, request: Request) -> Response:
    """Change how much is logged, in general or about one category."""
    word = _text(request)
    try:
        verbosity = Verbosity(word)
    except ValueError as cause:
        raise ParameterOutOfRange('Verbosity can be "default", "verbose" or "trace"') from cause
    set_verbosity(verbosity, category)
    return EMPTY_TEXT


def get_default_encoding(door: Door, _request: Request) -> Response:
    """The character set of files that name none."""
    return answer_text(door.settings.default_encoding)


def set_default_encoding(door: Door, request: Request) -> Response:
    """Change the character set of files that name none; what is in the index stays."""
    name = _text(request)
    if name not in ENCODINGS:
        raise ParameterOutOfRange("Unknown encoding")
    door.settings.default_encoding = name
    door.cache.clear()
    return answer_text(name)


def get_transfer_syntaxes(door: Door, _request: Request) -> Response:
    """The transfer syntaxes that are accepted in C-STORE."""
    return answer_json(sorted(door.settings.transfer_syntaxes, key=_by_numbers))


def set_transfer_syntaxes(door: Door, request: Request) -> Response:
    """Change the transfer syntaxes that are accepted in C-STORE, by patterns of UIDs."""
    patterns = _patterns(_text(request))
    door.settings.transfer_syntaxes = frozenset(
        uid for uid in TRANSFER_SYNTAXES if any(fnmatchcase(uid, pattern) for pattern in patterns)
    )
    return get_transfer_syntaxes(door, request)


def _patterns(text: str) -> list[str]:
    """Patterns in JSON, as an array or as one text, or one pattern as it is."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError as cause:
        if not text or text[0].isdigit() or text[0] in "[{\"'-":
            raise BadFileFormat("The patterns must be a JSON array of strings") from cause
        return [text]
    if isinstance(found, str):
        return [found]
    if isinstance(found, list) and all(isinstance(each, str) for each in found):
        return found
    raise BadFileFormat("The patterns must be a JSON array of strings")


def get_sop_classes(door: Door, _request: Request) -> Response:
    """The SOP classes that are accepted in C-STORE."""
    return answer_json(sorted(door.settings.sop_classes, key=_by_numbers))


def _by_numbers(uid: str) -> list[int]:
    return [int(part) if part.isdigit() else 0 for part in uid.split(".")]


def get_unknown_sop_class(door: Door, _request: Request) -> Response:
    """Whether unknown SOP classes are accepted in C-STORE: `0` or `1`."""
    return answer_text(str(int(door.settings.is_unknown_sop_class_accepted)))


def set_unknown_sop_class(door: Door, request: Request) -> Response:
    """Change whether unknown SOP classes are accepted in C-STORE."""
    door.settings.is_unknown_sop_class_accepted = boolean_body(request)
    return EMPTY_TEXT


def boolean_body(request: Request) -> bool:
    """A body that is `0`, `1`, `true` or `false`.

    Raises
    ------
    BadFileFormat
        If it is anything else.
    """
    word = _text(request)
    if word not in _BOOLEANS:
        raise BadFileFormat("Boolean value expected")
    return _BOOLEANS[word]


def _text(request: Request) -> str:
    return body_bytes(request.body).decode("utf-8", "replace").strip()


def invalidate_tags(door: Door, _request: Request) -> Response:
    """Forget the attributes of files that are kept in memory."""
    door.cache.clear()
    return EMPTY_TEXT


def reset(door: Door, _request: Request) -> Response:
    """Start the server again, with what its configuration says now."""
    return _end(door, restart=True)


def shut_down(door: Door, _request: Request) -> Response:
    """Stop the server."""
    return _end(door, restart=False)


def _end(door: Door, *, restart: bool) -> Response:
    _log.warning("A client asks the server to %s", "start again" if restart else "stop")
    door.lifecycle.end(restart=restart)
    return EMPTY_OBJECT
