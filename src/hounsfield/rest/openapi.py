"""The description of all routes, for programs (OpenAPI 3.1) and for people (a page).

Specification: https://spec.openapis.org/oas/v3.1.0. What each route is told is in `described.json`, which
`tools/make_rest_docs.py` makes of the handlers and their docstrings; the tables here say the types of these words and
what is answered.
"""

import base64
import csv
import hashlib
import io
import re
from collections.abc import Iterable, Sequence
from functools import cache, partial
from importlib.resources import files
from typing import Any

import orjson

from hounsfield import __version__
from hounsfield.http.messages import Header, Request, Response, answer_bytes, answer_json
from hounsfield.http.routing import Route
from hounsfield.rest.door import API_VERSION, ORTHANC_VERSION

_WORDS_BY_TYPE: Sequence[tuple[dict[str, object], str]] = (
    ({"type": "boolean"}, "expand numeric compress rescale smooth whole Asynchronous CaseSensitive Extended Expand"
     " Force Full KeepLabels KeepPrivateTags KeepSource Metadata Permissive RemovePrivateTags Short Simplify"
     " StorageCommitment StoreAndForward Synchronous Utf8"),
    ({"type": "integer", "minimum": 0}, "limit since to height width"),
    ({"type": "integer", "minimum": 1, "maximum": 100}, "quality lossy-quality"),
    ({"type": "integer"}, "Limit LossyQuality Priority Since Timeout"),
    ({"type": "number"}, "window-center window-width"),
    ({"type": "object"}, "MetadataQuery Query Replace"),
    ({"type": "array", "items": {"type": "string"}}, "Instances Keep Labels Remove RequestedTags Resources"
     " ResponseContent Series"),
    ({"type": "array", "items": {"type": "object"}}, "OrderBy"),
    ({}, "UserData"),
)  # fmt: skip
_TYPES = {word: schema for schema, words in _WORDS_BY_TYPE for word in words.split()}
_LEVEL_WORDS = ("patients", "studies", "series", "instances")
_TAGS = {
    "tools": "Tools and searches", "changes": "Changes and exports", "exports": "Changes and exports",
    "modalities": "Other servers", "peers": "Other servers", "queries": "Other servers",
    "storage-commitment": "Other servers", "jobs": "Jobs", "system": "The server", "statistics": "The server",
    "plugins": "The server", **dict.fromkeys(_LEVEL_WORDS, "Patients, studies, series and instances"),
}  # fmt: skip
_PNG = ("image/png", "image/jpeg", "image/x-portable-arbitrarymap")
# What is answered, by the first expression that the method and the pattern match.
_ANSWERS: Sequence[tuple[str, tuple[str, ...]]] = (
    (r"GET .*/(preview|rendered|image-u?int(8|16))$", _PNG),
    (r"GET .*/(numpy|raw|compressed-data|data)$", ("application/octet-stream",)),
    (r"GET .*/raw\.gz$", ("application/gzip",)),
    (r"GET .*/pdf$", ("application/pdf",)),
    (r"GET .*/file$", ("application/dicom", "application/dicom+json", "application/dicom+xml")),
    (r"GET .*/matlab$", ("text/plain",)),
    (r"GET .*/(archive|media|create-archive|create-media|create-media-extended)$", ("application/zip",)),
    (r"POST .*/(archive|media|create-archive|create-media|create-media-extended)$",
     ("application/zip", "application/json")),
    (r"POST /instances/\{id\}/(modify|anonymize)$", ("application/dicom",)),
    (r"GET .*/content/\{path\.\.\.\}$", ("application/octet-stream", "application/json")),
    (r"GET .*/(size|compressed-size|md5|compressed-md5|is-compressed|protected|level|modality)$", ("text/plain",)),
    (r"GET .*/metadata/\{name\}$", ("text/plain",)),
    (r"(GET|PUT) /tools/(now|now-local|generate-uid|default-encoding|log-level.*|metrics|unknown-sop-class-accepted"
     r"|metrics-prometheus|dicom-conformance)$", ("text/plain",)),
    (r"POST /tools/(execute-script|bulk-delete|invalidate-tags|reconstruct)$", ("text/plain",)),
    (r"(PUT|DELETE) .*", ("text/plain", "application/json")),
    (r".*", ("application/json",)),
)  # fmt: skip
# Bodies that are not JSON.
_BODIES: Sequence[tuple[str, tuple[str, ...]]] = (
    (r"POST /instances$", ("application/dicom", "application/zip", "multipart/form-data")),
    (r"POST .*/store-straight$", ("application/dicom",)),
    (r"PUT .*/attachments/\{name\}$", ("application/octet-stream",)),
    (r"POST /tools/(execute-script|lookup)$", ("text/plain",)),
    (r"POST /instances/\{id\}/export$", ("text/plain",)),
    (r"PUT .*/(metadata/\{name\}|protected)$", ("text/plain",)),
    (r"PUT /tools/.*", ("text/plain",)),
    (r"PUT .*/labels/.*", ()),
    (r"POST .*/(compress|uncompress|verify-md5|cancel|pause|resume|resubmit|remove)$", ()),
    (r"POST /tools/(invalidate-tags|reset|shutdown)$", ()),
)
_ERROR = {
    "type": "object",
    "properties": {
        "Method": {"type": "string"},
        "Uri": {"type": "string"},
        "HttpError": {"type": "string"},
        "HttpStatus": {"type": "integer"},
        "OrthancError": {"type": "string"},
        "OrthancStatus": {"type": "integer"},
        "Message": {"type": "string"},
        "Details": {"type": "string"},
    },
}
_PARAMETER = re.compile(r"\{([^}.]+)(\.\.\.)?\}")


