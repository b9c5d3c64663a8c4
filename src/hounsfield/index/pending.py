"""Writing what a transaction gathered: counters, and the dates of the resources it touched."""

from hounsfield.dicom.levels import Level
from hounsfield.index.database import Pending, Transaction

TABLES = ("patients", "studies", "series", "instances")
"""The table of each level."""


def flush(tx: Transaction, pending: Pending) -> None:
    """Write `pending`, last thing before the commit."""
    for name, amount in pending.counters.items():
        if amount:
            tx.run("UPDATE counters SET value = value + ? WHERE name = ?", amount, name)
    if pending.last_change:
        tx.run("UPDATE counters SET value = ? WHERE name = 'last_change'", pending.last_change)
    for (level, resource), date in pending.updated.items():
        tx.run(f"UPDATE {TABLES[level]} SET last_update = ? WHERE id = ?", date, resource)
    for (level, resource), (date, now_ns) in pending.received.items():
        recycling = f", recycling_ns = {now_ns}" if level == Level.PATIENT else ""
        tx.run(
            f"UPDATE {TABLES[level]} SET last_update = ?, received_ns = ?, is_stable = 0{recycling} WHERE id = ?",
            date,
            now_ns,
            resource,
        )
