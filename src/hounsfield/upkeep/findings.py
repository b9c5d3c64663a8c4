"""What can be wrong with an archive."""

from dataclasses import dataclass
from enum import Enum


class Damage(Enum):
    """A kind of damage, and how it is called in reports."""

    MISSING_FILE = "missing file"
    WRONG_SIZE = "wrong size"
    ALTERED_FILE = "altered file"
    UNREADABLE_FILE = "unreadable file"
    ORPHANED_FILE = "orphaned file"
    DOUBLED_ROW = "doubled row"
    DANGLING_ROW = "dangling row"
    EMPTY_RESOURCE = "empty resource"
    WRONG_TOTALS = "wrong totals"


@dataclass(frozen=True, slots=True)
class Finding:
    """A damage, of which file (its UUID) or row, and what is known of it."""

    damage: Damage
    where: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the search came: rows and bytes looked at, of how many."""

    rows: int
    total_rows: int
    bytes_read: int
    total_bytes: int
