"""Tags that a client asked for beside the main ones: from the index if it has them, else from one file.

Counters and the like are computed. A tag that the file lacks is null; group 0002 is never given.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from hounsfield.dicom import json
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import SOP_CLASS_UID, Tag, format_tag
from hounsfield.index.database import Transaction
from hounsfield.index.resources import Resource, children, first_instance, load
from hounsfield.rest.door import Door
from hounsfield.rest.formats import TagFormat, convert_full, keyword
from hounsfield.retrieve.datasets import read_instance


@dataclass(frozen=True, slots=True)
class Wanted:
    """The tags asked for, and their format."""

    tags: tuple[Tag, ...]
    tag_format: TagFormat


def parse_tags(names: Iterable[str]) -> tuple[Tag, ...]:
    """The tags of a list; `UnknownTag` for an unknown one."""
    return tuple(lookup.parse_tag(name) for name in names if name)


def requested_tags(door: Door, tx: Transaction, resource: Resource, wanted: Wanted) -> dict[str, Any]:
    """The object `RequestedTags` of a resource."""
    entries: dict[str, Any] = {}
    from_file: list[Tag] = []
    known = _known(tx, resource)
    for tag in wanted.tags:
        key = format_tag(tag)
        if tag >> 16 == 0x0002:
            continue
        if tag in _COMPUTED:
            level, compute = _COMPUTED[tag]
            if level == resource.level:
                entries[key] = _string(key, compute(tx, resource))
        elif key in known:
            entries[key] = known[key] if isinstance(known[key], dict) else _string(key, known[key])
        else:
            from_file.append(tag)
    if from_file and door.options.storage_access != "Never":
        _read_file(door, tx, resource, from_file, entries)
        _add_missing_counters(resource.level, wanted.tags, entries)
    return convert_full(entries, wanted.tag_format)


def _known(tx: Transaction, resource: Resource) -> dict[str, Any]:
    """Texts and full sequences of a resource and of all above it; a study's own patient tags count."""
    known: dict[str, Any] = {}
    here: Resource | None = resource
    while here is not None:
        for found in (here.main_tags, here.main_sequences, here.patient_main_tags):
            for key, value in found.items():
                known.setdefault(key, value)
        if here.level == Level.INSTANCE:
            known.setdefault(format_tag(SOP_CLASS_UID), here.sop_class_uid)
        if here.parent is None or here.level == Level.STUDY:
            break
        here = next(iter(load(tx, Level(here.level - 1), [here.parent], ())), None)
    return known


def _string(key: str, text: str) -> dict[str, Any]:
    return {"Name": keyword(key), "Type": "String", "Value": text}


def _read_file(
    door: Door, tx: Transaction, resource: Resource, tags: list[Tag], entries: dict[str, Any]
) -> None:
    instance = first_instance(tx, resource.level, resource.public_id)
    head = read_instance(door.archive, instance, default_encoding=door.options.default_encoding)
    found = json.full(head.dataset, only=tags)
    for tag in tags:
        key = format_tag(tag)
        entries[key] = found.get(key) or {"Name": keyword(key), "Type": "Null", "Value": None}


def _add_missing_counters(level: Level, tags: tuple[Tag, ...], entries: dict[str, Any]) -> None:
    """A counter of another level is null once a file was read for another tag."""
    for tag in tags:
        if tag in _COMPUTED and tag >> 16 == 0x0020 and _COMPUTED[tag][0] != level:
            key = format_tag(tag)
            entries[key] = {"Name": keyword(key), "Type": "Null", "Value": None}


def _count(level: Level) -> Callable[[Transaction, Resource], str]:
    def count(tx: Transaction, resource: Resource) -> str:
        return str(len(children(tx, resource.level, resource.public_id, level)))

    return count


def _modalities(tx: Transaction, resource: Resource) -> str:
    series = load(tx, Level.SERIES, children(tx, Level.STUDY, resource.public_id, Level.SERIES), ())
    return "\\".join(sorted({each.main_tags.get("0008,0060", "") for each in series} - {""}))


def _sop_classes(tx: Transaction, resource: Resource) -> str:
    instances = children(tx, Level.STUDY, resource.public_id, Level.INSTANCE)
    return "\\".join(sorted({each.sop_class_uid for each in load(tx, Level.INSTANCE, instances, ())} - {""}))


_COMPUTED: dict[Tag, tuple[Level, Callable[[Transaction, Resource], str]]] = {
    0x00201200: (Level.PATIENT, _count(Level.STUDY)),
    0x00201202: (Level.PATIENT, _count(Level.SERIES)),
    0x00201204: (Level.PATIENT, _count(Level.INSTANCE)),
    0x00201206: (Level.STUDY, _count(Level.SERIES)),
    0x00201208: (Level.STUDY, _count(Level.INSTANCE)),
    0x00201209: (Level.SERIES, _count(Level.INSTANCE)),
    0x00080061: (Level.STUDY, _modalities),
    0x00080062: (Level.STUDY, _sop_classes),
    0x00080056: (Level.INSTANCE, lambda _tx, _resource: "ONLINE"),
}
