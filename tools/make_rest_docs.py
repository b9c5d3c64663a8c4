"""Write `docs/rest-api.md` from the routes of a server, and what `/openapi.json` is made of.

To be run as `python3 tools/make_rest_docs.py`.

The sentence of a route is the first of its handler's docstring. Its arguments are the names of the tables below that
the handler, and what it calls in its room, mentions in a function that is given a request or a body.
"""

import ast
import inspect
import json
import re
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import hounsfield
from hounsfield.config.configuration import load
from hounsfield.config.sources import Origin
from hounsfield.http.routing import Route
from hounsfield.server import serve

PAGE = Path(__file__).parents[1] / "docs" / "rest-api.md"
DESCRIPTIONS = Path(hounsfield.__file__).parent / "rest" / "described.json"

ARGUMENTS = {
    "action": "only entries of this action",
    "animated": "moving pictures, WebP or GIF",
    "axis": "`axial`, `coronal`, `sagittal` or `acquisition`",
    "colours": "a colour map: `grey`, `hot-iron`, `pet`, `hot-metal-blue`, `pet-20-step`, `spring`, `summer`, "
    "`fall`, `winter` or `rainbow`; with `-inverse` the other way round",
    "column": "direction down the picture: x,y,z (LPS)",
    "compress": "a compressed archive of NumPy",
    "compression": "`gzip` or `none`",
    "expand": "objects instead of ids or names (true where objects are the default)",
    "extended": "a DICOMDIR that tells more",
    "filename": "the name under which a browser saves the answer",
    "format": "`json` or `nifti`",
    "frames": "how many moving pictures at most",
    "from-timestamp": "only entries of this time or later",
    "full": "tags as objects with name, type and value",
    "height": "the most rows of the image",
    "ignore-frame-of-reference": "lay series over each other although they are said to be in different places",
    "ignore-length": "tags shown whole however long, separated by commas",
    "interpolation": "`linear` or `nearest`",
    "last": "with no value: the number of the last change",
    "level": "`patient`, `study`, `series` or `instance`",
    "limit": "how many to answer at most; 0 for all",
    "log-data-format": "`json` or `base64`",
    "lossy-quality": "of lossy transfer syntaxes, 1 to 100",
    "mode": "what becomes of a slab: `mip`, `minip` or `average`",
    "normal": "direction perpendicular to the plane: x,y,z (LPS)",
    "offset": "the first byte wanted",
    "numeric": "numbers instead of names",
    "origin": "a point of the plane: x,y,z in mm (LPS)",
    "overlay": "the id of a series to lay over",
    "overlay-colours": "its colour map, `hot-iron` if not given",
    "overlay-opacity": "0 to 1, 0.5 if not given",
    "overlay-units": "`suv`",
    "overlay-window-center": "of its window",
    "overlay-window-width": "of its window",
    "position": "mm along the axis; the middle if not given",
    "presentation": "`standard` for the whole pipeline of PS3.3, or the id of a presentation state",
    "quality": "of JPEG, 1 to 100",
    "requested-tags": "further tags to tell of each resource, separated by semicolons",
    "requestedTags": "the old spelling of `requested-tags`",
    "rescale": "values of the modality (true) or as stored",
    "resource-id": "only entries of this resource",
    "resources": "ids, separated by commas",
    "response-content": "what to tell of each resource, separated by semicolons",
    "returnUnsupportedImage": "a placeholder instead of an error for what cannot be shown",
    "row": "direction along the rows of the picture: x,y,z (LPS)",
    "short": "tags by group and element",
    "simplify": "tags by name",
    "resource": "only what belongs to this patient, study, series or instance",
    "since": "how many to skip, or after which change to begin",
    "size": "the longest side in pixels",
    "smooth": "interpolate when the image is made smaller",
    "spacing": "mm from pixel to pixel; the picture then has "
    "just `width` and `height`, and `origin` in its middle",
    "stack": "which stack of the series, from 0",
    "thickness": "of a slab in mm",
    "to": "the last change to answer",
    "to-timestamp": "only entries before this time",
    "transcode": "the transfer syntax wanted",
    "type": "kinds of changes, separated by semicolons",
    "units": "`suv` for standardized uptake values",
    "user-id": "only entries of this user",
    "whole": "also the tags after the pixel data",
    "width": "the most columns of the image",
    "window-center": "of the window, in modality units",
    "window-width": "of the window, in modality units",
}
HEADERS = {
    "accept": "the format of the answer",
    "content-encoding": "`gzip` for a compressed body",
    "content-type": "what the body is",
    "if-match": "the revision that is to be replaced",
    "if-none-match": "the revision that the client has",
    "if-range": "send the bytes wanted only of this version, otherwise all",
    "range": "which bytes are wanted",
    "tus-resumable": "`1.0.0`",
    "upload-checksum": "an algorithm, and the checksum of the body in Base64",
    "upload-defer-length": "`1` if the length is not known yet",
    "upload-length": "of the whole upload, in bytes",
    "upload-metadata": "keys and values in Base64, separated by commas: `filename` and what you like",
    "upload-offset": "where the body belongs, in bytes",
}
MEMBERS = {
    "Asynchronous": "whether only to submit the job (false)",
    "CaseSensitive": "whether case and accents matter",
    "Content": "a data URI of a picture or a document, or an array of them",
    "DicomVersion": "the edition of PS3.15: `2008`, `2017c`, `2021b` or `2023b`",
    "Encapsulate": "whether to keep a JPEG as it is (false)",
    "Expand": "objects instead of ids",
    "Extended": "a DICOMDIR that tells more",
    "Filename": "the name under which a browser saves the answer",
    "Force": "whether identifiers may be given or kept (false)",
    "Full": "tags as objects with name, type and value",
    "Instances": "ids of instances",
    "InterpretBinaryTags": "whether data URIs are decoded (true)",
    "Keep": "tags or paths that stay as they are",
    "KeepLabels": "whether to copy the labels (false)",
    "KeepPrivateTags": "whether private tags stay (false)",
    "KeepSource": "whether the originals stay",
    "Labels": "labels to look for",
    "LabelsConstraint": "`All`, `Any` or `None` of the labels",
    "Level": "`Patient`, `Study`, `Series` or `Instance`",
    "Limit": "how many to answer at most; 0 for all",
    "LimitToThisLevelMainDicomTags": "whether to write nothing but the main tags of this resource (false)",
    "LossyQuality": "of lossy JPEG, 1 to 100",
    "Metadata": "whether to tell the metadata",
    "MetadataQuery": "metadata to match",
    "OrderBy": "objects with `Type`, `Key` and `Direction`",
    "Parent": "the patient, study or series that it is to belong to",
    "ParentPatient": "only below this patient",
    "ParentSeries": "only below this series",
    "ParentStudy": "only below this study",
    "Permissive": "whether to go on when a part of the job fails (false)",
    "Priority": "which of the jobs that wait is run first (0)",
    "PrivateCreator": "of the private tags",
    "Query": "tags to match, with wildcards, ranges and lists",
    "ReconstructFiles": "whether to transcode and compress the files as configured now (false)",
    "Remove": "tags or paths to remove",
    "RemovePrivateTags": "whether to remove private tags (false)",
    "Replace": "values by tag or path",
    "RequestedTags": "further tags to tell of each resource",
    "Resources": "ids of resources",
    "ResponseContent": "what to tell of each resource",
    "Series": "ids of series",
    "Short": "tags by group and element",
    "Simplify": "tags by name",
    "Since": "how many to skip",
    "StoreAndForward": "whether it is queued and sent until it has arrived, see [routing.md](routing.md)",
    "Synchronous": "whether to wait for the job (true); wins over `Asynchronous`",
    "Tags": "values by tag",
    "Transcode": "the transfer syntax wanted",
    "UserData": "any JSON, to be told with the job",
    "Utf8": "whether names may hold more than ASCII",
}

