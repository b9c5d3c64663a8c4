"""Labels: short words that users put on resources."""

from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction


def labels_of(tx: Transaction, level: Level, resource: int) -> list[str]:
    """The labels of a row, sorted."""
    rows = tx.rows(
        "SELECT label FROM labels WHERE level = ? AND resource = ? ORDER BY label", int(level), resource
    )
    return [row[0] for row in rows]


def add_label(tx: Transaction, level: Level, resource: int, label: str) -> None:
    """Put a label; nothing happens if it is there."""
    tx.run(
        "INSERT INTO labels (level, resource, label) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
        int(level),
        resource,
        label,
    )


def remove_label(tx: Transaction, level: Level, resource: int, label: str) -> None:
    """Take a label away; nothing happens if it is not there."""
    tx.run("DELETE FROM labels WHERE level = ? AND resource = ? AND label = ?", int(level), resource, label)


def list_labels(tx: Transaction) -> list[str]:
    """All labels in use, sorted."""
    return [row[0] for row in tx.rows("SELECT DISTINCT label FROM labels ORDER BY label")]
