"""Any request for any route of the REST door, to a server with a few instances.

An exception that the rim of HTTP has to catch is logged with its traceback, and that is a failure of the input.
"""

import json
import re
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from tests.rest.builders import Server, ids, real_file, slice_file

from hounsfield.dicom.levels import Level
from hounsfield.http.dispatch import dispatch
from hounsfield.http.messages import FileBody, Request, Response
from hounsfield.http.routing import Route
from hounsfield.ingest.intake import IngestOptions
from hounsfield.rest.door import RestOptions

_MOST_CHANGES = 200
_FILES = [
    slice_file(instance="1.1.1.1"),
    slice_file(instance="1.1.1.2", PatientComments="caf\u00e9"),
    slice_file(study="1.2", series="1.2.1", instance="1.2.1.1"),
    real_file("CT_small.dcm"),
]
_IDS = ids()
_PLACE = re.compile(r"\{(\w+)(?:\.\.\.)?\}")
_VALUES = {"number": "1", "label": "a", "name": "1024", "path": "0010-0010"}
_BODIES: dict[str, list[Any]] = {
    "/instances": [_FILES[0]],
    "/tools/find": [
        {"Level": "Study", "Query": {"PatientName": "D*", "StudyDate": "20200101-20200131"}, "Expand": True},
        {
            "Level": "Instance",
            "Query": {"0020,000d": "1.1\\1.2", "Modality": "?T"},
            "Labels": ["a"],
            "LabelsConstraint": "Any",
            "MetadataQuery": {"LastUpdate": "2*"},
            "OrderBy": [{"Type": "DicomTag", "Key": "PatientID", "Direction": "ASC"}],
            "Since": 0,
            "Limit": 3,
            "ParentStudy": str(_IDS[1]),
            "RequestedTags": ["PatientComments", "0010,0010", "ModalitiesInStudy"],
            "ResponseContent": ["MainDicomTags", "Metadata", "Children", "Attachments", "Labels"],
            "Short": True,
        },
    ],
    "/tools/count-resources": [
        {"Level": "Patient", "Query": {"PatientID": "P1", "PatientBirthDate": "-2000"}}
    ],
    "/tools/lookup": [b"1.1.1.1"],
    "/tools/bulk-content": [{"Resources": list(_IDS), "Level": "Series", "Metadata": True, "Full": True}],
    "/tools/bulk-delete": [{"Resources": [str(_IDS[3]), {"ID": str(_IDS[2]), "Level": "Series"}]}],
}
_QUERIES = (
    "?expand&since=0&limit=2&requestedTags=PatientName;0008,0020&full&short&simplify",
    "?quality=50&returnUnsupportedImage&width=7&height=9&window-center=40&window-width=400&smooth=1&filename=a",
    "?expand=true&response-content=MainDicomTags;Labels&ignore-length=0010,0010&numeric&level=study&last&to=9",
)
_HEADERS = (
    "accept: image/jpeg, image/png;q=0.5, image/x-portable-arbitrarymap, application/dicom+json",
    "range: bytes=1-9",
    'if-none-match: "0"',
    "if-match: 0",
    "accept: application/xml",
)


@lru_cache(maxsize=1)
def _server() -> Server:
    """Opened by the process that asks it: neither its threads nor its files may cross a fork."""
    folder = Path(tempfile.mkdtemp(prefix="hounsfield-fuzz-"))
    return Server(folder / "server", RestOptions(), IngestOptions())


def _routes() -> list[Route]:
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder) / "server", RestOptions(), IngestOptions())
        server.close()
        return list(server.host.routes)


class _Refill:
    """Keeps the instances in the server, and what requests wrote to them few."""

    def __init__(self) -> None:
        self._changes = _MOST_CHANGES

    def __call__(self, server: Server, method: str) -> None:
        if method == "GET":
            return
        self._changes += 1
        if self._changes > _MOST_CHANGES:
            self._changes = 0
            for public_id in server.get("/patients"):
                server.ask("DELETE", f"/patients/{public_id}")
        for data in _FILES:
            assert server.ask("POST", "/instances", data).status == 200