_HEADER = """\
# The REST API

<!-- Made by `python3 tools/make_rest_docs.py`: do not edit. -->

The addresses are Orthanc's, and so are the answers, except for what [differences.md](differences.md) lists. `{level}`
is `patients`, `studies`, `series` or `instances`. An address that only leads to others answers a GET with their names.

Errors are answered in JSON, with `HttpStatus`, `Message`, `Details` and `OrthancStatus` (Orthanc's number), unless they
are said to have no body. Any answer in JSON is given in XML to who accepts `application/xml` and not JSON.
"""
# All images have one handler.
_OF_RENDERED = ("height", "smooth", "width", "window-center", "window-width")
_LEVELS = ("patients", "studies", "series", "instances")
_LEVEL_WORDS = ("Patient", "Study", "Series")
_SERVER = {"HttpServerEnabled": False, "DicomServerEnabled": False}


def main() -> None:
    """Write the page and the descriptions."""
    PAGE.write_text(page(), encoding="utf-8")
    DESCRIPTIONS.write_text(descriptions(), encoding="utf-8")


def page() -> str:
    """The whole page."""
    rows: dict[str, list[str]] = {}
    for methods_and_addresses, sentence, notes in _merged(list(routes())):
        chapter = _chapter(methods_and_addresses)
        rows.setdefault(chapter, []).append(f"| {methods_and_addresses} | {sentence} | {notes} |")
    chapters = [
        f"\n## {name}\n\n| Request | What it does | Arguments |\n|---|---|---|\n" + "\n".join(lines) + "\n"
        for name, lines in rows.items()
    ]
    return _HEADER + "".join(chapters) + _glossary()


