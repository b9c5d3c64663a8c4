"""Which resources received nothing for a while. The state is in the database, so that no restart forgets it."""

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.index.changes import ChangeType, log_change
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key, to_public_id
from hounsfield.index.pending import TABLES
from hounsfield.index.resources import get_row

_CHANGES = {
    Level.SERIES: ChangeType.STABLE_SERIES,
    Level.STUDY: ChangeType.STABLE_STUDY,
    Level.PATIENT: ChangeType.STABLE_PATIENT,
}


def settle_stable(
    tx: Transaction, before_ns: int, date: str, limit: int = 200
) -> list[tuple[Level, PublicId]]:
    """Mark as stable, and log, what received its last instance before a time: series, then studies, then patients."""
    found = []
    tx.forget()
    for level, change in _CHANGES.items():
        rows = tx.rows(
            f"SELECT id, public_id FROM {TABLES[level]} WHERE is_stable = 0 AND received_ns <= ?"
            " ORDER BY received_ns LIMIT ?",
            before_ns,
            limit,
        )
        for row, key in rows:
            if tx.has_received(
                level, row
            ):  # In this transaction, by another work: it only does not show yet.
                continue
            tx.run(f"UPDATE {TABLES[level]} SET is_stable = 1 WHERE id = ?", row)
            log_change(tx, change, level, row, key, date)
            found.append((level, to_public_id(key)))
    return found


def next_unstable(tx: Transaction) -> int | None:
    """When the unstable resource that waits for the longest time received its last instance, in nanoseconds."""
    times = [
        row[0]
        for level in _CHANGES
        for row in tx.rows(f"SELECT MIN(received_ns) FROM {TABLES[level]} WHERE is_stable = 0")
        if row[0] is not None
    ]
    return min(times, default=None)


def set_stable(
    tx: Transaction, level: Level, public_id: str, date: str, now_ns: int, *, is_stable: bool
) -> bool:
    """Say of a resource that it is stable, which is logged, or that it is not yet; whether that changed anything.

    Raises
    ------
    NotFound
        If there is no such patient, study or series.
    """
    tx.forget()
    row = get_row(tx, level, public_id)
    if is_stable:
        changed = tx.run(f"UPDATE {TABLES[level]} SET is_stable = 1 WHERE id = ? AND is_stable = 0", row)
        if changed:
            log_change(tx, _CHANGES[level], level, row, to_key(public_id), date)
    else:
        changed = tx.run(
            f"UPDATE {TABLES[level]} SET is_stable = 0, received_ns = ? WHERE id = ? AND is_stable = 1",
            now_ns,
            row,
        )
    return bool(changed)
