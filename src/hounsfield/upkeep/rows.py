"""Rows that contradict each other."""

from collections.abc import Iterator

from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_public_id
from hounsfield.index.pending import TABLES
from hounsfield.index.resources import PARENT_COLUMN
from hounsfield.index.statistics import Totals, totals
from hounsfield.upkeep.findings import Damage, Finding

_SATELLITES = ("attachments", "metadata", "labels")


def check_rows(tx: Transaction) -> Iterator[Finding]:
    """Rows whose parent or resource is gone, resources with nothing in them, and totals that are not true."""
    for level in Level:
        yield from _without_parent(tx, level)
        yield from _without_child(tx, level)
        yield from _satellites(tx, level)
    yield from _totals(tx)


def _without_parent(tx: Transaction, level: Level) -> Iterator[Finding]:
    if level == Level.PATIENT:
        return
    table, parent, column = TABLES[level], TABLES[level - 1], PARENT_COLUMN[level]
    for (key,) in tx.rows(
        f"SELECT public_id FROM {table} c WHERE NOT EXISTS (SELECT 1 FROM {parent} p WHERE p.id = c.{column})"
    ):
        yield Finding(
            Damage.DANGLING_ROW, f"{level.word} {to_public_id(key)}", "its parent is not in the index"
        )


def _without_child(tx: Transaction, level: Level) -> Iterator[Finding]:
    if level == Level.INSTANCE:
        missing = "SELECT 1 FROM attachments c WHERE c.level = 3 AND c.resource = p.id AND c.type IN (1, 2)"
        details = "it has no file"
    else:
        child = Level(level + 1)
        missing = f"SELECT 1 FROM {TABLES[child]} c WHERE c.{PARENT_COLUMN[child]} = p.id"
        details = "nothing is in it"
    for (key,) in tx.rows(f"SELECT public_id FROM {TABLES[level]} p WHERE NOT EXISTS ({missing})"):
        yield Finding(Damage.EMPTY_RESOURCE, f"{level.word} {to_public_id(key)}", details)


def _satellites(tx: Transaction, level: Level) -> Iterator[Finding]:
    for table in _SATELLITES:
        for (resource,) in tx.rows(
            f"SELECT DISTINCT resource FROM {table} s WHERE s.level = {int(level)}"
            f" AND NOT EXISTS (SELECT 1 FROM {TABLES[level]} r WHERE r.id = s.resource)"
        ):
            yield Finding(
                Damage.DANGLING_ROW, f"{table} of {level.word.lower()} row {resource}", "the resource is gone"
            )


def _totals(tx: Transaction) -> Iterator[Finding]:
    def one(sql: str) -> int:
        return int((tx.row(f"SELECT {sql}") or (0,))[0])

    true = Totals(
        patients=one("COUNT(*) FROM patients"),
        studies=one("COUNT(*) FROM studies"),
        series=one("COUNT(*) FROM series"),
        instances=one("COUNT(*) FROM instances"),
        size=one("CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM attachments"),
        stored_size=one("CAST(COALESCE(SUM(stored_size), 0) AS BIGINT) FROM attachments"),
    )
    found = totals(tx)
    if found != true:
        yield Finding(Damage.WRONG_TOTALS, "totals", f"{found} instead of {true}")
