"""Counts and sizes, of everything and of one resource."""

from dataclasses import dataclass

from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction
from hounsfield.index.pending import TABLES
from hounsfield.index.resources import below, find_row


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
    row = find_row(tx, level, public_id)
    if row is None:
        return ResourceStatistics(*(0,) * 7)
    counts, sums = {}, [0, 0, 0, 0]
    for here in Level:
        if here < level:
            continue
        among = f"SELECT id FROM {TABLES[here]} WHERE {below(level, here)}"
        if here > level:
            (counts[here],) = tx.row(f"SELECT COUNT(*) FROM ({among}) found", row) or (0,)
        found = tx.row(
            "SELECT CAST(SUM(size) AS BIGINT), CAST(SUM(stored_size) AS BIGINT),"
            " CAST(SUM(CASE WHEN type = 1 THEN size END) AS BIGINT),"
            " CAST(SUM(CASE WHEN type = 1 THEN stored_size END) AS BIGINT)"
            f" FROM attachments WHERE level = {int(here)} AND resource IN ({among})",
            row,
        )
        sums = [total + (value or 0) for total, value in zip(sums, found or (), strict=True)]
    lower = (Level.STUDY, Level.SERIES, Level.INSTANCE)
    return ResourceStatistics(*(counts.get(each, 0) for each in lower), *sums)
