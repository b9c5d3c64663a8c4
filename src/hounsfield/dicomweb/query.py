"""From the arguments of a search to a query. PS3.18 8.3.4 and 10.6.1."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from urllib.parse import unquote_plus

from hounsfield.dicom.dictionary import lookup
from hounsfield.dicom.dictionary.lookup import UnknownTag
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import SERIES_INSTANCE_UID, STUDY_INSTANCE_UID, Tag, format_tag
from hounsfield.errors import BadRequest
from hounsfield.http.errors import BadFileFormat, ParameterOutOfRange
from hounsfield.index.query import (
    WILDCARD_VRS,
    Constraint,
    Match,
    Order,
    OrderKind,
    Query,
    parse_constraint,
)

_SERIES_NUMBER: Tag = 0x00200011
_INSTANCE_NUMBER: Tag = 0x00200013
_PARENTS = (STUDY_INSTANCE_UID, SERIES_INSTANCE_UID)
_CONTROLS = frozenset(("limit", "offset", "fuzzymatching", "accept", "charset", "_method"))
_LONGEST_NUMBER = 18


@dataclass(frozen=True, slots=True)
class Search:
    """A query, the attributes it names, those to be added to the answers, and the parents that arguments name."""

    query: Query
    keys: tuple[Tag, ...]
    included: tuple[Tag, ...]
    includes_all: bool
    named_parents: frozenset[Tag]
    is_fuzzy: bool


def parse_search(level: Level, text: str, parents: Sequence[str], *, is_case_sensitive: bool) -> Search:
    """The search that the text of the arguments stands for, below the parents that the path names.

    Unknown names are passed over.

    Raises
    ------
    ParameterOutOfRange
        For a wildcard where none may be.
    BadRequest, BadFileFormat
        For an argument of the search itself that means nothing.
    """
    pairs = list(_pairs(text))
    last = dict(pairs)
    is_fuzzy = _is_true(last.get("fuzzymatching", "false"))
    attributes = {path: value for name, value in pairs if (path := _path(name)) is not None}
    constraints = [
        Constraint(tag, Match.EXACT, (uid,), is_case_sensitive=True)
        for tag, uid in zip(_PARENTS, parents, strict=False)
    ]
    for path, value in attributes.items():
        found = _constraint(path, value, is_case_sensitive=is_case_sensitive, is_fuzzy=is_fuzzy)
        if found is not None:
            constraints.append(found)
    named = frozenset(path[0] for path in attributes if len(path) == 1)
    query = Query(
        level,
        tuple(constraints),
        order=_order(level, bool(parents) or bool(named & {*_PARENTS})),
        since=_number(last.get("offset", "0")),
        limit=_number(last.get("limit", "0")),
        looks_below=True,
        combines_date_time=True,
        newest_first=level == Level.STUDY,
    )
    names = [each for name, value in pairs if name.lower() == "includefield" for each in value.split(",")]
    return Search(
        query,
        tuple(dict.fromkeys(path[0] for path in attributes)),
        tuple(_tags(names)),
        "all" in names,
        named & frozenset(_PARENTS),
        is_fuzzy,
    )


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split("&"):
        name, _, value = part.partition("=")
        if name:
            yield unquote_plus(name), unquote_plus(value)


def _path(name: str) -> tuple[Tag, ...] | None:
    """The tags of an attribute, or of one inside sequences: `00400275.00400009`; None if it is none."""
    if name in _CONTROLS:
        return None
    try:
        return tuple(lookup.parse_tag(part) for part in name.split("."))
    except UnknownTag:
        return None


def _tags(names: Sequence[str]) -> Iterator[Tag]:
    for name in names:
        path = _path(name.strip())
        if path is not None:
            yield path[0]


def _constraint(
    path: tuple[Tag, ...], value: str, *, is_case_sensitive: bool, is_fuzzy: bool
) -> Constraint | None:
    if len(path) > 1:
        inner = _constraint(path[1:], value, is_case_sensitive=is_case_sensitive, is_fuzzy=is_fuzzy)
        return None if inner is None else Constraint(path[0], Match.SEQUENCE, items=(inner,))
    tag = path[0]
    vr = lookup.vr(tag)
    found = parse_constraint(
        tag, value.replace("\\", "").replace(",", "\\"), vr=vr, is_case_sensitive=is_case_sensitive
    )
    if found is None:
        return None
    if found.match in (Match.WILDCARD, Match.PRESENT) and vr not in WILDCARD_VRS:
        raise ParameterOutOfRange(f"Wildcards are not allowed on tag {format_tag(tag)}")
    if is_fuzzy and vr == "PN" and found.match in (Match.EXACT, Match.WILDCARD):
        return replace(found, match=Match.FUZZY)
    return found


def _order(level: Level, has_parent: bool) -> tuple[Order, ...]:
    """The order of series and instances below a parent; sorting all there are would take long."""
    if not has_parent or level < Level.SERIES:
        return ()
    numbers = (_SERIES_NUMBER, _INSTANCE_NUMBER)[: level - Level.STUDY]
    return tuple(Order(OrderKind.TAG_AS_INT, number) for number in numbers)


def _number(text: str) -> int:
    """A limit or an offset; below zero there is none."""
    digits = text.strip().removeprefix("-")
    if not (digits.isascii() and digits.isdigit()) or len(digits) > _LONGEST_NUMBER:
        raise BadFileFormat("Not an integer")
    return 0 if text.strip().startswith("-") else int(digits)


def _is_true(text: str) -> bool:
    if text not in ("true", "false"):
        raise BadRequest("fuzzymatching is neither true nor false")
    return text == "true"
