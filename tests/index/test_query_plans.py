"""What is asked again and again, or by the server itself, never reads a whole table: SQLite explains its plans."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hounsfield.dicom.levels import Level
from hounsfield.index.changes import ChangeType, list_changes
from hounsfield.index.database import Transaction
from hounsfield.index.find import count, find
from hounsfield.index.metadata import MetadataType
from hounsfield.index.patients import next_to_recycle
from hounsfield.index.query import Constraint, Match, Order, OrderKind, Query
from hounsfield.index.resources import load
from hounsfield.index.sqlite import SqliteDatabase, SqliteTransaction
from hounsfield.index.stability import next_unstable, settle_stable
from hounsfield.index.statistics import totals

STUDY_DATE = 0x00080020
PUBLIC_ID = "0123abcd-0123abcd-0123abcd-0123abcd-0123abcd"
SMALL = ("totals", "main_tags_versions")


class Explaining:
    """A connection that explains each statement before it executes it."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.plans: list[str] = []

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        if not sql.startswith(("BEGIN", "COMMIT")):
            explained = self._connection.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)
            self.plans += [row[3] for row in explained]
        return self._connection.execute(sql, parameters)


def study(*constraints: Constraint, order: tuple[Order, ...] = ()) -> Callable[[Transaction], object]:
    return lambda tx: find(tx, Query(Level.STUDY, constraints, order=order, limit=50))


def exact(tag: int, value: str) -> Constraint:
    return Constraint(tag, Match.EXACT, (value,))


QUESTIONS: dict[str, Callable[[Transaction], object]] = {
    "patient id": study(exact(0x00100020, "A")),
    "accession number": study(exact(0x00080050, "A")),
    "study instance uid": study(exact(0x0020000D, "1.2")),
    "start of a name": study(Constraint(0x00100010, Match.WILDCARD, ("A*",))),
    "dates and a modality": study(
        Constraint(STUDY_DATE, Match.RANGE, ("20200101", "20200131")), exact(0x00080061, "CT")
    ),
    "latest date": study(order=(Order(OrderKind.TAG, STUDY_DATE, is_descending=True),)),
    "latest update": study(order=(Order(OrderKind.METADATA, MetadataType.LAST_UPDATE, is_descending=True),)),
    "series of a modality": lambda tx: count(tx, Query(Level.SERIES, (exact(0x00080060, "CT"),))),
    "an instance": lambda tx: find(tx, Query(Level.INSTANCE, (exact(0x00080018, "1.2"),))),
    "objects of studies": lambda tx: load(tx, Level.STUDY, [PUBLIC_ID]),
    "statistics": totals,
    "rare changes": lambda tx: list_changes(tx, types=[ChangeType.STABLE_STUDY]),
    "the next change": lambda tx: list_changes(tx, since=5),
    "what may be stable": next_unstable,
    "what is stable": lambda tx: settle_stable(tx, 1, "20200101T000000"),
    "whom to recycle": lambda tx: next_to_recycle(tx, PUBLIC_ID),
}


UNSORTED = ("latest date", "latest update", "whom to recycle", "what is stable", "the next change")


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_table_is_read_as_a_whole_or_sorted_for_its_first_rows(tmp_path: Path, name: str) -> None:
    SqliteDatabase(tmp_path / "index.db").close()
    connection = sqlite3.connect(tmp_path / "index.db", isolation_level=None)
    explaining = Explaining(connection)
    QUESTIONS[name](SqliteTransaction(explaining))  # type: ignore[arg-type]
    connection.close()
    assert explaining.plans
    for plan in explaining.plans:
        is_whole = plan.startswith("SCAN") and "USING" not in plan and plan.split()[1] not in SMALL
        assert not is_whole, explaining.plans
        assert name not in UNSORTED or plan != "USE TEMP B-TREE FOR ORDER BY", explaining.plans
