"""Uploads that go on after a cut, by the protocol of https://tus.io/protocols/resumable-upload (1.0.0).

Extensions: creation, creation-defer-length, expiration, checksum, termination. The finished file is taken in as if it
had been sent to `POST /instances`. What is no part of tus: `GET` tells of an upload in JSON, and of each file in it.
"""

import base64
import binascii
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import partial
from pathlib import Path
from typing import Any

from hounsfield.errors import ArchiveError, NotFound, StorageFull
from hounsfield.http.errors import UnknownResource
from hounsfield.http.messages import (
    JSON_TYPE,
    NO_CONTENT,
    TEXT_TYPE,
    Header,
    Request,
    Response,
    answer_json,
    body_view,
    header_value,
)
from hounsfield.http.routing import Route
from hounsfield.ingest.checksums import CHECKSUMS
from hounsfield.ingest.resumable import (
    PieceWriter,
    Resumable,
    TooManyUploads,
    UploadElsewhere,
    UploadTooLarge,
    WrongChecksum,
    WrongOffset,
)
from hounsfield.jobs.engine import Engine
from hounsfield.jobs.imports import Importer, take_in

_VERSION = "1.0.0"
_EXTENSIONS = "creation,creation-defer-length,expiration,checksum,termination"
_TUS: tuple[Header, ...] = ((b"tus-resumable", _VERSION.encode()), (b"cache-control", b"no-store"))
_CREATED, _PRECONDITION_FAILED, _MISDIRECTED, _CHECKSUM_MISMATCH = 201, 412, 421, 460
_LONGEST_METADATA = 4096
_PIECE = 256 << 10
_METADATA = re.compile(r"\s*([^\s,]+)(?:\s+([A-Za-z0-9+/=]*))?\s*")
# What tus wants to be answered to errors; the rest is told as everywhere.
_STATUSES: tuple[tuple[type[ArchiveError], int], ...] = (
    (WrongOffset, 409),
    (UploadTooLarge, 413),
    (TooManyUploads, 429),
    (StorageFull, 507),
    (WrongChecksum, _CHECKSUM_MISMATCH),
    (UploadElsewhere, _MISDIRECTED),
    (NotFound, 404),
)


@dataclass(frozen=True, slots=True)
class UploadDesk:
    """What handlers of uploads work with."""

    imports: Importer
    engine: Engine


def routes(desk: UploadDesk) -> list[Route]:
    """The routes of resumable uploads."""
    return [
        Route("OPTIONS", "/uploads", partial(describe_protocol, desk)),
        Route("GET", "/uploads", partial(list_uploads, desk)),
        Route("POST", "/uploads", partial(create_upload, desk)),
        Route("HEAD", "/uploads/{id}", partial(tell_offset, desk)),
        Route("PATCH", "/uploads/{id}", partial(receive_piece, desk), open_body=partial(open_piece, desk)),
        Route("DELETE", "/uploads/{id}", partial(delete_upload, desk)),
        Route("GET", "/uploads/{id}", partial(get_upload, desk)),
        Route("GET", "/uploads/{id}/results", partial(get_results, desk)),
    ]


def describe_protocol(desk: UploadDesk, _request: Request) -> Response:
    """What of tus is understood, and how large an upload may be."""
    headers: list[Header] = [
        *_TUS,
        (b"tus-version", _VERSION.encode()),
        (b"tus-extension", _EXTENSIONS.encode()),
        (b"tus-checksum-algorithm", ",".join(CHECKSUMS).encode()),
    ]
    if desk.imports.uploads.options.maximum_size:
        headers.append((b"tus-max-size", b"%d" % desk.imports.uploads.options.maximum_size))
    return Response(NO_CONTENT, tuple(headers))


def list_uploads(desk: UploadDesk, request: Request) -> Response:
    """The uploads that one has under way, or that ended lately."""
    mine = [each for each in desk.imports.uploads if each.username == request.username]
    return answer_json([_described(desk, each) for each in mine])


def get_upload(desk: UploadDesk, request: Request) -> Response:
    """How far an upload is."""
    try:
        return answer_json(_described(desk, _mine(desk, request)))
    except UploadElsewhere as error:
        return Response(_MISDIRECTED, (TEXT_TYPE,), str(error).encode())
    except NotFound as cause:
        raise UnknownResource from cause


def get_results(desk: UploadDesk, request: Request) -> Response:
    """What became of each file of an upload, as far as it is known yet."""
    try:
        upload = _mine(desk, request)
    except UploadElsewhere as error:
        return Response(_MISDIRECTED, (TEXT_TYPE,), str(error).encode())
    except NotFound as cause:
        raise UnknownResource from cause
    return Response(200, (JSON_TYPE,), _array(desk.imports.uploads.results(upload.id)))


def create_upload(desk: UploadDesk, request: Request) -> Response:
    """Begin an upload of the length in `Upload-Length`; its address is in `Location`."""
    refused = _other_version(request)
    if refused is not None:
        return refused
    length = _number(request, "upload-length")
    metadata = request.headers.get("upload-metadata", "")
    is_deferred = request.headers.get("upload-defer-length") == "1"
    if (length is None) is not is_deferred or len(metadata) > _LONGEST_METADATA:
        return _bare(400)
    try:
        created = desk.imports.uploads.create(
            length, metadata, username=request.username, remote_ip=request.remote_ip
        )
    except ArchiveError as error:
        return _refusal(error)
    # Relative, so that it leads back through whatever proxy the client came by.
    location = created.id if request.path.endswith("/") else f"uploads/{created.id}"
    return Response(_CREATED, (*_TUS, (b"location", header_value(location)), _expires(desk, created)))


