"""Tags that a client asked for beside the main ones: main tags if they are, else from the header of one instance.

Counters and the like are computed. A tag that the header lacks is null; group 0002 is never given.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hounsfield.dicom import json
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.dicom.main_tags import DEFAULTS
from hounsfield.dicom.tags import SOP_CLASS_UID, Tag, format_tag
from hounsfield.index.answers import COMPUTED, Answer, load_answers
from hounsfield.index.database import Transaction
from hounsfield.index.paging import pages
from hounsfield.index.resources import Resource
from hounsfield.rest.door import Door
from hounsfield.rest.formats import TagFormat, convert_full, keyword
from hounsfield.retrieve.headers import read_headers

_AVAILABILITY: Tag = 0x00080056
_LEVELS: dict[Tag, Level] = {
    **{tag: home for tag, (home, _) in COMPUTED.items()},
    _AVAILABILITY: Level.INSTANCE,
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """The tags asked for, and their format."""

    tags: tuple[Tag, ...]
    tag_format: TagFormat


def parse_tags(names: Iterable[str]) -> tuple[Tag, ...]:
    """The tags of a list; `UnknownTag` for an unknown one."""
    return tuple(lookup.parse_tag(name) for name in names if name)


def requested_tags(
    door: Door, tx: Transaction, level: Level, resources: Sequence[Resource], wanted: Wanted
) -> dict[PublicId, dict[str, Any]]:
    """The object `RequestedTags` of each of some resources of a level, by public id."""
    found: dict[PublicId, dict[str, Any]] = {}
    for page in pages(resources):
        found |= _requested(door, tx, level, page, wanted)
    return found


def _requested(
    door: Door, tx: Transaction, level: Level, resources: Sequence[Resource], wanted: Wanted
) -> dict[PublicId, dict[str, Any]]:
    computed = [tag for tag in wanted.tags if tag in COMPUTED]
    public_ids = [resource.public_id for resource in resources]
    answers = {answer.public_id: answer for answer in load_answers(tx, level, public_ids, computed)}
    entries: dict[PublicId, dict[str, Any]] = {}
    from_headers: dict[PublicId, list[Tag]] = {}
    absent = {
        format_tag(tag): _null(format_tag(tag))
        for upper in Level
        if upper <= level
        for tag in DEFAULTS[upper]
    }
    for resource in resources:
        known = absent | _known(resource, answers.get(resource.public_id))
        entries[resource.public_id] = {
            key: known[key] for key in map(format_tag, wanted.tags) if key in known
        }
        missing = [
            tag
            for tag in wanted.tags
            if tag >> 16 != 0x0002 and tag not in _LEVELS and format_tag(tag) not in known
        ]
        if missing and door.options.storage_access != "Never":
            from_headers[resource.public_id] = missing
    _add_from_headers(door, tx, level, from_headers, entries)
    for public_id in from_headers:
        _add_missing_counters(level, wanted.tags, entries[public_id])
    return {public_id: convert_full(each, wanted.tag_format) for public_id, each in entries.items()}


def _known(resource: Resource, answer: Answer | None) -> dict[str, Any]:
    """What the index tells without headers, in the full format, by `gggg,eeee`."""
    known = dict(resource.main_sequences)
    texts = {**answer.main_tags, **_computed(answer)} if answer else resource.main_tags
    for key, text in texts.items():
        known[key] = _string(key, text)
    if resource.level == Level.INSTANCE:
        for tag, text in ((SOP_CLASS_UID, resource.sop_class_uid), (_AVAILABILITY, "ONLINE")):
            known.setdefault(format_tag(tag), _string(format_tag(tag), text))
    return known


def _computed(answer: Answer) -> dict[str, str]:
    return {
        format_tag(tag): text or ("0" if tag >> 16 == 0x0020 else "") for tag, text in answer.computed.items()
    }


def _string(key: str, text: str) -> dict[str, Any]:
    return {"Name": keyword(key), "Type": "String", "Value": text}


def _null(key: str) -> dict[str, Any]:
    return {"Name": keyword(key), "Type": "Null", "Value": None}


def _add_from_headers(
    door: Door,
    tx: Transaction,
    level: Level,
    missing: Mapping[PublicId, Sequence[Tag]],
    entries: Mapping[PublicId, dict[str, Any]],
) -> None:
    if not missing:
        return
    tags = frozenset(tag for each in missing.values() for tag in each)
    encoding = door.options.default_encoding
    for public_id, dataset in read_headers(
        door.archive, tx, level, list(missing), tags, default_encoding=encoding
    ):
        found = json.full(dataset, only=missing[public_id])
        for tag in missing[public_id]:
            key = format_tag(tag)
            entries[public_id][key] = found.get(key) or _null(key)


def _add_missing_counters(level: Level, tags: tuple[Tag, ...], entries: dict[str, Any]) -> None:
    """A counter of another level is null once a header was read for another tag."""
    for tag in tags:
        if tag in _LEVELS and tag >> 16 == 0x0020 and _LEVELS[tag] != level:
            entries[format_tag(tag)] = _null(format_tag(tag))