def descriptions() -> str:
    """A JSON object with a line for each route: its sentence, and the meanings of what it is told."""
    lines = [f"{json.dumps(f'{route.method} {route.pattern}')}: {_description(route)}" for route in routes()]
    return "{\n" + ",\n".join(sorted(lines)) + "\n}\n"


def _description(route: Route) -> str:
    arguments, members, headers = words_of(route)
    found: dict[str, object] = {"summary": sentence_of(route)}
    for name, words, meanings in (
        ("arguments", arguments, ARGUMENTS),
        ("members", members, MEMBERS),
        ("headers", headers, HEADERS),
    ):
        if words:
            found[name] = {word: meanings[word] for word in words}
    return json.dumps(found)


def routes() -> Iterator[Route]:
    """The routes of a server with its defaults, each once."""
    with tempfile.TemporaryDirectory() as folder:
        configuration = Path(folder) / "hounsfield.json"
        configuration.write_text(str(_SERVER).replace("False", "false").replace("'", '"'))
        with serve(load(Origin((configuration,), {}, Path(folder)))) as running:
            found = {(route.method, route.pattern): route for route in running.host.routes}
    yield from found.values()


def handler_of(route: Route) -> Callable[..., Any]:
    """The function behind a route, without what is bound or wrapped around it."""
    handler: Any = route.handler
    while True:
        if isinstance(handler, partial):
            handler = handler.func
        elif hasattr(handler, "__wrapped__"):
            handler = handler.__wrapped__
        else:
            return handler  # type: ignore[no-any-return]


def sentence_of(route: Route) -> str:
    """The first line of the handler's docstring; empty if it has none."""
    handler = handler_of(route)
    text = inspect.getdoc(handler) if inspect.isroutine(handler) else inspect.getdoc(type(handler).__call__)
    return (text or "").partition("\n\n")[0].replace("\n", " ")


def notes_of(route: Route) -> list[str]:
    """The arguments, members and headers that the handler knows, marked up."""
    arguments, members, headers = words_of(route)
    return [f"`{name}`" for name in (*arguments, *members)] + [f"header `{name.title()}`" for name in headers]


