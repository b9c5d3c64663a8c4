"""What can be asked of the index, as records."""

import re
from dataclasses import dataclass, field
from enum import Enum

from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import Tag

DATE_VRS = frozenset(("DA", "TM", "DT"))
"""Those with ranges. PS3.4 C.2.2.2.5."""
WILDCARD_VRS = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT", "UN"))
"""Those in which `*` and `?` mean something. PS3.4 C.2.2.2.4."""
_OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")


class Match(Enum):
    """How a value is compared. PS3.4 C.2.2.2."""

    EXACT = "exact"
    LIST = "list"
    WILDCARD = "wildcard"
    RANGE = "range"
    PRESENT = "present"
    FUZZY = "fuzzy"
    SEQUENCE = "sequence"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One attribute and what it must be.

    `values` holds the one value, the values of a list, the pattern with `*` and `?`, or the two ends of a range, either
    of which may be empty. A sequence matches if one of its items satisfies all of `items`. `vr` is empty for that of
    the dictionary.
    """

    tag: Tag
    match: Match
    values: tuple[str, ...] = ()
    is_case_sensitive: bool = False
    ignores_accents: bool = False
    vr: str = ""
    items: tuple["Constraint", ...] = ()


class LabelsConstraint(Enum):
    """How labels are compared."""

    ALL = "All"
    ANY = "Any"
    NONE = "None"


class OrderKind(Enum):
    """What a result is ordered by, and how it is compared."""

    TAG = "DicomTag"
    TAG_AS_INT = "DicomTagAsInt"
    TAG_AS_FLOAT = "DicomTagAsFloat"
    METADATA = "Metadata"
    METADATA_AS_INT = "MetadataAsInt"
    METADATA_AS_FLOAT = "MetadataAsFloat"


@dataclass(frozen=True, slots=True)
class Order:
    """One key of an order; `key` is a tag or a metadata number."""

    kind: OrderKind
    key: int
    is_descending: bool = False


@dataclass(frozen=True, slots=True)
class Query:
    """Which resources of a level are wanted. `parent` is an ancestor, `metadata` holds constraints by number.

    With `looks_below`, a constraint on a main DICOM tag of a lower level is satisfied if one of the resources below
    does; else by none. With `combines_date_time`, the ranges of a date and of its time are one range. PS3.4 C.2.2.2.5.
    `newest_first` orders studies by their dates, as far as `order` leaves them equal.
    """

    level: Level
    constraints: tuple[Constraint, ...] = ()
    labels: tuple[str, ...] = ()
    labels_constraint: LabelsConstraint = LabelsConstraint.ALL
    metadata: tuple[tuple[int, str], ...] = ()
    parent: tuple[Level, str] | None = None
    order: tuple[Order, ...] = ()
    since: int = 0
    limit: int = 0
    is_case_sensitive: bool = field(default=False)
    looks_below: bool = False
    combines_date_time: bool = False
    newest_first: bool = False


def parse_constraint(
    tag: Tag, text: str, *, vr: str, is_case_sensitive: bool, ignores_accents: bool = False
) -> Constraint | None:
    r"""The constraint that a value in a query stands for; None for the empty one, which everything satisfies.

    >>> parse_constraint(0x00100010, "A*\\B", vr="PN", is_case_sensitive=True).match
    <Match.LIST: 'list'>
    """
    if text == "":
        return None

    def constraint(match: Match, values: tuple[str, ...]) -> Constraint:
        return Constraint(tag, match, values, is_case_sensitive, ignores_accents, vr)

    if "\\" in text:
        return constraint(Match.LIST, tuple(text.split("\\")))
    if text == "*":
        return constraint(Match.PRESENT, ())
    if "*" in text or "?" in text:
        return constraint(Match.WILDCARD, (text,))
    if vr in DATE_VRS and "-" in text:
        ends = _ends(text, vr)
        if ends is not None:
            return constraint(Match.RANGE, ends)
    return constraint(Match.EXACT, (text,))


def _ends(text: str, vr: str) -> tuple[str, str] | None:
    """The two ends of a range; None if the only hyphen belongs to an offset from UTC. PS3.4 C.2.2.2.5."""
    cuts = [place for place, character in enumerate(text) if character == "-"]
    if vr == "DT":
        if len(cuts) == 1 and cuts[0] and _is_offset(text, cuts[0]):
            return None
        # The hyphens of offsets follow a date: the one between the ends is the first that does not.
        cuts = [cut for cut in cuts if not (cut and _is_offset(text[: cut + 5], cut))] or cuts[1:2] or cuts
    first, last = text[: cuts[0]], text[cuts[0] + 1 :]
    return first.strip(), last.strip()


def _is_offset(text: str, cut: int) -> bool:
    """Whether what follows a hyphen is an offset from UTC, and no year that a range could end with."""
    rest = text[cut:]
    return _OFFSET.fullmatch(rest) is not None and rest[1:] < text[:4]
