"""The attributes of an instance: as JSON, one by one, and its file."""

import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import orjson

from hounsfield.dicom import uids
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dicom_json import BinaryMode, JsonObject, Options, dicom_json
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.native_model import native_model
from hounsfield.dicom.part10 import Head
from hounsfield.dicom.tags import ITEM, Tag
from hounsfield.errors import NotFound
from hounsfield.http.errors import BadParameterType, NoAnswer, ParameterOutOfRange
from hounsfield.http.messages import (
    FileBody,
    Request,
    Response,
    answer_bytes,
    answer_json,
    answer_json_bytes,
    unsigned,
)
from hounsfield.http.routing import Route
from hounsfield.index.attachments import Compression
from hounsfield.rest.attachments import file_body
from hounsfield.rest.door import Door
from hounsfield.rest.formats import TagFormat, format_of, ignored_lengths, write_dataset
from hounsfield.retrieve.datasets import read_instance, read_instance_head
from hounsfield.retrieve.files import find_dicom, plain_file, stream_attachment
from hounsfield.retrieve.transcoded import read_transcoded

_STREAMED = 8 << 20  # Bytes from which a compressed file is expanded while it is sent.
_META_GROUP_LENGTH: Tag = 0x00020000
_SOP_CLASS_UID: Tag = 0x00080016
_ENCAPSULATED_DOCUMENT: Tag = 0x00420011
_ENCAPSULATED_PDF_STORAGE = "1.2.840.10008.5.1.4.1.1.104.1"
# Up to this size a file is read beyond its pixel data to list what comes after.
_WHOLE_BYTES = 64 << 20
_MODEL_OPTIONS = Options(BinaryMode.ARRAY, are_decimals_numbers=True)
_MODELS: Mapping[str, Callable[[JsonObject], bytes]] = {
    "application/dicom+json": lambda model: orjson.dumps(model, option=orjson.OPT_SORT_KEYS),
    "application/dicom+xml": native_model,
}


def routes(door: Door) -> list[Route]:
    """The routes of an instance's file and attributes."""
    return [
        Route("GET", "/instances/{id}/file", partial(get_file, door), at_hand=partial(file_at_hand, door)),
        _tags_route(door, "/instances/{id}/tags", TagFormat.FULL),
        _tags_route(door, "/instances/{id}/simplified-tags", TagFormat.HUMAN),
        Route("GET", "/instances/{id}/header", partial(get_header, door)),
        Route("GET", "/instances/{id}/content/{path...}", partial(get_content, door)),
        Route("GET", "/instances/{id}/pdf", partial(get_pdf, door)),
    ]


def _tags_route(door: Door, pattern: str, default: TagFormat) -> Route:
    return Route(
        "GET", pattern, partial(get_tags, door, default), at_hand=partial(tags_at_hand, door, default)
    )


def get_file(door: Door, request: Request) -> Response:
    """The DICOM file."""
    public_id, arguments = request.values["id"], request.arguments
    attachment = find_dicom(door.archive, public_id)
    filename = arguments.get("filename", f"{public_id}.dcm")
    if "transcode" in arguments:
        return answer_bytes(_transcoded(door, request), "application/dicom", filename=filename)
    accept = request.headers.get("accept", "")
    if accept in _MODELS:
        model = dicom_json(_read(door, public_id, whole=True).dataset, _MODEL_OPTIONS)
        return answer_bytes(_MODELS[accept](model), accept)
    body: bytes | FileBody | Iterator[bytes]
    if attachment.size > _STREAMED and attachment.compression != Compression.NONE:
        body = stream_attachment(door.archive, attachment)
    else:
        body = file_body(door, attachment)
    return answer_bytes(body, "application/dicom", filename=filename)


def _transcoded(door: Door, request: Request) -> bytes:
    uid = request.arguments["transcode"]
    if uid not in uids.TRANSFER_SYNTAXES:
        raise ParameterOutOfRange(f"Unknown transfer syntax: {uid}")
    quality = door.options.lossy_quality
    if "lossy-quality" in request.arguments:
        try:
            quality = unsigned(request.arguments["lossy-quality"])
        except BadParameterType as cause:
            raise ParameterOutOfRange("The lossy quality is not an unsigned integer") from cause
    return read_transcoded(door.archive, request.values["id"], uid, lossy_quality=quality)


def file_at_hand(door: Door, request: Request) -> Response:
    """The same if it lies in a file as it is; `NotFound` otherwise."""
    if request.headers.get("accept", "").startswith("application/dicom+"):
        raise NotFound
    public_id = request.values["id"]
    plain = plain_file(door.archive, find_dicom(door.archive, public_id))
    if plain is None:
        raise NotFound
    return answer_bytes(FileBody(plain.path, 0, plain.size), "application/dicom", filename=f"{public_id}.dcm")


def get_tags(door: Door, default: TagFormat, request: Request) -> Response:
    """All attributes up to the pixel data, with `whole` also those after."""
    public_id = request.values["id"]
    if request.query:
        chosen = default if default is TagFormat.HUMAN else format_of(request, default)
        head = _read(door, public_id, whole=request.flag("whole"))
        return answer_json(write_dataset(head.dataset, chosen, ignored_lengths(request)))
    attachment = find_dicom(door.archive, public_id)

    def make() -> bytes:
        encoding = door.options.default_encoding
        head = read_instance_head(door.archive, attachment, default_encoding=encoding)
        return orjson.dumps(write_dataset(head.dataset, default), option=orjson.OPT_SORT_KEYS)

    return answer_json_bytes(door.cache.get_or_make((default.value, attachment.uuid), make))


