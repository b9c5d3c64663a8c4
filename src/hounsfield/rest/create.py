"""`POST /tools/create-dicom`: instances made of tags, and of contents."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any

from hounsfield.deid.apply import put
from hounsfield.deid.request import IDENTIFIER_LEVELS, read_value
from hounsfield.dicom.charset import character_set_of, is_known
from hounsfield.dicom.creation import (
    DATES,
    fill_in,
    identify_new,
    new_dataset,
)
from hounsfield.dicom.dataset import Dataset
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.levels import Level
from hounsfield.dicom.modules import MODULES
from hounsfield.dicom.mutable import MutableDataset, NewValue, values_of
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.tags import (
    IMAGE_INDEX,
    IMAGES_IN_ACQUISITION,
    INSTANCE_NUMBER,
    NUMBER_OF_TEMPORAL_POSITIONS,
    PATIENT_ID,
    PIXEL_DATA,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Tag,
)
from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from hounsfield.errors import BadRequest
from hounsfield.http.errors import (
    BadParent,
    CreateNotText,
    CreateOverridesTag,
    CreateUsesContent,
    CreateWithoutDataUri,
    CreateWithoutPayload,
    ParameterOutOfRange,
    ParentIsInstance,
)
from hounsfield.http.messages import Request, Response, answer_json
from hounsfield.http.routing import Route
from hounsfield.index.resources import find_level, first_instance
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Incoming, Receipt
from hounsfield.ingest.receive import receive
from hounsfield.rest.contents import file_of, with_content
from hounsfield.rest.door import Door
from hounsfield.rest.formats import json_object
from hounsfield.rest.modify import check_writable
from hounsfield.rest.uploads import describe
from hounsfield.retrieve.datasets import read_instance

_UIDS = frozenset((STUDY_INSTANCE_UID, SERIES_INSTANCE_UID, SOP_INSTANCE_UID))
_LARGEST_SERIES = 10_000


@dataclass(frozen=True, slots=True)
class _Options:
    private_creator: str
    is_forced: bool
    interprets_binary: bool
    is_encapsulated: bool


@dataclass(frozen=True, slots=True)
class _Parent:
    """A resource that the new instance is to be below: its level, and the header of one of its instances."""

    level: Level
    dataset: Dataset


def routes(door: Door) -> list[Route]:
    """The route of creation."""
    return [Route("POST", "/tools/create-dicom", partial(create_dicom, door))]


def create_dicom(door: Door, request: Request) -> Response:
    """Make an instance of tags and content, or a series of several contents."""
    body = json_object(request)
    check_writable(door)
    now = datetime.fromtimestamp(door.intake.clock_ns() / 1e9, UTC)
    origin = Origin(OriginKind.REST_API, remote_ip=request.remote_ip, http_username=request.username)
    if "Tags" not in body and body:
        return answer_json(describe(_store(door, origin, _create_simply(door, body))))
    tags = body.get("Tags", {})
    if not isinstance(tags, dict):
        raise BadRequest("The member Tags must be an object")
    options = _Options(
        _text(body, "PrivateCreator", door.options.default_private_creator),
        _flag(body, "Force", default=False),
        _flag(body, "InterpretBinaryTags", default=True),
        _flag(body, "Encapsulate", default=False),
    )
    parent = _find_parent(door, body["Parent"]) if "Parent" in body else None
    dataset = _from_tags(door, tags, options, parent)
    content = body.get("Content", [])
    if isinstance(content, list) and content:
        return _create_series(door, origin, dataset, content, options, now, parent)
    if not isinstance(content, (str, list)):
        raise CreateWithoutDataUri("The member Content must be a data URI, or an array of them")
    fill_in(dataset, now, parent.level if parent else None)
    file = (
        with_content(dataset, content, is_encapsulated=options.is_encapsulated)
        if isinstance(content, str)
        else file_of(dataset)
    )
    return answer_json(describe(_store(door, origin, file)))


def _text(body: Mapping[str, Any], name: str, default: str) -> str:
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadRequest(f"The member {name} must be a string")
    return value


def _flag(body: Mapping[str, Any], name: str, *, default: bool) -> bool:
    value = body.get(name, default)
    if not isinstance(value, bool):
        raise BadRequest(f"The member {name} must be a Boolean")
    return value


# --- Tags ---


def _find_parent(door: Door, public_id: object) -> _Parent:
    with door.archive.database.read() as tx:
        level = find_level(tx, public_id) if isinstance(public_id, str) else None
        if level is None:
            raise BadParent
        if level == Level.INSTANCE:
            raise ParentIsInstance
        instance = first_instance(tx, level, str(public_id))
    head = read_instance(door.archive, instance, default_encoding=door.options.default_encoding)
    return _Parent(level, head.dataset)


def _from_tags(
    door: Door, tags: Mapping[str, Any], options: _Options, parent: _Parent | None
) -> MutableDataset:
    """A data set with the tags given and those of its parent."""
    given = {lookup.parse_tag(name, options.private_creator): value for name, value in tags.items()}
    if PIXEL_DATA in given:
        raise CreateUsesContent
    character_set = character_set_of(door.options.default_encoding)
    if parent is not None and SPECIFIC_CHARACTER_SET in parent.dataset:
        character_set = parent.dataset.text(SPECIFIC_CHARACTER_SET) or character_set
    if SPECIFIC_CHARACTER_SET in given:
        character_set = str(given.pop(SPECIFIC_CHARACTER_SET))
        if not is_known(character_set):
            raise ParameterOutOfRange("Unknown specific character set")
    dataset = new_dataset(character_set)
    if parent is not None:
        inherited = [tag for level in Level if level <= parent.level for tag in MODULES[level]]
        for tag, value in values_of(parent.dataset, inherited).items():
            put(dataset, tag, value)
    for tag, value in sorted(given.items()):
        _check_override(dataset, tag, value, options)
        _put(dataset, tag, value, options)
    return dataset


def _check_override(dataset: MutableDataset, tag: Tag, value: object, options: _Options) -> None:
    """Nothing of the parent, and no UID, is changed by accident."""
    if options.is_forced or tag in DATES:
        return
    is_same = tag == PATIENT_ID and (tag not in dataset or dataset.text(tag) == value)
    if tag in _UIDS or (tag in dataset and not is_same):
        raise CreateOverridesTag(lookup.name(tag))


def _put(dataset: MutableDataset, tag: Tag, value: Any, options: _Options) -> None:
    parsed: NewValue = read_value(tag, value, options.private_creator)
    if not options.interprets_binary and isinstance(parsed, str) and dataset.vr(tag) in ("OB", "OW", "UN"):
        parsed = parsed.encode()
    put(dataset, tag, parsed, options.private_creator)


# --- Content ---


def _create_series(
    door: Door,
    origin: Origin,
    dataset: MutableDataset,
    contents: list[Any],
    options: _Options,
    now: datetime,
    parent: _Parent | None,
) -> Response:
    """One instance a content, all in one new series; nothing is stored before all are made."""
    if len(contents) > _LARGEST_SERIES:
        raise BadRequest(f"More than {_LARGEST_SERIES} instances at once")
    fill_in(dataset, now, parent.level if parent else None)
    common = values_of_made(dataset)
    files = []
    for number, content in enumerate(contents, start=1):
        made = new_dataset(dataset.text(SPECIFIC_CHARACTER_SET) or "")
        for tag, value in common.items():
            if tag not in (SOP_INSTANCE_UID, SPECIFIC_CHARACTER_SET):
                put(made, tag, value)
        identify_new(made)
        for tag, text in (
            (INSTANCE_NUMBER, str(number)),
            (IMAGE_INDEX, str(number)),
            (IMAGES_IN_ACQUISITION, str(len(contents))),
            (NUMBER_OF_TEMPORAL_POSITIONS, "1"),
        ):
            if tag not in made:
                put(made, tag, text)
        uri, tags = _item(content)
        for name, value in tags.items():
            tag = lookup.parse_tag(name, options.private_creator)
            if tag == PIXEL_DATA:
                raise CreateUsesContent
            if tag in IDENTIFIER_LEVELS and not options.is_forced:
                raise CreateOverridesTag(lookup.name(tag))
            _put(made, tag, value, options)
        files.append(with_content(made, uri, is_encapsulated=options.is_encapsulated))
    receipts = [_store(door, origin, file) for file in files]
    series = receipts[0].identifiers.public_id(Level.SERIES)
    path = f"/{Level.SERIES.plural}/{series}"
    return answer_json({"ID": series, "Path": path, "Status": receipts[0].outcome.value})


def values_of_made(dataset: MutableDataset) -> dict[Tag, NewValue]:
    """The values of a data set that was made here."""
    written = dataset.to_bytes()
    made = read_head(written, transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN).dataset
    return values_of(made, made)


def _item(content: Any) -> tuple[str, Mapping[str, Any]]:
    """The data URI of one of several contents, and the tags of its own."""
    if isinstance(content, str):
        return content, {}
    if not isinstance(content, dict):
        raise CreateWithoutDataUri
    if "Content" not in content:
        raise CreateWithoutPayload
    tags = content.get("Tags", {})
    if not isinstance(content["Content"], str) or not isinstance(tags, dict):
        raise CreateWithoutDataUri
    return content["Content"], tags


# --- The first version of the interface ---


def _create_simply(door: Door, body: Mapping[str, Any]) -> bytes:
    """The file of an instance whose tags are the members of the body, with pixel data as a data URI."""
    options = _Options(door.options.default_private_creator, True, True, False)
    dataset = new_dataset("")
    dataset.set_text(SPECIFIC_CHARACTER_SET, character_set_of(door.options.default_encoding))
    uri: str | None = None
    for name, value in body.items():
        if not isinstance(value, str):
            raise CreateNotText
        tag = lookup.parse_tag(name, options.private_creator)
        if tag == PIXEL_DATA:
            uri = value
        else:
            _put(dataset, tag, value, options)
    identify_new(dataset)
    return with_content(dataset, uri, is_encapsulated=False) if uri is not None else file_of(dataset)


def _store(door: Door, origin: Origin, file: bytes) -> Receipt:
    return receive(door.intake, Incoming(origin, file))
