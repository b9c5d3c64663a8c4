"""Counts and sizes, of everything and of one resource."""

from dataclasses import dataclass

from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key
from hounsfield.index.pending import TABLES
from hounsfield.index.resources import PARENT_COLUMN


@dataclass(frozen=True, slots=True)
class Totals:
    """Of the whole archive; sizes in bytes."""

    patients: int
    studies: int
    series: int
    instances: int
    size: int
    stored_size: int


@dataclass(frozen=True, slots=True)
class ResourceStatistics:
    """Of one resource and all below it; sizes in bytes, `dicom_*` of the DICOM files alone."""

    studies: int
    series: int
    instances: int
    size: int
    stored_size: int
    dicom_size: int
    dicom_stored_size: int


def totals(tx: Transaction) -> Totals:
    """The totals, which every transaction keeps."""
    row = tx.row("SELECT patients, studies, series, instances, size, stored_size FROM totals")
    return Totals(*(row or (0,) * 6))


def resource_statistics(tx: Transaction, level: Level, public_id: str) -> ResourceStatistics:
    """Of a resource; zeros if there is none."""
    rows: dict[Level, list[int]] = {
        level: [
            row[0]
            for row in tx.rows(f"SELECT id FROM {TABLES[level]} WHERE public_id = ?", to_key(public_id))
        ]
    }
    sums = [0, 0, 0, 0]
    for below in range(level, Level.INSTANCE + 1):
        here = Level(below)
        if here > level:
            rows[here] = [
                row[0]
                for parent in rows[Level(here - 1)]
                for row in tx.rows(f"SELECT id FROM {TABLES[here]} WHERE {PARENT_COLUMN[here]} = ?", parent)
            ]
        for resource in rows[here]:
            found = tx.row(
                "SELECT CAST(SUM(size) AS BIGINT), CAST(SUM(stored_size) AS BIGINT),"
                " CAST(SUM(CASE WHEN type = 1 THEN size END) AS BIGINT),"
                " CAST(SUM(CASE WHEN type = 1 THEN stored_size END) AS BIGINT)"
                " FROM attachments WHERE level = ? AND resource = ?",
                int(here),
                resource,
            )
            sums = [total + (value or 0) for total, value in zip(sums, found or (), strict=True)]
    counts = [
        len(rows.get(here, ())) if here > level else 0 for here in (Level.STUDY, Level.SERIES, Level.INSTANCE)
    ]
    return ResourceStatistics(*counts, *sums)
