"""Writing what a transaction gathered: counters, and the dates of the resources it touched."""

from hounsfield.index.database import TOTALS, Pending, Transaction

TABLES = ("patients", "studies", "series", "instances")
"""The table of each level."""


def flush(tx: Transaction, pending: Pending) -> None:
    """Write `pending`, last thing before the commit."""
    if pending.totals or pending.last_change:
        tx.run(
            _ADD, *(pending.totals.get(name, 0) for name in TOTALS), pending.last_change, pending.last_change
        )
    for (level, resource), date in pending.updated.items():
        tx.run(f"UPDATE {TABLES[level]} SET last_update = ? WHERE id = ?", date, resource)
    for (level, resource), (date, now_ns) in sorted(pending.received.items(), key=_received_ns):
        date = max(date, pending.updated.get((level, resource), ""))
        tx.run(_RECEIVED[level], date, now_ns, resource)


def _received_ns(item: tuple[tuple[int, int], tuple[str, int]]) -> int:
    return item[1][1]


_ADD = (
    f"UPDATE totals SET {', '.join(f'{name} = {name} + ?' for name in TOTALS)},"
    " last_change = CASE WHEN last_change < ? THEN ? ELSE last_change END"
)
_RECEIVED = tuple(
    f"UPDATE {table} SET last_update = ?, received_ns = ?, is_stable = 0 WHERE id = ?" for table in TABLES
)
