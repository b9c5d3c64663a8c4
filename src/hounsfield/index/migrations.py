"""The schema, in numbered steps that are applied in order, each in a transaction with its number."""

from collections.abc import Callable
from importlib.resources import files

from hounsfield.errors import Conflict
from hounsfield.index.database import Transaction

SCHEMA_VERSION = 8


def statements(number: int, in_dialect: Callable[[str], str]) -> list[str]:
    """The statements of a step, each in the words of a database."""
    text = (files("hounsfield.index") / "schema" / f"{number:04d}.sql").read_text("utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    return [in_dialect(statement.strip()) for statement in text.split(";\n") if statement.strip()]


def migrate(tx: Transaction, current: int, in_dialect: Callable[[str], str]) -> int:
    """Bring the schema from version `current` to ours; the version it now has.

    Raises
    ------
    Conflict
        If the database was written by a newer release.
    """
    if current > SCHEMA_VERSION:
        raise Conflict(
            f"The index has schema {current}, newer than {SCHEMA_VERSION}: use the release that wrote it"
        )
    for number in range(current + 1, SCHEMA_VERSION + 1):
        for statement in statements(number, in_dialect):
            tx.run(statement)
    return SCHEMA_VERSION
