"""Resources as JSON objects."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import Tag
from hounsfield.http.errors import ParameterOutOfRange
from hounsfield.index.attachments import Attachment, AttachmentType
from hounsfield.index.database import Transaction
from hounsfield.index.metadata import MetadataType
from hounsfield.index.resources import Part, Resource, load
from hounsfield.rest.door import Door
from hounsfield.rest.formats import TagFormat, write_texts
from hounsfield.rest.metadata_names import metadata_name
from hounsfield.rest.requested_tags import Wanted, requested_tags

CONTENTS = frozenset(
    (
        "MainDicomTags",
        "RequestedTags",
        "Metadata",
        "Children",
        "Parent",
        "Labels",
        "Status",
        "IsStable",
        "IsProtected",
        "Attachments",
    )
)
_LEGACY_PARTS = frozenset((Part.CHILDREN, Part.LABELS, Part.STATUS))
_LEGACY_PARTS_OF_INSTANCES = frozenset((Part.LABELS, Part.ATTACHMENTS))
_PARTS = {part.value: part for part in Part}
_CHILDREN = ("Studies", "Series", "Instances")


@dataclass(frozen=True, slots=True)
class Expansion:
    """How resources are to be written. `content` None stands for the legacy object."""

    tag_format: TagFormat = TagFormat.HUMAN
    content: frozenset[str] | None = None
    requested: tuple[Tag, ...] = ()
    has_metadata: bool = False


def parse_content(names: Sequence[str]) -> frozenset[str]:
    """The members selected by `response-content`.

    Raises
    ------
    ParameterOutOfRange
        For an unknown one.
    """
    for name in names:
        if name not in CONTENTS:
            raise ParameterOutOfRange(f'Unrecognized value for "ResponseContent": {name}')
    return frozenset(names)


def expand(
    door: Door, tx: Transaction, level: Level, public_ids: Sequence[str], expansion: Expansion
) -> list[dict[str, Any]]:
    """The objects of some resources, in their order; those that do not exist are left out."""
    parts = _parts(expansion, level)
    objects = []
    resources = load(tx, level, public_ids, parts)
    requested: dict[PublicId, dict[str, Any]] = {}
    if expansion.requested:
        wanted = Wanted(expansion.requested, expansion.tag_format)
        requested = requested_tags(door, tx, level, resources, wanted)
    for resource in resources:
        written = (
            _legacy(resource, expansion)
            if expansion.content is None
            else _selected(door, resource, expansion)
        )
        if expansion.has_metadata:
            written["Metadata"] = _metadata(door, resource)
        if expansion.requested:
            written["RequestedTags"] = requested[resource.public_id]
        objects.append(written)
    return objects


def _parts(expansion: Expansion, level: Level) -> Collection[Part]:
    if expansion.content is None:
        legacy = _LEGACY_PARTS if level < Level.INSTANCE else _LEGACY_PARTS_OF_INSTANCES
        return legacy | {Part.METADATA} if expansion.has_metadata else legacy
    return {_PARTS[name] for name in expansion.content if name in _PARTS}


def _legacy(resource: Resource, expansion: Expansion) -> dict[str, Any]:
    level = resource.level
    written: dict[str, Any] = {
        "ID": resource.public_id,
        "Type": level.word,
        "MainDicomTags": write_texts(resource.main_tags, expansion.tag_format),
        "Labels": resource.labels,
    }
    if level > Level.PATIENT:
        written["Parent" + Level(level - 1).word] = resource.parent
    if level < Level.INSTANCE:
        written[_CHILDREN[level]] = resource.children
        written["IsStable"] = resource.is_stable
        written["LastUpdate"] = resource.last_update
    if level == Level.PATIENT:
        written["IsProtected"] = resource.is_protected
    elif level == Level.STUDY:
        written["PatientMainDicomTags"] = write_texts(resource.patient_main_tags, expansion.tag_format)
    elif level == Level.SERIES:
        written["Status"] = resource.status
        written["ExpectedNumberOfInstances"] = resource.expected_instances
    else:
        written["IndexInSeries"] = resource.index_in_series
        _add_file(written, resource.attachments)
    for kind in (MetadataType.MODIFIED_FROM, MetadataType.ANONYMIZED_FROM):
        if kind in resource.metadata:
            written[kind.word] = resource.metadata[kind]
    return written


def _add_file(written: dict[str, Any], attachments: Sequence[Attachment]) -> None:
    for attachment in attachments:
        if attachment.type == AttachmentType.DICOM:
            written["FileSize"] = attachment.size
            written["FileUuid"] = attachment.uuid


def _selected(door: Door, resource: Resource, expansion: Expansion) -> dict[str, Any]:
    content, level = expansion.content or frozenset(), resource.level
    written: dict[str, Any] = {"ID": resource.public_id, "Type": level.word}
    if "MainDicomTags" in content:
        written["MainDicomTags"] = write_texts(resource.main_tags, expansion.tag_format)
        if level == Level.STUDY:
            written["PatientMainDicomTags"] = write_texts(resource.patient_main_tags, expansion.tag_format)
    if "Children" in content and level < Level.INSTANCE:
        written[_CHILDREN[level]] = resource.children
    if "Parent" in content and level > Level.PATIENT:
        written["Parent" + Level(level - 1).word] = resource.parent
    if "Labels" in content:
        written["Labels"] = resource.labels
    if "Status" in content and level == Level.SERIES:
        written["Status"] = resource.status
        written["ExpectedNumberOfInstances"] = resource.expected_instances
    if "IsStable" in content and level < Level.INSTANCE:
        written["IsStable"] = resource.is_stable
    if "IsProtected" in content and level == Level.PATIENT:
        written["IsProtected"] = resource.is_protected
    if "Metadata" in content:
        written["Metadata"] = _metadata(door, resource)
    if "Attachments" in content:
        written["Attachments"] = [attachment_object(attachment) for attachment in resource.attachments]
    return written


def _metadata(door: Door, resource: Resource) -> dict[str, str]:
    return {metadata_name(door.options, kind): value for kind, value in resource.metadata.items()}


def attachment_object(attachment: Attachment) -> dict[str, Any]:
    """An attachment as an object; an MD5 that is not known is empty."""
    return {
        "Uuid": attachment.uuid,
        "ContentType": attachment.type,
        "UncompressedSize": attachment.size,
        "CompressedSize": attachment.stored_size,
        "UncompressedMD5": attachment.md5 or "",
        "CompressedMD5": attachment.stored_md5 or "",
    }
