"""Global properties: small texts of the whole archive."""

from hounsfield.index.database import Transaction


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
