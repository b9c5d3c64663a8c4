"""The log of changes, which clients follow by its sequence numbers."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_public_id
from hounsfield.index.paging import rows_of_marks


class ChangeType(IntEnum):
    """What happened; the numbers are Orthanc's."""

    COMPLETED_SERIES = 1
    NEW_INSTANCE = 2
    NEW_PATIENT = 3
    NEW_SERIES = 4
    NEW_STUDY = 5
    ANONYMIZED_STUDY = 6
    ANONYMIZED_SERIES = 7
    MODIFIED_STUDY = 8
    MODIFIED_SERIES = 9
    ANONYMIZED_PATIENT = 10
    MODIFIED_PATIENT = 11
    STABLE_PATIENT = 12
    STABLE_STUDY = 13
    STABLE_SERIES = 14
    UPDATED_ATTACHMENT = 15
    UPDATED_METADATA = 16

    @property
    def word(self) -> str:
        """The name in answers, such as `NewInstance`."""
        return "".join(part.capitalize() for part in self.name.split("_"))


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log."""

    seq: int
    type: ChangeType
    level: Level
    public_id: PublicId
    date: str


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Some entries in ascending order; `last` is the number to go on from, `is_done` says that nothing follows."""

    changes: list[Change]
    is_done: bool
    first: int | None
    last: int


def log_change(
    tx: Transaction, change: ChangeType, level: Level, resource: int, key: bytes, date: str
) -> None:
    """Append to the log."""
    log_changes(tx, change, level, [(resource, key, date)])


def log_changes(
    tx: Transaction, change: ChangeType, level: Level, resources: Sequence[tuple[int, bytes, str]]
) -> None:
    """Append that the same happened to several resources: row, key and date of each."""
    values = [
        value
        for resource, key, date in resources
        for value in (tx.next_change(), int(change), int(level), resource, key, date)
    ]
    tx.send(_append(len(resources)), *values)


@cache
def _append(count: int) -> str:
    return (
        f"INSERT INTO changes (seq, type, level, resource, public_id, date) VALUES {rows_of_marks(count, 6)}"
    )


def list_changes(
    tx: Transaction, *, since: int = 0, to: int = -1, limit: int = 100, types: Collection[ChangeType] = ()
) -> ChangePage:
    """Entries after `since` up to `to` (-1: no end), of some types (none: all).

    With `to` and no `since` the largest entries are taken, and `is_done` speaks of what lies before them.
    """
    where, parameters = ["seq > ?"], [since]
    if to >= 0:
        where.append("seq <= ?")
        parameters.append(to)
    if types:
        where.append(f"type IN ({', '.join('?' * len(types))})")
        parameters += [int(wanted) for wanted in types]
        if ChangeType.NEW_INSTANCE not in types:  # Said so that the index of all others is used.
            where.append(f"type <> {int(ChangeType.NEW_INSTANCE)}")
    is_backward = to >= 0 and since == 0
    rows = tx.rows(
        f"SELECT seq, type, level, public_id, date FROM changes WHERE {' AND '.join(where)}"
        f" ORDER BY seq {'DESC' if is_backward else 'ASC'} LIMIT ?",
        *parameters,
        limit + 1,
    )
    is_done = len(rows) <= limit
    rows = rows[:limit]
    if is_backward:
        rows.reverse()
    changes = [
        Change(seq, ChangeType(kind), Level(level), to_public_id(key), date)
        for seq, kind, level, key, date in rows
    ]
    if not changes:
        return ChangePage([], is_done, None, last_change(tx))
    return ChangePage(changes, is_done, changes[0].seq, changes[-1].seq)


def latest_change(tx: Transaction) -> ChangePage:
    """At most one entry: the newest one that is still logged."""
    row = tx.row("SELECT seq, type, level, public_id, date FROM changes ORDER BY seq DESC LIMIT 1")
    if row is None:
        return ChangePage([], True, None, last_change(tx))
    change = Change(row[0], ChangeType(row[1]), Level(row[2]), to_public_id(row[3]), row[4])
    return ChangePage([change], True, change.seq, change.seq)


def last_change(tx: Transaction) -> int:
    """The last number ever given, which deletions do not take back."""
    row = tx.row("SELECT last_change FROM totals")
    return int(row[0]) if row else 0


def clear_changes(tx: Transaction) -> None:
    """Empty the log; numbering goes on."""
    tx.run("DELETE FROM changes")