def request(data: bytes) -> None:
    """Method and target, then headers, one a line; an empty line, then the body."""
    server, refill = _server(), _refill()
    head, _, body = data.partition(b"\n\n")
    start, *lines = head.decode("latin_1").split("\n")
    method, _, target = start.partition(" ")
    path, _, query = target.partition("?")
    headers = {line.partition(": ")[0].lower(): line.partition(": ")[2] for line in lines[:12]}
    response = dispatch(server.dispatcher, Request(method, path, query, headers, body))
    if not isinstance(response.body, bytes | FileBody):
        for _ in response.body:
            pass
    refill(server, "GET" if method == "GET" and "_method" not in query and len(headers) == 0 else "any")


@lru_cache(maxsize=1)
def _refill() -> _Refill:
    refill = _Refill()
    refill(_server(), "any")
    return refill


def find(data: bytes) -> None:
    """The body of a search."""
    _refill()
    for path in ("/tools/find", "/tools/count-resources", "/tools/bulk-content"):
        dispatch(_server().dispatcher, Request("POST", path, "", {}, data))


def uploads(data: bytes) -> None:
    """Headers, one a line; an empty line, then the body: an upload is begun, sent, asked for and given up with them."""
    server = _server()
    head, _, body = data.partition(b"\n\n")
    lines = (line.partition(": ") for line in head.decode("latin_1").split("\n")[:12])
    headers = {name.lower(): value for name, _, value in lines}

    def ask(method: str, path: str, sent: bytes = b"") -> Response:
        answer = dispatch(server.dispatcher, Request(method, path, "", headers, sent))
        assert answer.status != 500, answer
        return answer

    created = ask("POST", "/uploads").header(b"location")
    path = "/" + (created.decode() if created else "uploads/00000000-0000-0000-0000-000000000000")
    ask("PATCH", path, body)
    for method, target in (("HEAD", path), ("GET", path), ("GET", path + "/results"), ("GET", "/uploads")):
        found = ask(method, target).body
        if not isinstance(found, bytes | FileBody):
            assert isinstance(json.loads(b"".join(found)), list)
    ask("DELETE", path)
    headers = {"tus-resumable": "1.0.0"}
    ask("DELETE", path)
    assert not list(server.imports.uploads)


def _target(pattern: str) -> str:
    level = next((level for level in Level if pattern.startswith(f"/{level.plural}/")), Level.INSTANCE)
    values = {**_VALUES, "id": str(_IDS[list(Level).index(level)])}
    if "attachments" in pattern:
        values["name"] = "dicom"
    return _PLACE.sub(lambda found: values.get(found[1], "1"), pattern)


def _requests() -> list[bytes]:
    found: list[str] = []
    bodies: list[bytes] = []
    for index, route in enumerate(_routes()):
        start = f"{route.method} {_target(route.pattern)}"
        query, header = _QUERIES[index % len(_QUERIES)], _HEADERS[index % len(_HEADERS)]
        found += [start, f"{start}{query}\n{header}"]
        for body in _BODIES.get(route.pattern, [b""]) if route.method in ("POST", "PUT") else []:
            sent = body if isinstance(body, bytes) else json.dumps(body).encode()
            bodies.append(start.encode() + b"\n\n" + sent)
    return [line.encode() + b"\n\n" for line in found] + bodies


_SEARCHES = [
    json.dumps(body).encode() for path in ("/tools/find", "/tools/count-resources") for body in _BODIES[path]
]
TARGETS: dict[str, Callable[[bytes], None]] = {
    "rest.request": request,
    "rest.find": find,
    "rest.uploads": uploads,
}
SEEDS: dict[str, list[bytes]] = {
    "rest.request": _requests(),
    "rest.uploads": [
        b"tus-resumable: 1.0.0\nupload-length: %d\nupload-offset: 0\ncontent-type: application/offset+octet-stream\n"
        b"%s\n\n%s" % (len(sent), more, sent)
        for more in (
            b"upload-metadata: filename YS5kY20=,type ZGljb20=",
            b"upload-checksum: sha1 qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
            b"upload-defer-length: 1",
        )
        for sent in (b"abc", slice_file(), b"PK\x05\x06" + bytes(18))
    ],
    "rest.find": [*_SEARCHES, json.dumps(_BODIES["/tools/bulk-content"][0]).encode()],
}
