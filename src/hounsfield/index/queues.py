"""Queues: bytes that are put in at the back and taken out at either end, also with a reservation.

A reserved value is out of reach until its time is over, and is deleted when it is acknowledged: should whoever took it
die, another one gets it.
"""

from enum import Enum

from hounsfield.index.database import Transaction


class QueueEnd(Enum):
    """Where a value is taken out: the oldest is at the front. The values are Orthanc's."""

    FRONT = 0
    BACK = 1


def enqueue(tx: Transaction, queue: str, value: bytes) -> int:
    """Put a value at the back; its id."""
    return tx.insert("INSERT INTO queues (queue, value, reserved_until_ns) VALUES (?, ?, 0)", queue, value)


def dequeue(tx: Transaction, queue: str, end: QueueEnd, now_ns: int) -> bytes | None:
    """Take a value out; None if there is none that is not reserved."""
    found = _next(tx, queue, end, now_ns)
    if found is None:
        return None
    tx.send("DELETE FROM queues WHERE id = ?", found[0])
    return found[1]


def reserve(
    tx: Transaction, queue: str, end: QueueEnd, now_ns: int, until_ns: int
) -> tuple[int, bytes] | None:
    """Reserve a value until a time, in nanoseconds since 1970; its id and itself, None if there is none."""
    found = _next(tx, queue, end, now_ns)
    if found is not None:
        tx.send("UPDATE queues SET reserved_until_ns = ? WHERE id = ?", until_ns, found[0])
    return found


def acknowledge(tx: Transaction, queue: str, value_id: int) -> bool:
    """Delete a value that was reserved; False if it is gone."""
    return tx.run("DELETE FROM queues WHERE queue = ? AND id = ?", queue, value_id) == 1


def queue_size(tx: Transaction, queue: str) -> int:
    """How many values there are, with those that are reserved."""
    (count,) = tx.row("SELECT COUNT(*) FROM queues WHERE queue = ?", queue) or (0,)
    return int(count)


def _next(tx: Transaction, queue: str, end: QueueEnd, now_ns: int) -> tuple[int, bytes] | None:
    order = "ASC" if end is QueueEnd.FRONT else "DESC"
    row = tx.row(
        f"SELECT id, value FROM queues WHERE queue = ? AND reserved_until_ns <= ? ORDER BY id {order} LIMIT 1",
        queue,
        now_ns,
    )
    return (int(row[0]), bytes(row[1])) if row else None