def tell_offset(desk: UploadDesk, request: Request) -> Response:
    """Where to go on with an upload."""
    refused = _other_version(request)
    if refused is not None:
        return refused
    try:
        desk.imports.uploads.settle(request.values["id"])
        upload = _mine(desk, request)
    except NotFound as error:
        return _refusal(error)
    headers: list[Header] = [*_TUS, _offset(upload), _expires(desk, upload)]
    if upload.length is None:
        headers.append((b"upload-defer-length", b"1"))
    else:
        headers.append((b"upload-length", b"%d" % upload.length))
    if upload.metadata:
        headers.append((b"upload-metadata", header_value(upload.metadata)))
    return Response(200, tuple(headers))


def delete_upload(desk: UploadDesk, request: Request) -> Response:
    """Give an upload up, or forget what became of it."""
    refused = _other_version(request)
    if refused is not None:
        return refused
    try:
        desk.imports.uploads.delete(_mine(desk, request).id)
    except NotFound as error:
        return _refusal(error)
    return Response(NO_CONTENT, _TUS)


def receive_piece(desk: UploadDesk, request: Request) -> Response:
    """Append to an upload at `Upload-Offset`; the last piece has it taken in."""
    sink = open_piece(desk, request)
    if isinstance(sink, Response):
        return sink
    try:
        sink.write(bytes(body_view(request.body)))
    except ArchiveError:
        sink.abort()
        raise
    return sink.finish()


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of an upload while it arrives."""

    desk: UploadDesk
    writer: PieceWriter

    def write(self, data: bytes | bytearray) -> None:
        """See `BodySink.write`."""
        self.writer.write(data)

    def finish(self) -> Response:
        """See `BodySink.finish`."""
        try:
            upload = self.writer.finish()
        except ArchiveError as error:
            return _refusal(error)
        if upload.is_complete:
            upload = take_in(self.desk.imports, self.desk.engine, upload)
        return Response(NO_CONTENT, (*_TUS, _offset(upload), _expires(self.desk, upload)))

    def abort(self) -> None:
        """See `BodySink.abort`."""
        self.writer.stop()


def open_piece(desk: UploadDesk, request: Request) -> _Piece | Response:
    """What appends to an upload, or the answer that refuses it."""
    refused = _other_version(request)
    if refused is not None:
        return refused
    if request.headers.get("content-type") != "application/offset+octet-stream":
        return _bare(415)
    offset, length = _number(request, "upload-offset"), _number(request, "upload-length")
    try:
        checksum = _checksum(request.headers.get("upload-checksum"))
    except ValueError:
        return _bare(400)
    if offset is None:
        return _bare(400)
    try:
        writer = desk.imports.uploads.open(_mine(desk, request), offset, checksum, length)
    except ArchiveError as error:
        return _refusal(error)
    return _Piece(desk, writer)


def _mine(desk: UploadDesk, request: Request) -> Resumable:
    return desk.imports.uploads.get(request.values["id"], request.username)


def _other_version(request: Request) -> Response | None:
    if request.headers.get("tus-resumable") == _VERSION:
        return None
    return Response(_PRECONDITION_FAILED, (*_TUS, (b"tus-version", _VERSION.encode())))


def _bare(status: int) -> Response:
    return Response(status, _TUS)


def _refusal(error: ArchiveError) -> Response:
    """The answer to an error, in the words of tus."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return _bare(status)
    raise error


def _number(request: Request, header: str) -> int | None:
    text = request.headers.get(header, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _checksum(header: str | None) -> tuple[str, bytes] | None:
    """Algorithm and value of `Upload-Checksum`.

    Raises
    ------
    ValueError
        If it is not understood.
    """
    if header is None:
        return None
    name, _, encoded = header.partition(" ")
    if name not in CHECKSUMS:
        raise ValueError(name)
    return name, base64.b64decode(encoded.strip(), validate=True)


def _offset(upload: Resumable) -> Header:
    return b"upload-offset", b"%d" % upload.offset


def _expires(desk: UploadDesk, upload: Resumable) -> Header:
    moment = datetime.fromtimestamp(desk.imports.uploads.expires_ns(upload) // 1_000_000_000, UTC)
    return b"upload-expires", format_datetime(moment, usegmt=True).encode()


def _described(desk: UploadDesk, upload: Resumable) -> dict[str, Any]:
    return {
        "ID": upload.id,
        "Path": f"/uploads/{upload.id}",
        "Metadata": parse_metadata(upload.metadata),
        "Length": upload.length,
        "Offset": upload.offset,
        "State": upload.state.value,
        "Problem": upload.problem,
        "Job": upload.job_id or None,
        "Created": _date(upload.created_ns),
        "Expires": _date(desk.imports.uploads.expires_ns(upload)),
    }


def _date(time_ns: int) -> str:
    return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y%m%dT%H%M%S")


def parse_metadata(header: str) -> dict[str, str]:
    """What a client tells of its file: `key base64,key base64`; what is not understood is left out."""
    found = {}
    for part in header.split(","):
        match = _METADATA.fullmatch(part)
        if match is not None:
            try:
                found[match[1]] = base64.b64decode(match[2] or "", validate=True).decode("utf-8", "replace")
            except binascii.Error:
                continue
    return found


def _array(path: Path) -> Iterator[bytes]:
    """The lines of a file as an array."""
    yield b"["
    separator = b""
    try:
        with path.open("rb") as file:
            while lines := file.readlines(_PIECE):
                whole = [line[:-1] for line in lines if line.endswith(b"\n")]
                if whole:
                    yield separator + b",".join(whole)
                    separator = b","
    except FileNotFoundError:
        pass
    yield b"]"
