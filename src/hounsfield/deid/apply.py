"""Applying a request to a data set.

In this order: the profile and private attributes, removals, replacements, identifiers, and what was asked for in items
of sequences. Nothing is left by accident: in a data set that is anonymized only what was understood is written again.
"""

from dataclasses import dataclass
from types import MappingProxyType

from hounsfield.deid.paths import datasets_at
from hounsfield.deid.profiles import Action, Profile
from hounsfield.deid.request import IDENTIFIER_LEVELS, Request, read_data_uri
from hounsfield.deid.uid_map import UidMap
from hounsfield.dicom.charset import CharacterSet, character_set_of
from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.levels import Level
from hounsfield.dicom.mutable import CHARACTER_SET_VRS, MutableDataset, NewValue
from hounsfield.dicom.tags import (
    PATIENT_ID,
    PIXEL_DATA,
    SERIES_INSTANCE_UID,
    SOP_INSTANCE_UID,
    SPECIFIC_CHARACTER_SET,
    STUDY_INSTANCE_UID,
    Tag,
    format_tag,
    is_of_dataset,
)
from hounsfield.dicom.values import KINDS, Kind
from hounsfield.errors import BadRequest, Corrupt

PATIENT_NAME: Tag = 0x00100010
PATIENT_IDENTITY_REMOVED: Tag = 0x00120062
DEIDENTIFICATION_METHOD: Tag = 0x00120063
REFERENCED_SOP_INSTANCE_UID: Tag = 0x00081155
# Sequences whose items refer to a study by Referenced SOP Instance UID. PS3.3 C.8.8.5, C.7.2.1.
_REFERENCES_TO_STUDIES = frozenset((0x00081110, 0x30060012))
_UTF8 = "ISO_IR 192"
_NESTED_LEVELS = MappingProxyType(
    {
        STUDY_INSTANCE_UID: Level.STUDY,
        SERIES_INSTANCE_UID: Level.SERIES,
        SOP_INSTANCE_UID: Level.INSTANCE,
        REFERENCED_SOP_INSTANCE_UID: Level.INSTANCE,
    }
)
_SPARED_IN_ITEMS = frozenset((SPECIFIC_CHARACTER_SET,))
_PATIENT_TAGS = frozenset((PATIENT_NAME, PATIENT_ID))
_BINARY_NUMBERS = frozenset(("OD", "OF", "OL", "OV"))
Place = tuple[tuple[Tag, int], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """A request with what one job chose for it.

    `patient_name` is the new one of an anonymization; `method` the program, for De-identification Method (0012,0063).
    """

    request: Request
    uids: UidMap
    patient_name: str = ""
    method: str = ""


def apply(plan: Plan, dataset: MutableDataset, own: Identifiers) -> None:
    """Change a data set as asked; `own` are its identifiers.

    Raises
    ------
    Corrupt
        If a value does not fit its VR, or sequences are nested too deeply.
    BadRequest
        If pixel data is to be replaced by what cannot be pixel data.
    """
    request = plan.request
    if request.profile is not None:
        _anonymize(plan, request.profile, dataset, own)
    elif request.removes_private_tags:
        _remove_private(dataset, _spared(request, dataset))
    for tag in request.removed:
        remove(dataset, tag)
    for tag, value in sorted(request.replaced.items()):
        if tag not in IDENTIFIER_LEVELS:
            put(dataset, tag, value, request.private_creator)
    for tag, text in _identifiers(plan, own).items():
        if (dataset.text(tag) or "") != text:
            put(dataset, tag, text)
    for path in request.nested_removed:
        for item in datasets_at(dataset, path.steps):
            item.remove(path.tag)
    for path, value in request.nested_replaced:
        for item in datasets_at(dataset, path.steps):
            put(item, path.tag, value, request.private_creator)


def remove(dataset: MutableDataset, tag: Tag) -> None:
    """Take an attribute away; without Specific Character Set, all text is in the default one."""
    if tag == SPECIFIC_CHARACTER_SET and tag in dataset:
        dataset.set_character_set("")
    dataset.remove(tag)


def put(dataset: MutableDataset, tag: Tag, value: NewValue, private_creator: str = "") -> None:
    """Put a value in place: a text, a data URI for a binary VR, or items; a private block is reserved if need be.

    A text that the character set lacks makes the data set one in UTF-8: no letter of a name is dropped.

    Raises
    ------
    Corrupt
        If the value does not fit its VR.
    BadRequest
        If it is for pixel data, and no data URI.
    """
    if not is_of_dataset(tag):
        return
    if tag & 0x10000 and tag & 0xFFFF >= 0x1000 and private_creator:
        reservation = (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)
        if reservation not in dataset:
            dataset.set_text(reservation, private_creator, "LO")
    if tag == SPECIFIC_CHARACTER_SET and isinstance(value, str):
        dataset.set_character_set(value)
        return
    try:
        dataset.set(tag, _written(dataset, tag, value))
    except BadRequest as cause:
        group, element = format_tag(tag).split(",")
        raise Corrupt(
            f"While creating a DICOM instance, tag ({group},{element}) has out-of-range value"
        ) from cause


def _written(dataset: MutableDataset, tag: Tag, value: NewValue) -> NewValue:
    """A value as it is put in place: what a data URI holds, where the VR is binary."""
    vr = dataset.vr(tag)
    if not isinstance(value, str):
        if isinstance(value, bytes):
            return value
        if vr not in ("SQ", "UN"):
            raise BadRequest("Only a sequence has items")
        _widen_items(dataset, value)
        return [{inner: _nested_value(inner, content) for inner, content in item.items()} for item in value]
    if vr == "SQ":
        if value:
            raise BadRequest("A sequence has items")
        return []
    if KINDS.get(vr, Kind.BINARY) is Kind.BINARY or vr in _BINARY_NUMBERS:
        found = read_data_uri(value)
        if found is not None and not (tag == PIXEL_DATA and dataset.is_fragmented(tag)):
            return found[1]
        if tag == PIXEL_DATA:
            raise BadRequest("Pixel data is given as a data URI, and only where it is not compressed")
    if vr in CHARACTER_SET_VRS:
        _widen(dataset, value, vr)
    return value


def _nested_value(tag: Tag, value: NewValue) -> NewValue:
    if isinstance(value, str) and KINDS.get(lookup.vr(tag), Kind.BINARY) is Kind.BINARY:
        found = read_data_uri(value)
        return value if found is None else found[1]
    if isinstance(value, (str, bytes)):
        return value
    return [{inner: _nested_value(inner, content) for inner, content in item.items()} for item in value]


def _widen(dataset: MutableDataset, text: str, vr: str) -> None:
    """Name the character set that was only presumed, and make it UTF-8 if it lacks a letter of a text."""
    if text.isascii():
        return
    root = dataset
    while SPECIFIC_CHARACTER_SET not in root and root.parent is not None:
        root = root.parent
    used: CharacterSet = root.character_set
    if used.decode(used.encode(text, vr), vr) != text:
        root.set_character_set(_UTF8)
    elif SPECIFIC_CHARACTER_SET not in root:
        root.set_character_set(character_set_of(root.source.default_encoding))


def _widen_items(dataset: MutableDataset, value: NewValue) -> None:
    if isinstance(value, str):
        _widen(dataset, value, "LO")
    elif not isinstance(value, bytes):
        for item in value:
            for content in item.values():
                _widen_items(dataset, content)


def _identifiers(plan: Plan, own: Identifiers) -> dict[Tag, str]:
    """The identifiers that are to change, and those given."""
    request, uids = plan.request, plan.uids
    old = (own.patient_id, own.study_instance_uid, own.series_instance_uid, own.sop_instance_uid)
    given = {tag: value for tag, value in request.replaced.items() if tag in IDENTIFIER_LEVELS}
    highest = min([request.level, *(IDENTIFIER_LEVELS[tag] for tag in given)])
    found: dict[Tag, str] = {}
    for tag, level in IDENTIFIER_LEVELS.items():
        if tag in given:
            found[tag] = str(given[tag])
        elif tag in request.kept or level < highest:
            continue
        elif level > Level.PATIENT:
            found[tag] = uids.uid(old[level])
        elif request.is_anonymization:
            found[tag] = uids.patient_id(old[level])
    return found


def new_identifiers(plan: Plan, own: Identifiers) -> Identifiers:
    """The identifiers an instance will have."""
    found = _identifiers(plan, own)
    return Identifiers(
        found.get(PATIENT_ID, own.patient_id),
        found.get(STUDY_INSTANCE_UID, own.study_instance_uid),
        found.get(SERIES_INSTANCE_UID, own.series_instance_uid),
        found.get(SOP_INSTANCE_UID, own.sop_instance_uid),
    )


def _remove_private(dataset: MutableDataset, spared: frozenset[Tag]) -> None:
    """Remove private attributes, also those in items."""
    for tag in dataset.tags():
        if tag in spared:
            continue
        if tag & 0x10000:
            dataset.remove(tag)
        elif dataset.vr(tag) == "SQ":
            for item in dataset.items(tag):
                _remove_private(item, frozenset())


def _spared(request: Request, dataset: MutableDataset) -> frozenset[Tag]:
    """The attributes that neither the profile nor the removal of private ones concerns, with their reservations."""
    wanted = {*request.kept, *request.replaced}
    private = [tag for tag in wanted if tag & 0x10000 and tag & 0xFFFF >= 0x1000]
    reservations = {(tag & 0xFFFF0000) | (tag >> 8 & 0xFF) for tag in private if tag in dataset}
    return frozenset(wanted | reservations)


# --- The profile ---


@dataclass(frozen=True, slots=True)
class _Pass:
    """One data set being anonymized: the new UIDs of what is known by name, and the levels whose UIDs stay."""

    plan: Plan
    profile: Profile
    known: dict[str, str]
    kept_levels: frozenset[Level]
    removes_private: bool


def _anonymize(plan: Plan, profile: Profile, dataset: MutableDataset, own: Identifiers) -> None:
    request = plan.request
    new = new_identifiers(plan, own)
    known = {
        own.study_instance_uid: new.study_instance_uid,
        own.series_instance_uid: new.series_instance_uid,
        own.sop_instance_uid: new.sop_instance_uid,
    }
    kept_levels = frozenset(level for tag, level in IDENTIFIER_LEVELS.items() if tag in request.kept)
    run = _Pass(plan, profile, known, kept_levels, request.removes_private_tags)
    spared = _spared(request, dataset) | IDENTIFIER_LEVELS.keys() | {PATIENT_NAME, SPECIFIC_CHARACTER_SET}
    _walk(run, dataset, spared, ())
    if PATIENT_NAME not in request.kept:
        put(dataset, PATIENT_NAME, plan.patient_name)
    for tag, text in ((PATIENT_IDENTITY_REMOVED, "YES"), (DEIDENTIFICATION_METHOD, _method(plan, profile))):
        if tag not in request.kept:
            put(dataset, tag, text)


def _method(plan: Plan, profile: Profile) -> str:
    return f"{plan.method} - {profile.description}" if plan.request.is_plain_profile else plan.method


def _walk(run: _Pass, dataset: MutableDataset, spared: frozenset[Tag], place: Place) -> None:
    """Apply the profile to a data set or an item, and to the items in it."""
    dataset.touch()
    act, removes_private, removed = run.profile.action, run.removes_private, []
    for tag in dataset.tags():
        if tag in spared or (place and _is_kept(run, place, tag)):
            continue
        if tag & 0x10000 and removes_private:
            removed.append(tag)
            continue
        action = act(tag)
        if place and action is None:
            action = _nested_action(tag)
        if action is Action.REMOVE:
            removed.append(tag)
        elif action is Action.CLEAR:
            if place and KINDS.get(dataset.vr(tag)) is not Kind.TEXT:
                removed.append(tag)  # As Orthanc does in items.
            else:
                dataset.clear(tag)
        elif action is Action.MAP_UID:
            _map_uids(run, dataset, tag, place)
        elif dataset.vr(tag) == "SQ":
            for number, item in enumerate(dataset.items(tag)):
                _walk(run, item, _SPARED_IN_ITEMS, (*place, (tag, number)))
            dataset.fold(tag)
        elif lookup.vr(tag) == "SQ":  # Items in disguise: nobody can tell what is in them.
            removed.append(tag)
    dataset.remove_all(removed)


def _nested_action(tag: Tag) -> Action | None:
    """What is done in items with the attributes that are treated apart in the data set itself."""
    if tag in _PATIENT_TAGS:
        return Action.CLEAR
    return Action.MAP_UID if tag in _NESTED_LEVELS else None


def _is_kept(run: _Pass, place: Place, tag: Tag) -> bool:
    return any(path.matches(place, tag) for path in run.plan.request.nested_kept)


def _map_uids(run: _Pass, dataset: MutableDataset, tag: Tag, place: Place) -> None:
    level = _NESTED_LEVELS.get(tag)
    if tag == REFERENCED_SOP_INSTANCE_UID and place and place[-1][0] in _REFERENCES_TO_STUDIES:
        level = Level.STUDY
    text = dataset.raw(tag).decode("latin_1")
    new = [_map_uid(run, old.strip(" \0"), level) for old in text.split("\\")]
    dataset.set_text(tag, "\\".join(new), "UI")


def _map_uid(run: _Pass, old: str, level: Level | None) -> str:
    if not old or level in run.kept_levels:
        return old
    return run.known.get(old) or run.plan.uids.uid(old)