def routes(all_routes: Sequence[Route]) -> list[Route]:
    """The routes of the description; `all_routes` are read when they are asked."""
    return [
        Route("GET", "/openapi.json", partial(get_openapi, all_routes)),
        Route("GET", "/openapi", get_page),
    ]


def get_openapi(all_routes: Sequence[Route], _request: Request) -> Response:
    """The description of all routes, in OpenAPI 3.1."""
    return answer_json(document(all_routes))


def get_page(_request: Request) -> Response:
    """A page that shows all routes, and lets one try them."""
    return answer_bytes(_page(), "text/html; charset=utf-8", headers=(_content_policy(),))


@cache
def _page() -> bytes:
    return files("hounsfield.rest").joinpath("openapi.html").read_bytes()


@cache
def _content_policy() -> Header:
    """The page may run its own script and style, and ask this server, and nothing else."""
    hashes = {}
    for element in (b"script", b"style"):
        found = re.search(rb"<%s>(.*?)</%s>" % (element, element), _page(), re.DOTALL)
        digest = hashlib.sha256(found[1] if found else b"").digest()
        hashes[element.decode()] = f"'sha256-{base64.b64encode(digest).decode()}'"
    policy = (
        f"default-src 'none'; connect-src 'self'; script-src {hashes['script']}; style-src {hashes['style']};"
        " img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return b"content-security-policy", policy.encode()


def document(all_routes: Iterable[Route]) -> dict[str, Any]:
    """The description as JSON has it. Of routes with equal methods and patterns the last counts."""
    paths: dict[str, dict[str, Any]] = {}
    for route in all_routes:
        path = _PARAMETER.sub(r"{\1}", route.pattern)
        paths.setdefault(path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hounsfield",
            "version": __version__,
            "summary": f"The REST API of Orthanc {ORTHANC_VERSION} (API version {API_VERSION}).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": dict(sorted(paths.items())),
        "components": {
            "schemas": {"Error": _ERROR},
            "securitySchemes": {"basic": {"type": "http", "scheme": "basic"}},
        },
        "security": [{}, {"basic": []}],
    }


def cheat_sheet(all_routes: Iterable[Route]) -> str:
    """A table of all routes, as comma-separated values."""
    found: dict[str, dict[str, str]] = {}
    for route in all_routes:
        found.setdefault(route.pattern, {})[route.method] = _described(route).get("summary", "")
    output = io.StringIO()
    writer = csv.writer(output, lineterminator="\n")
    methods = ("GET", "POST", "DELETE", "PUT")
    writer.writerow(("Path", *methods, "Summary"))
    for pattern, by_method in sorted(found.items()):
        marks = ("x" if method in by_method else "" for method in methods)
        writer.writerow((pattern, *marks, " ".join(dict.fromkeys(by_method.values()))))
    return output.getvalue()


@cache
def _descriptions() -> dict[str, Any]:
    text = files("hounsfield.rest").joinpath("described.json").read_bytes()
    found: dict[str, Any] = orjson.loads(text)
    return found


def _described(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = _descriptions().get(f"{route.method} {route.pattern}", {})
    return found


def _operation(route: Route) -> dict[str, Any]:
    described = _described(route)
    first = route.pattern.split("/")[1]
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "-", f"{route.method}{route.pattern}").strip("-").lower(),
        "summary": described.get("summary", ""),
        "tags": [_TAGS.get(first, "Pages")],
        "parameters": [*_path_parameters(route), *_parameters(described)],
        "responses": _responses(route),
    }
    body = _body(route, described)
    if body is not None:
        operation["requestBody"] = body
    return operation


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {"name": match[1], "in": "path", "required": True, "schema": {"type": "string"}}
        for match in _PARAMETER.finditer(route.pattern)
    ]


def _parameters(described: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": name, "in": place, "description": meaning, "schema": _TYPES.get(name, {"type": "string"})}
        for place, words in (("query", "arguments"), ("header", "headers"))
        for name, meaning in described.get(words, {}).items()
        # OpenAPI leaves these two to the descriptions of contents.
        if name not in ("accept", "content-type")
    ]


def _body(route: Route, described: dict[str, Any]) -> dict[str, Any] | None:
    if route.method not in ("POST", "PUT"):
        return None
    types = next((types for expression, types in _BODIES if _matches(route, expression)), None)
    if types is not None:
        return {"content": {each: {} for each in types}} if types else None
    properties = {
        name: {"description": meaning, **_TYPES.get(name, {"type": "string"})}
        for name, meaning in described.get("members", {}).items()
    }
    return {"content": {"application/json": {"schema": {"type": "object", "properties": properties}}}}


def _responses(route: Route) -> dict[str, Any]:
    types = next(types for expression, types in _ANSWERS if _matches(route, expression))
    schema = {"schema": {"$ref": "#/components/schemas/Error"}}
    return {
        "200": {"description": "Done.", "content": {each: {} for each in types}},
        "default": {"description": "Any failure; some have no body.", "content": {"text/plain": schema}},
    }


def _matches(route: Route, expression: str) -> bool:
    return re.fullmatch(expression, f"{route.method} {route.pattern}") is not None
