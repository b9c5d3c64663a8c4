"""Which resources received nothing for a while. The state is in the database, so that no restart forgets it."""

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.index.changes import ChangeType, log_change
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_public_id
from hounsfield.index.pending import TABLES

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
