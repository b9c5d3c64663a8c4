"""The log of what was sent to other servers, which clients follow by its sequence numbers."""

from collections.abc import Sequence
from dataclasses import dataclass

from hounsfield.dicom.levels import Level
from hounsfield.index.database import Row, Transaction
from hounsfield.index.keys import to_key
from hounsfield.index.pending import TABLES

_COLUMNS = (
    "seq, level, public_id, remote_modality, date, patient_id, study_instance_uid, series_instance_uid,"
    " sop_instance_uid"
)


@dataclass(frozen=True, slots=True)
class Export:
    """One entry of the log; identifiers go down to the level."""

    seq: int
    level: Level
    public_id: str
    remote_modality: str
    date: str
    identifiers: tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class ExportPage:
    """Some entries in ascending order; `last` is the number to go on from, `is_done` says that nothing follows."""

    exports: Sequence[Export]
    is_done: bool
    first: int | None
    last: int


def log_export(tx: Transaction, level: Level, public_id: str, remote_modality: str, date: str) -> None:
    """Append to the log; a resource that is gone is not logged."""
    identifiers = _identifiers(tx, level, public_id)
    if identifiers is not None:
        tx.insert(
            "INSERT INTO exports (level, public_id, remote_modality, date, patient_id, study_instance_uid,"
            " series_instance_uid, sop_instance_uid) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            int(level),
            public_id,
            remote_modality,
            date,
            *identifiers,
        )


def _identifiers(tx: Transaction, level: Level, public_id: str) -> tuple[str, ...] | None:
    """Patient ID, and the UIDs down to the level; None if there is no such resource."""
    columns = [tx.json_text("patients.main_tags", "0010,0020"), *_UIDS[:level]]
    joins = "".join(
        f" JOIN {TABLES[upper]} ON {TABLES[upper]}.id = {TABLES[upper + 1]}.{_PARENTS[upper]}"
        for upper in range(level - 1, -1, -1)
    )
    sql = f"SELECT {', '.join(columns)} FROM {TABLES[level]}{joins} WHERE {TABLES[level]}.public_id = ?"
    row = tx.row(sql, to_key(public_id))
    if row is None:
        return None
    found = [text or "" for text in row]
    return tuple(found + [""] * (4 - len(found)))


_UIDS = ("studies.study_instance_uid", "series.series_instance_uid", "instances.sop_instance_uid")
_PARENTS = ("patient", "study", "series")


def list_exports(tx: Transaction, *, since: int = 0, limit: int = 100) -> ExportPage:
    """Entries after `since`."""
    rows = tx.rows(f"SELECT {_COLUMNS} FROM exports WHERE seq > ? ORDER BY seq LIMIT ?", since, limit + 1)
    return _page([_export(row) for row in rows[:limit]], len(rows) <= limit)


def latest_export(tx: Transaction) -> ExportPage:
    """At most one entry: the newest."""
    row = tx.row(f"SELECT {_COLUMNS} FROM exports ORDER BY seq DESC LIMIT 1")
    return _page([_export(row)] if row else [], True)


def clear_exports(tx: Transaction) -> None:
    """Empty the log; numbering goes on."""
    tx.run("DELETE FROM exports")


def _page(exports: Sequence[Export], is_done: bool) -> ExportPage:
    if not exports:
        return ExportPage(exports, is_done, None, 0)
    return ExportPage(exports, is_done, exports[0].seq, exports[-1].seq)


def _export(row: Row) -> Export:
    return Export(row[0], Level(row[1]), row[2], row[3], row[4], (row[5], row[6], row[7], row[8]))
