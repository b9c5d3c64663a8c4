"""Matching a worklist query against an entry, and what is answered. PS3.4 C.2.2.2 and K.4.1.2."""

from collections.abc import Mapping, Sequence

from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.keys import Keys, KeyValue, text_of
from hounsfield.dicom.tags import SPECIFIC_CHARACTER_SET, Tag, format_tag
from hounsfield.errors import BadRequest
from hounsfield.index.matching import predicate
from hounsfield.index.query import Match, parse_constraint

SCHEDULED_STEPS: Tag = 0x00400100
STATION_AE_TITLE: Tag = 0x00400001
STEP_START_DATE: Tag = 0x00400002
STEP_START_TIME: Tag = 0x00400003
_PREGNANCY_STATUS: Tag = 0x001021C0
_TIMEZONE_OFFSET: Tag = 0x00080201
_UNCONSTRAINED = frozenset((SPECIFIC_CHARACTER_SET, _TIMEZONE_OFFSET))
_ONE_VALUE_VRS = ("LT", "ST", "UT", "UR")


def check(keys: Keys) -> None:
    """Raise BadRequest if a sequence of the query has more than one item. PS3.4 C.2.2.2.6."""
    for tag, value in keys.items():
        if isinstance(value, str):
            continue
        if len(value) > 1:
            raise BadRequest(f"The sequence {format_tag(tag)} of the query has more than one item")
        for item in value:
            check(item)


def matches(entry: Keys, query: Keys, *, is_name_case_sensitive: bool) -> bool:
    """Whether an entry, or an item of one, satisfies a query.

    A sequence that the entry lacks satisfies whatever is asked of it; an attribute that it lacks only the empty key.
    """
    for tag, wanted in query.items():
        if tag in _UNCONSTRAINED or not wanted:
            continue
        if isinstance(wanted, str):
            if not _holds(query, tag, wanted, entry.get(tag), is_name_case_sensitive):
                return False
            continue
        found = entry.get(tag)
        if found is None or isinstance(found, str):
            continue
        if found and not _matching_items(found, wanted[0], is_name_case_sensitive):
            return False
    return True


def _matching_items(items: Sequence[Keys], wanted: Keys, is_name_case_sensitive: bool) -> list[Keys]:
    return [item for item in items if matches(item, wanted, is_name_case_sensitive=is_name_case_sensitive)]


def _holds(query: Keys, tag: Tag, wanted: str, found: KeyValue | None, is_name_case_sensitive: bool) -> bool:
    if not isinstance(found, str):
        return False
    vr = _vr(query, tag)
    is_private = bool(tag & 0x10000)
    constraint = parse_constraint(
        tag,
        wanted,
        vr=vr,
        is_case_sensitive=vr != "PN" or is_name_case_sensitive,
    )
    if constraint is None:
        return True
    if is_private and constraint.match is not Match.EXACT:
        return found == wanted
    if constraint.match is Match.PRESENT:
        return bool(found)
    holds = predicate(constraint)
    values = [found] if vr in _ONE_VALUE_VRS else found.split("\\")
    return any(holds(value) for value in values)


def _vr(keys: Keys, tag: Tag) -> str:
    creator = text_of(keys, (tag & 0xFFFF0000) | (tag >> 8 & 0xFF)) if tag & 0x10000 else ""
    return lookup.vr(tag, creator or None)


def answer(entry: Keys, query: Keys, *, is_name_case_sensitive: bool) -> dict[Tag, KeyValue]:
    """What is told of an entry: the attributes asked for, empty where it lacks them, and items that match."""
    found: dict[Tag, KeyValue] = {}
    for tag, wanted in query.items():
        value = entry.get(tag)
        if isinstance(wanted, str):
            found[tag] = value if value is not None else ""
        elif value is None or isinstance(value, str):
            found[tag] = []
        elif not wanted or not wanted[0]:
            found[tag] = value
        else:
            items = _matching_items(value, wanted[0], is_name_case_sensitive)
            found[tag] = [
                answer(item, wanted[0], is_name_case_sensitive=is_name_case_sensitive) for item in items
            ]
    return found


def restrict_to_station(query: Keys, ae_title: str) -> dict[Tag, KeyValue]:
    """The query of a station that is to see its own entries only, unless it names another station."""
    steps = query.get(SCHEDULED_STEPS, ())
    step: Mapping[Tag, KeyValue] = steps[0] if steps and not isinstance(steps, str) else {}
    if text_of(step, STATION_AE_TITLE).strip() in ("", "*"):
        step = {**step, STATION_AE_TITLE: ae_title}
    changed: dict[Tag, KeyValue] = {**query, SCHEDULED_STEPS: [step]}
    if not changed.get(_PREGNANCY_STATUS, "x"):
        del changed[_PREGNANCY_STATUS]
    return changed


def start_of(entry: Keys) -> tuple[str, str]:
    """When the first step of an entry is scheduled: date and time, for sorting."""
    steps = entry.get(SCHEDULED_STEPS, ())
    if isinstance(steps, str) or not steps:
        return "", ""
    return text_of(steps[0], STEP_START_DATE), text_of(steps[0], STEP_START_TIME)
