"""Attachments of resources of any level: reading them, changing those of users, and how they are stored."""

from collections.abc import Callable
from functools import partial

from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, NotFound
from hounsfield.http.errors import Forbidden, InexistentItem, NoAnswer, UnknownResource
from hounsfield.http.messages import (
    EMPTY_OBJECT,
    EMPTY_TEXT,
    FileBody,
    Request,
    Response,
    answer_bytes,
    answer_json,
    answer_text,
    body_view,
)
from hounsfield.http.ranges import content_range, parse_range
from hounsfield.http.routing import Route
from hounsfield.index.attachments import (
    Attachment,
    AttachmentType,
    Compression,
    attachments_of,
    find_attachment,
)
from hounsfield.index.metadata import FIRST_USER_TYPE, LAST_USER_TYPE
from hounsfield.index.resources import get_row
from hounsfield.ingest.attachments import Check, attach, detach, recompress
from hounsfield.rest.door import Door
from hounsfield.rest.expansion import attachment_object
from hounsfield.rest.revisions import check_write, etag, not_modified
from hounsfield.retrieve.files import plain_file, read_attachment, with_md5
from hounsfield.store.area import FileKey

_BY_NAME = {kind.word: int(kind) for kind in AttachmentType}
_BY_NUMBER = {int(kind): kind.word for kind in AttachmentType}
_OCTETS = "application/octet-stream"

Reader = Callable[[Door, Attachment, Request], Response]


def routes(door: Door) -> list[Route]:
    """The routes of attachments."""
    found = []
    for level in Level:
        path = f"/{level.plural}/{{id}}/attachments"
        found += [
            Route("GET", path, partial(list_attachments, door, level), is_inline=True),
            Route("GET", path + "/{name}", partial(list_operations, door, level)),
            Route("PUT", path + "/{name}", partial(put_attachment, door, level)),
            Route("DELETE", path + "/{name}", partial(delete_attachment, door, level)),
            Route("POST", path + "/{name}/compress", partial(compress, door, level)),
            Route("POST", path + "/{name}/uncompress", partial(uncompress, door, level)),
            Route("POST", path + "/{name}/verify-md5", partial(verify_md5, door, level)),
        ]
        for name, reader in _READERS.items():
            handler = partial(read_part, door, level, reader)
            found.append(Route("GET", f"{path}/{{name}}/{name}", handler))
    return found


def list_attachments(door: Door, level: Level, request: Request) -> Response:
    """The names of all attachments, or their numbers by name."""
    with door.archive.database.read() as tx:
        found = attachments_of(tx, level, get_row(tx, level, request.values["id"]))
    names = {_name(door, each.type): each.type for each in found}
    return answer_json(names if request.has("full") else list(names))


def list_operations(door: Door, level: Level, request: Request) -> Response:
    """What can be asked of an attachment, unless the client has it already."""
    attachment = _find(door, level, request)
    known = not_modified(request, attachment.revision, _md5(door, attachment))
    if known is not None:
        return known
    names = ["compress", "uncompress", "verify-md5", *_READERS]
    if not door.options.store_md5:
        names = [name for name in names if name not in ("md5", "compressed-md5", "verify-md5")]
    return answer_json(sorted(names), (_etag(door, attachment),))


def read_part(door: Door, level: Level, reader: Reader, request: Request) -> Response:
    """The bytes, size, MD5 or summary of an attachment, unless the client has it already."""
    attachment = _find(door, level, request)
    header = _etag(door, attachment)
    known = not_modified(request, attachment.revision, _md5(door, attachment))
    if known is not None:
        return known
    answer = reader(door, attachment, request)
    return Response(answer.status, (*answer.headers, header), answer.body)


def verify_md5(door: Door, level: Level, request: Request) -> Response:
    """Read the bytes of an attachment again, and compare them with its MD5."""
    attachment = _find(door, level, request)
    if not door.options.store_md5:
        raise NoAnswer
    forgotten = Attachment(
        attachment.type,
        attachment.uuid,
        attachment.size,
        attachment.stored_size,
        attachment.compression,
        None,
        None,
        attachment.revision,
    )
    try:
        if with_md5(door.archive, forgotten).md5 != attachment.md5:
            raise NoAnswer
    except ArchiveError as cause:
        raise NoAnswer from cause
    return EMPTY_OBJECT


def put_attachment(door: Door, level: Level, request: Request) -> Response:
    """Attach the body, in the users' range of names."""
    kind = _user_number(door, request)
    try:
        put = attach(
            door.intake, level, request.values["id"], kind, body_view(request.body), _check(door, request)
        )
    except NotFound as cause:
        raise InexistentItem("There is no such resource") from cause
    return Response(200, (*EMPTY_OBJECT.headers, _etag(door, put)), EMPTY_OBJECT.body)


def delete_attachment(door: Door, level: Level, request: Request) -> Response:
    """Delete an attachment of the users' range."""
    kind = _user_number(door, request, AttachmentType.DICOM_AS_JSON)
    detach(door.intake, level, request.values["id"], kind, _check(door, request))
    return EMPTY_TEXT


def _check(door: Door, request: Request) -> Check:
    """Whether the client has seen what it replaces or deletes."""

    def check(existing: Attachment | None) -> None:
        if existing is not None:
            check_write(door.options, request, existing.revision, _md5(door, existing))

    return check


