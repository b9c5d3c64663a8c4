"""The bodies of modification and anonymization requests, read and checked once.

The language is that of the REST interface; scripts and jobs speak it too.
"""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote_to_bytes

from hounsfield.deid.paths import Path, parse_path
from hounsfield.deid.profiles import DEFAULT_EDITION, EDITIONS, Profile, profile
from hounsfield.dicom.charset import is_known
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.levels import Level
from hounsfield.dicom.mutable import NewValue
from hounsfield.dicom.tags import (
    PATIENT_ID,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Tag,
    format_tag,
    is_of_dataset,
)
from hounsfield.errors import BadRequest, Corrupt

IDENTIFIER_LEVELS: Mapping[Tag, Level] = MappingProxyType(
    {
        PATIENT_ID: Level.PATIENT,
        STUDY_INSTANCE_UID: Level.STUDY,
        SERIES_INSTANCE_UID: Level.SERIES,
        SOP_INSTANCE_UID: Level.INSTANCE,
    }
)
_DEEPEST = 64


class WrongType(BadRequest):
    """A value of the wrong type."""


class WrongValue(BadRequest):
    """A value that cannot be."""


class WrongForm(Corrupt):
    """A member of the body is not of the form it should have."""


@dataclass(frozen=True, slots=True)
class Request:
    """What is to be changed.

    `kept`, `removed` and `replaced` concern the data set itself, those of `nested_` items of its sequences. `profile`
    is None for a modification. `transcode` is a transfer syntax, empty to keep each instance's own.
    """

    level: Level
    profile: Profile | None = None
    replaced: Mapping[Tag, NewValue] = field(default_factory=dict)
    removed: frozenset[Tag] = frozenset()
    kept: frozenset[Tag] = frozenset()
    nested_replaced: tuple[tuple[Path, NewValue], ...] = ()
    nested_removed: tuple[Path, ...] = ()
    nested_kept: tuple[Path, ...] = ()
    removes_private_tags: bool = False
    private_creator: str = ""
    keeps_source: bool = True
    keeps_labels: bool = False
    is_forced: bool = False
    transcode: str = ""
    lossy_quality: int | None = None

    @property
    def is_anonymization(self) -> bool:
        """Whether a profile is applied."""
        return self.profile is not None

    @property
    def is_plain_profile(self) -> bool:
        """Whether nothing was asked for beyond the profile."""
        return self.removes_private_tags and not (
            self.replaced
            or self.removed
            or self.kept
            or self.nested_replaced
            or self.nested_removed
            or self.nested_kept
        )


def read_modification(body: Mapping[str, Any], level: Level, default_private_creator: str = "") -> Request:
    """Read the body of a modification.

    Raises
    ------
    BadRequest, WrongType, WrongValue, WrongForm, UnknownTag
        If it makes no sense.
    """
    return _read(
        body,
        level,
        default_private_creator,
        chosen=None,
        removes_private_tags=_flag(body, "RemovePrivateTags"),
    )


def read_anonymization(body: Mapping[str, Any], default_private_creator: str = "") -> Request:
    """Read the body of an anonymization; errors as of `read_modification`."""
    edition = body.get("DicomVersion", DEFAULT_EDITION)
    if not isinstance(edition, str):
        raise WrongForm("String value expected in field: DicomVersion")
    if edition not in EDITIONS:
        raise WrongValue(f"Unknown specific version of the DICOM standard: {edition[:16]}")
    return _read(
        body,
        Level.PATIENT,
        default_private_creator,
        chosen=profile(edition),
        removes_private_tags=not _flag(body, "KeepPrivateTags"),
    )


def _read(
    body: Mapping[str, Any],
    level: Level,
    default_private_creator: str,
    *,
    chosen: Profile | None,
    removes_private_tags: bool,
) -> Request:
    creator = _text(body, "PrivateCreator", default_private_creator)
    is_forced = _flag(body, "Force")
    kept = [parse_path(text, creator) for text in _texts(body, "Keep")]
    removed = [parse_path(text, creator) for text in _texts(body, "Remove")]
    replaced = _replacements(body, creator)
    _check_force(is_forced, removed, replaced, kept)
    return Request(
        level=level,
        profile=chosen,
        replaced={path.tag: value for path, value in replaced if not path.steps},
        removed=frozenset(path.tag for path in removed if not path.steps),
        kept=frozenset(path.tag for path in kept if not path.steps),
        nested_replaced=tuple((path, value) for path, value in replaced if path.steps),
        nested_removed=tuple(path for path in removed if path.steps),
        nested_kept=tuple(path for path in kept if path.steps),
        removes_private_tags=removes_private_tags,
        private_creator=creator,
        keeps_source=_flag(body, "KeepSource", default=True),
        keeps_labels=_flag(body, "KeepLabels"),
        is_forced=is_forced,
        transcode=_text(body, "Transcode"),
        lossy_quality=_quality(body),
    )


