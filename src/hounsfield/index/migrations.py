"""The schema, in numbered steps that are applied in order, each in a transaction with its number."""

from importlib.resources import files

from hounsfield.errors import Conflict
from hounsfield.index.database import Transaction

SCHEMA_VERSION = 3


def statements(number: int, words: dict[str, str]) -> list[str]:
    """The statements of a step, for a database whose own words are `words`."""
    text = (files("hounsfield.index") / "schema" / f"{number:04d}.sql").read_text("utf-8")
    text = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
    for name, word in words.items():
        text = text.replace("{" + name + "}", word)
    return [statement.strip() for statement in text.split(";\n") if statement.strip()]


def migrate(tx: Transaction, current: int, words: dict[str, str]) -> int:
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
        for statement in statements(number, words):
            tx.run(statement)
    return SCHEMA_VERSION
