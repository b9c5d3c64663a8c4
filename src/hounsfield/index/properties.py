"""Global properties: small texts of the whole archive."""

from hounsfield.index.database import Transaction

ANONYMIZATION_COUNTER = 3  # Orthanc's number.


def get_property(tx: Transaction, number: int) -> str | None:
    """A property, or None."""
    row = tx.row("SELECT value FROM global_properties WHERE property = ?", number)
    return row[0] if row else None


def set_property(tx: Transaction, number: int, value: str) -> None:
    """Set a property."""
    tx.run(
        "INSERT INTO global_properties (property, value) VALUES (?, ?)"
        " ON CONFLICT (property) DO UPDATE SET value = excluded.value",
        number,
        value,
    )


def next_anonymization(tx: Transaction) -> int:
    """A number for an anonymized patient: one more than the last one given."""
    number = int(get_property(tx, ANONYMIZATION_COUNTER) or 0) + 1
    set_property(tx, ANONYMIZATION_COUNTER, str(number))
    return number