def _replacements(body: Mapping[str, Any], creator: str) -> list[tuple[Path, NewValue]]:
    given = body.get("Replace", {})
    if not isinstance(given, dict):
        raise BadRequest("Field Replace must be an object")
    found = []
    for name, value in given.items():
        path = parse_path(name, creator)
        if not is_of_dataset(path.tag):  # As Orthanc does.
            continue
        if path.tag == SPECIFIC_CHARACTER_SET and not (isinstance(value, str) and is_known(value)):
            raise WrongValue("Unknown specific character set")
        if path.tag in IDENTIFIER_LEVELS and not path.steps and not isinstance(value, str):
            raise WrongType(f"Bad Parameter type for tag {format_tag(path.tag)}")
        found.append((path, read_value(path.tag, value, creator)))
    return found


def _check_force(
    is_forced: bool, removed: list[Path], replaced: list[tuple[Path, NewValue]], kept: list[Path]
) -> None:
    """Identifiers are not to be touched by accident."""
    groups = (("removed", removed), ("replaced", [path for path, _ in replaced]), ("kept", kept))
    for word, paths in groups:
        for path in paths:
            if path.steps or path.tag not in IDENTIFIER_LEVELS:
                continue
            if not is_forced:
                name = lookup.name(path.tag)
                raise BadRequest(
                    f'Marking tag "{name}" as to be {word} requires the "Force" option to be set to true'
                )
            if word == "removed":
                raise BadRequest("An identifier cannot be removed")


def read_value(tag: Tag, value: Any, creator: str = "", depth: int = 0) -> NewValue:
    """Read a value as JSON gives it: a text, nothing, or an array of objects by tag.

    Raises
    ------
    WrongType
        If it is anything else.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    is_sequence = lookup.vr(tag, creator or None) in ("SQ", "UN")
    if not isinstance(value, list) or not is_sequence or depth > _DEEPEST:
        raise WrongType(f"Bad Parameter type for tag {format_tag(tag)}")
    items: list[dict[Tag, NewValue]] = []
    for item in value:
        if not isinstance(item, dict):
            raise WrongType(f"Bad Parameter type for tag {format_tag(tag)}")
        parsed = {lookup.parse_tag(name, creator): content for name, content in item.items()}
        items.append(
            {
                inner: read_value(inner, content, creator, depth + 1)
                for inner, content in parsed.items()
                if is_of_dataset(inner)
            }
        )
    return items


def read_data_uri(text: str) -> tuple[str, bytes] | None:
    """The MIME type and the bytes of a data URI (RFC 2397); None if it is something else.

    >>> read_data_uri("data:image/png;base64,QUJD")
    ('image/png', b'ABC')
    """
    if not text.startswith("data:") or "," not in text:
        return None
    header, _, data = text[5:].partition(",")
    mime_type, *parameters = header.split(";")
    if "base64" not in parameters:
        return mime_type, unquote_to_bytes(data)
    try:
        return mime_type, base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None


def _texts(body: Mapping[str, Any], name: str) -> list[str]:
    found = body.get(name, [])
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadRequest(f"Field {name} must be an array of strings")
    return found


def _flag(body: Mapping[str, Any], name: str, *, default: bool = False) -> bool:
    found = body.get(name, default)
    if not isinstance(found, bool):
        raise WrongForm(f'Member "{name}" should be a Boolean value')
    return found


def _text(body: Mapping[str, Any], name: str, default: str = "") -> str:
    found = body.get(name, default)
    if not isinstance(found, str):
        raise WrongForm(f"String value expected in field: {name}")
    return found


def _quality(body: Mapping[str, Any]) -> int | None:
    found = body.get("LossyQuality")
    return found if isinstance(found, int) and not isinstance(found, bool) else None