def tags_at_hand(door: Door, default: TagFormat, request: Request) -> Response:
    """The same if it was asked for lately; `NotFound` otherwise."""
    attachment = find_dicom(door.archive, request.values["id"])
    return answer_json_bytes(door.cache.get_or_make((default.value, attachment.uuid), _not_at_hand))


def _not_at_hand() -> bytes:
    raise NotFound


def _read(door: Door, public_id: str, *, whole: bool = False) -> Head:
    encoding = door.options.default_encoding
    return read_instance(door.archive, public_id, default_encoding=encoding, whole=whole)


def get_header(door: Door, request: Request) -> Response:
    """The File Meta Information, whose group length is given too."""
    meta = _read(door, request.values["id"]).meta_dataset
    chosen = format_of(request, TagFormat.FULL)
    written = write_dataset(meta, chosen)
    for key in ("0002,0001", "FileMetaInformationVersion"):  # Two bytes, which were never given.
        written.pop(key, None)
    length = meta.text(_META_GROUP_LENGTH)
    if length is not None:
        name = "FileMetaInformationGroupLength"
        if chosen is TagFormat.FULL:
            written["0002,0000"] = {"Name": name, "Type": "String", "Value": length}
        else:
            written[name if chosen is TagFormat.HUMAN else "0002,0000"] = length
    return answer_json(written)


def get_content(door: Door, request: Request) -> Response:
    """One attribute by its path, `tag (index tag)*`, or what there is below the path."""
    parts = [part for part in request.values["path"].split("/") if part]
    is_small = not parts and find_dicom(door.archive, request.values["id"]).size <= _WHOLE_BYTES
    head = _read(door, request.values["id"], whole=is_small)
    dataset = head.dataset
    if not parts:
        return answer_json(_tag_names(dataset, head.pixel_data_tag))
    tag = _parse(parts[0])
    if tag == head.pixel_data_tag and parts[1:] == ["0"]:
        stretch = _native_pixels(door, request.values["id"], head)
        if stretch is not None:
            return answer_bytes(stretch, "application/octet-stream")
    if tag not in dataset and head.has_pixel_data:
        head = _read(door, request.values["id"], whole=True)
        dataset = head.dataset
    if tag == head.pixel_data_tag:
        return _pixel_data(head, tag, parts[1:])
    return _element(dataset, parts)


def _parse(text: str) -> Tag:
    tag = lookup.parse_tag(text)
    if tag >> 16 == 0x0002:
        raise NoAnswer
    return tag


def _tag_names(dataset: Dataset, pixel_data_tag: Tag | None) -> list[str]:
    tags = {*dataset, pixel_data_tag} if pixel_data_tag is not None else {*dataset}
    return [f"{tag >> 16:04x}-{tag & 0xFFFF:04x}" for tag in sorted(tags)]


def _element(dataset: Dataset, parts: list[str]) -> Response:
    """Go down the path; it ends at an element or at an item."""
    while True:
        tag = _parse(parts[0])
        if tag not in dataset:
            raise NoAnswer
        if dataset.vr(tag) != "SQ":
            if len(parts) > 1:
                raise NoAnswer
            return answer_bytes(dataset.raw(tag), "application/octet-stream")
        items = dataset.items(tag)
        if len(parts) == 1:
            return answer_json([str(number) for number in range(len(items))])
        dataset = items[_index(parts[1], len(items))]
        if len(parts) == 2:
            return answer_json(_tag_names(dataset, None))
        parts = parts[2:]


def _index(text: str, count: int) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 9 or int(text) >= count:
        raise NoAnswer
    return int(text)


def _native_pixels(door: Door, public_id: str, head: Head) -> FileBody | None:
    """Where native pixels lie in a file that is as it came: however many, they are sent without being read."""
    plain = plain_file(door.archive, find_dicom(door.archive, public_id))
    offset, length = head.pixel_data_offset, head.pixel_data_length
    if plain is None or offset is None or length is None:
        return None
    start = offset + (12 if head.dataset.encoding.is_explicit else 8)  # The long form of PS3.5 7.1.2.
    return FileBody(plain.path, start, length) if start + length <= plain.size else None


def _pixel_data(head: Head, tag: Tag, parts: list[str]) -> Response:
    """The blocks of pixel data: the fragments from the offset table on, or all native pixels as one."""
    raw = head.dataset.raw(tag)
    is_encapsulated = uids.transfer_syntax(head.transfer_syntax_uid).is_encapsulated
    blocks = list(_fragments(raw)) if is_encapsulated else [memoryview(raw)]
    if not parts:
        return answer_json([str(number) for number in range(len(blocks))])
    if len(parts) > 1:
        raise NoAnswer
    return answer_bytes(bytes(blocks[_index(parts[0], len(blocks))]), "application/octet-stream")


def _fragments(raw: bytes) -> Iterator[memoryview]:
    """The values of the items of encapsulated pixel data. PS3.5 A.4."""
    view, position = memoryview(raw), 0
    while position + 8 <= len(raw):
        group, element, length = struct.unpack_from("<HHI", raw, position)
        if (group << 16 | element) != ITEM:
            return
        yield view[position + 8 : position + 8 + length]
        position += 8 + length


def get_pdf(door: Door, request: Request) -> Response:
    """The document in an Encapsulated PDF. PS3.3 A.45.1."""
    dataset = _read(door, request.values["id"]).dataset
    document = dataset.raw(_ENCAPSULATED_DOCUMENT)
    if not document or dataset.text(_SOP_CLASS_UID) != _ENCAPSULATED_PDF_STORAGE:
        raise NoAnswer
    return answer_bytes(document.removesuffix(b"\0"), "application/pdf")
