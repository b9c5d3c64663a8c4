"""Protection of patients and the order in which they are recycled."""

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key, to_public_id
from hounsfield.index.resources import get_row


def is_protected(tx: Transaction, public_id: str) -> bool:
    """Whether a patient is kept out of recycling.

    Raises
    ------
    NotFound
        If there is no such patient.
    """
    row = tx.row("SELECT is_protected FROM patients WHERE id = ?", get_row(tx, Level.PATIENT, public_id))
    return bool(row and row[0])


def set_protected(tx: Transaction, public_id: str, protected: bool, now_ns: int) -> None:
    """Protect a patient, or put it at the newest end of the recycling order.

    Raises
    ------
    NotFound
        If there is no such patient.
    """
    row = get_row(tx, Level.PATIENT, public_id)
    if protected != is_protected(tx, public_id):
        tx.run(
            "UPDATE patients SET is_protected = ?, unprotected_ns = ? WHERE id = ?",
            int(protected),
            now_ns,
            row,
        )


def next_to_recycle(tx: Transaction, *spared: str) -> PublicId | None:
    """The unprotected patient that received nothing for the longest time, other than `spared`.

    Who has instances that wait to be sent elsewhere is never recycled: here may be the only copy.
    """
    oldest = None
    for row, key in tx.stream(
        "SELECT id, public_id FROM patients WHERE is_protected = 0"
        f" AND public_id NOT IN ({', '.join('?' * len(spared))})"
        " AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.patient = patients.public_id AND d.is_failed = 0)"
        " ORDER BY CASE WHEN received_ns > unprotected_ns THEN received_ns ELSE unprotected_ns END, id",
        *map(to_key, spared),
    ):
        if not tx.has_received(Level.PATIENT, row):
            return to_public_id(key)
        oldest = oldest or to_public_id(key)
    return oldest