def words_of(route: Route) -> tuple[list[str], list[str], list[str]]:
    """The arguments, members and headers that the handler knows."""
    in_requests, in_bodies = _words(handler_of(route))
    arguments: list[str] = []
    members: list[str] = []
    if route.method == "GET":
        left_out = (
            ()
            if "frames" not in handler_of(route).__module__ or "rendered" in route.pattern
            else _OF_RENDERED
        )
        arguments = [name for name in ARGUMENTS if name in in_requests and name not in left_out]
    else:
        # In searches `Parent` is put together with the name of a level.
        parents = (
            {"Parent"} if "Tags" in in_bodies else {name for name in MEMBERS if name[6:] in _LEVEL_WORDS}
        )
        known = in_bodies - {"Parent"} | (parents if "Parent" in in_bodies else set())
        members = [name for name in MEMBERS if name in known]
    return arguments, members, [name for name in HEADERS if name in in_requests]


@cache
def _words(handler: Callable[..., Any]) -> tuple[set[str], set[str]]:
    """All strings in functions that get a request, and in those that get or read a body."""
    in_requests: set[str] = set()
    in_bodies: set[str] = set()
    seen: set[Callable[..., Any]] = set()
    waiting = [handler]
    while waiting:
        function = waiting.pop()
        if function in seen or not inspect.isfunction(function):
            continue
        seen.add(function)
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
        texts = {each for each in strings if isinstance(each, str)}
        if "request" in names:
            in_requests |= texts
        if "body" in names:
            in_bodies |= texts
        called = (function.__globals__.get(name) for name in names)
        waiting += [each for each in called if inspect.isfunction(each) and _is_of_the_room(each)]
    return in_requests, in_bodies


def _is_of_the_room(function: Callable[..., Any]) -> bool:
    return function.__module__.startswith(
        ("hounsfield.rest.", "hounsfield.automation.", "hounsfield.deid.request")
    )


def _merged(found: list[Route]) -> Iterator[tuple[str, str, str]]:
    """Rows, in which what is the same on several levels stands once."""
    rows: dict[tuple[str, str, str, str], list[str]] = {}
    for route in found:
        first, slash, rest = route.pattern[1:].partition("/")
        key = first if first not in _LEVELS else "{level}"
        row = (route.method, f"/{key}{slash}{rest}", sentence_of(route), ", ".join(notes_of(route)))
        rows.setdefault(row, []).append(first)
    for (method, pattern, sentence, notes), firsts in rows.items():
        shown = pattern
        if "{level}" in pattern and len(firsts) < len(_LEVELS):
            shown = " <br> ".join(pattern.replace("{level}", first, 1) for first in firsts)
        addresses = " <br> ".join(f"`{method} {each}`" for each in shown.split(" <br> "))
        yield addresses, sentence, notes


def _chapter(request: str) -> str:
    """The heading under which a request stands."""
    first = re.split(r"[/`]", request.split("/", 1)[1])[0]
    if first == "{level}" or first in _LEVELS:
        return "Patients, studies, series and instances"
    return {
        "jobs": "Jobs",
        "uploads": "Uploads that go on after a cut",
        "tools": "Tools and searches",
        "changes": "Changes and exports",
        "exports": "Changes and exports",
        "system": "The server",
        "statistics": "The server",
        "plugins": "The server",
    }.get(first, "Pages")


def _glossary() -> str:
    tables = []
    for title, table in (
        ("Arguments of a GET", ARGUMENTS),
        ("Members of a JSON body", MEMBERS),
        ("Headers", {name.title(): text for name, text in HEADERS.items()}),
    ):
        lines = "\n".join(f"| `{name}` | {text} |" for name, text in table.items())
        tables.append(f"\n## {title}\n\n| Name | Meaning |\n|---|---|\n{lines}\n")
    return "".join(tables)


if __name__ == "__main__":
    main()
