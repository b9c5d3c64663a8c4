"""Writing what a transaction gathered: counters, and the dates of the resources it touched."""

from hounsfield.dicom.levels import Level
from hounsfield.index.database import TOTALS, Pending, Transaction

TABLES = ("patients", "studies", "series", "instances")
"""The table of each level."""
RECEIVED_PRECISION_NS = 100_000_000
"""How much the `received_ns` of a row may lag behind, so that not every instance changes three more rows."""


def flush(tx: Transaction, pending: Pending) -> None:
    """Write `pending`, last thing before the commit."""
    if pending.totals or pending.last_change:
        tx.send(
            _ADD, *(pending.totals.get(name, 0) for name in TOTALS), pending.last_change, pending.last_change
        )
    for (level, resource), date in pending.updated.items():
        tx.send(f"UPDATE {TABLES[level]} SET last_update = ? WHERE id = ?", date, resource)
    for key, (date, now_ns) in sorted(pending.received.items(), key=_received_ns):
        date = max(date, pending.updated.get(key, ""))
        if not _is_fresh(tx, key, date, now_ns):
            tx.send(_RECEIVED[key[0]], date, now_ns, key[1])
            tx.memo["received", *key] = (date, now_ns)
        if key[0] == Level.PATIENT:
            tx.memo["newest"] = key


def _is_fresh(tx: Transaction, key: tuple[int, int], date: str, now_ns: int) -> bool:
    """Whether a row says when it last received something, but for `RECEIVED_PRECISION_NS`.

    The second is always right, and so is the order of the patients.
    """
    known = tx.memo.get(("received", *key))
    if known is None or known[0] != date or now_ns - known[1] > RECEIVED_PRECISION_NS:
        return False
    return key[0] != Level.PATIENT or tx.memo.get("newest") == key


def _received_ns(item: tuple[tuple[int, int], tuple[str, int]]) -> int:
    return item[1][1]


_ADD = (
    f"UPDATE totals SET {', '.join(f'{name} = {name} + ?' for name in TOTALS)},"
    " last_change = CASE WHEN last_change < ? THEN ? ELSE last_change END"
)
_RECEIVED = tuple(
    f"UPDATE {table} SET last_update = ?, received_ns = ?, is_stable = 0 WHERE id = ?" for table in TABLES
)