def _user_number(door: Door, request: Request, *also: int) -> int:
    number = _number(door, request.values["name"])
    if number not in also and not FIRST_USER_TYPE <= number <= LAST_USER_TYPE:
        raise Forbidden
    return number


def compress(door: Door, level: Level, request: Request) -> Response:
    """Keep an attachment compressed from now on."""
    return _recompress(door, level, request, Compression.ZLIB_WITH_SIZE)


def uncompress(door: Door, level: Level, request: Request) -> Response:
    """Keep an attachment as it is from now on."""
    return _recompress(door, level, request, Compression.NONE)


def _recompress(door: Door, level: Level, request: Request, wanted: Compression) -> Response:
    attachment = _find(door, level, request)
    if attachment.compression != wanted:
        recompress(door.intake, level, request.values["id"], attachment, to=wanted)
    return EMPTY_OBJECT


def _find(door: Door, level: Level, request: Request) -> Attachment:
    kind = _number(door, request.values["name"])
    with door.archive.database.read() as tx:
        found = find_attachment(tx, level, request.values["id"], kind)
    if found is None:
        raise UnknownResource
    return with_md5(door.archive, found) if door.options.store_md5 else found


def _name(door: Door, kind: int) -> str:
    if kind in _BY_NUMBER:
        return _BY_NUMBER[kind]
    return next(
        (name for name, (number, _) in door.options.user_content_types.items() if number == kind), str(kind)
    )


def _number(door: Door, name: str) -> int:
    if name in _BY_NAME:
        return _BY_NAME[name]
    if name in door.options.user_content_types:
        return door.options.user_content_types[name][0]
    if name.isascii() and name.isdigit() and len(name) < 10:
        return int(name)
    raise InexistentItem("Unknown attachment")


def mime_type(door: Door, kind: int) -> str:
    """The media type of a kind of attachment."""
    if kind in (AttachmentType.DICOM, AttachmentType.DICOM_UNTIL_PIXEL_DATA):
        return "application/dicom"
    if kind == AttachmentType.DICOM_AS_JSON:
        return "application/json"
    return next(
        (mime for number, mime in door.options.user_content_types.values() if number == kind), _OCTETS
    )


def _md5(door: Door, attachment: Attachment) -> str:
    return (attachment.md5 or "") if door.options.store_md5 else ""


def _etag(door: Door, attachment: Attachment) -> tuple[bytes, bytes]:
    return etag(attachment.revision, _md5(door, attachment))


def _data(door: Door, attachment: Attachment, request: Request) -> Response:
    filename = request.arguments.get("filename", attachment.uuid)
    body = file_body(door, attachment)
    return _ranged(body, request, mime_type(door, attachment.type), filename)


def file_body(door: Door, attachment: Attachment) -> bytes | FileBody:
    """The uncompressed bytes of an attachment, left in their file if they are there."""
    plain = plain_file(door.archive, attachment)
    if plain is not None:
        return FileBody(plain.path, 0, plain.size)
    return read_attachment(door.archive, attachment)


def _compressed_data(door: Door, attachment: Attachment, request: Request) -> Response:
    if attachment.compression == Compression.NONE:
        return _data(door, attachment, request)
    path = door.archive.storage.path(FileKey(attachment.uuid))
    body: bytes | FileBody
    if path is not None:
        body = FileBody(path, 0, attachment.stored_size)
    else:
        body = door.archive.storage.read(FileKey(attachment.uuid), 0, attachment.stored_size)
    return _ranged(body, request, _OCTETS, None)


def _ranged(body: bytes | FileBody, request: Request, mime: str, filename: str | None) -> Response:
    header = request.headers.get("range")
    if header is None:
        return answer_bytes(body, mime, filename=filename)
    total = body.length if isinstance(body, FileBody) else len(body)
    start, length = parse_range(header, total)
    if isinstance(body, FileBody):
        part: bytes | FileBody = FileBody(body.path, body.offset + start, length)
    else:
        part = body[start : start + length]
    headers = ((b"content-type", _OCTETS.encode()), content_range(start, length, total))
    return Response(206, headers, part)


def _text(read: Callable[[Attachment], str]) -> Reader:
    return lambda _door, attachment, _request: answer_text(read(attachment))


def _md5_text(read: Callable[[Attachment], str | None]) -> Reader:
    def reader(door: Door, attachment: Attachment, _request: Request) -> Response:
        value = read(attachment) if door.options.store_md5 else None
        if value is None:
            raise NoAnswer
        return answer_text(value)

    return reader


def _info(door: Door, attachment: Attachment, _request: Request) -> Response:
    written = attachment_object(attachment)
    if not door.options.store_md5:
        written["UncompressedMD5"] = written["CompressedMD5"] = ""
    return answer_json(written)


_READERS: dict[str, Reader] = {
    "data": _data,
    "compressed-data": _compressed_data,
    "size": _text(lambda each: str(each.size)),
    "compressed-size": _text(lambda each: str(each.stored_size)),
    "md5": _md5_text(lambda each: each.md5),
    "compressed-md5": _md5_text(lambda each: each.stored_md5),
    "is-compressed": _text(lambda each: "0" if each.compression == Compression.NONE else "1"),
    "info": _info,
}
