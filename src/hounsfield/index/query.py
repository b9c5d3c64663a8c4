"""What can be asked of the index, as records."""

from dataclasses import dataclass, field
from enum import Enum

from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import Tag


class Match(Enum):
    """How a value is compared. PS3.4 C.2.2.2."""

    EXACT = "exact"
    LIST = "list"
    WILDCARD = "wildcard"
    RANGE = "range"
    PRESENT = "present"


@dataclass(frozen=True, slots=True)
class Constraint:
    """One attribute and what it must be.

    `values` holds the one value, the values of a list, the pattern with `*` and `?`, or the two ends of a range, either
    of which may be empty.
    """

    tag: Tag
    match: Match
    values: tuple[str, ...] = ()
    is_case_sensitive: bool = False


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
    """Which resources of a level are wanted. `parent` is an ancestor, `metadata` holds constraints by number."""

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


def parse_constraint(
    tag: Tag, text: str, *, is_date_or_time: bool, is_case_sensitive: bool
) -> Constraint | None:
    r"""The constraint that a value in a query stands for; None for the empty one, which everything satisfies.

    >>> parse_constraint(0x00100010, "A*\\B", is_date_or_time=False, is_case_sensitive=True).match
    <Match.LIST: 'list'>
    """
    if text == "":
        return None
    if "\\" in text:
        return Constraint(tag, Match.LIST, tuple(text.split("\\")), is_case_sensitive)
    if text == "*":
        return Constraint(tag, Match.PRESENT)
    if "*" in text or "?" in text:
        return Constraint(tag, Match.WILDCARD, (text,), is_case_sensitive)
    if is_date_or_time and "-" in text:
        first, _, last = text.partition("-")
        return Constraint(tag, Match.RANGE, (first.strip(), last.strip()), is_case_sensitive)
    return Constraint(tag, Match.EXACT, (text,), is_case_sensitive)
