"""What is still to be sent to other servers: a queue for each destination, of which one node at a time takes care.

A delivery is deleted when its instance has arrived, and by nothing else but `purge`. One that was tried too often, or
that has become too old, is marked as failed, and stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from enum import Enum

from hounsfield.dicom.identifiers import PublicId
from hounsfield.index.database import Transaction
from hounsfield.index.keys import to_key, to_public_id

TOPIC = "deliveries"
"""What is told to all servers when something may be sent that could not be before."""
_AT_ONCE = 500


class DestinationKind(Enum):
    """What a queue leads to."""

    MODALITY = "modality"
    PEER = "peer"


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue of a destination; see the schema. Times are nanoseconds since 1970, 0 for never."""

    id: int
    kind: DestinationKind
    name: str
    is_paused: bool
    attempts: int
    retry_ns: int
    error: str
    error_ns: int
    success_ns: int
    sent: int
    node: str
    lease_ns: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """An instance to be sent; `parameters` are JSON."""

    id: int
    target: str
    public_id: PublicId
    is_failed: bool
    revision: int
    parameters: str
    queued_ns: int
    attempts: int
    retry_ns: int
    error: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits in a queue for one target, or has failed, and since when."""

    target: str
    is_failed: bool
    count: int
    oldest_ns: int
    next_ns: int


_QUEUE = f"SELECT {', '.join(each.name for each in fields(Queue))} FROM delivery_queues"
_DELIVERY = (
    "SELECT id, target, instance, is_failed, revision, parameters, queued_ns, attempts, retry_ns, error"
    " FROM deliveries"
)
_ENQUEUE = (
    "INSERT INTO deliveries (queue, target, instance, patient, is_failed, revision, parameters, queued_ns, attempts,"
    " retry_ns, error) VALUES (?, ?, ?, ?, 0, 0, ?, ?, 0, 0, '') ON CONFLICT (queue, target, instance) DO UPDATE SET"
    " is_failed = 0, revision = deliveries.revision + 1, parameters = excluded.parameters, attempts = 0, retry_ns = 0,"
    " queued_ns = excluded.queued_ns"
)


def enqueue(
    tx: Transaction,
    kind: DestinationKind,
    name: str,
    target: str,
    public_ids: Sequence[str],
    parameters: str,
    now_ns: int,
) -> int:
    """Put instances at the back of the queue of a destination, and tell its nodes; how many of them exist.

    One that waits there already keeps its place, and will be sent as it is then. To be called in the transaction that
    decides that they are to be sent: what is committed is not lost.
    """
    queue = open_queue(tx, kind, name)
    tx.tell(TOPIC)
    count = 0
    for key, patient in _with_patients(tx, public_ids):
        tx.send(_ENQUEUE, queue, target, key, patient, parameters, now_ns)
        count += 1
    return count


def open_queue(tx: Transaction, kind: DestinationKind, name: str) -> int:
    """The id of the queue of a destination, which is there from now on."""
    found = tx.row("SELECT id FROM delivery_queues WHERE kind = ? AND name = ?", kind.value, name)
    if found is not None:
        return int(found[0])
    return tx.insert(
        "INSERT INTO delivery_queues (kind, name, is_paused, attempts, retry_ns, error, error_ns, success_ns, sent,"
        " node, lease_ns) VALUES (?, ?, 0, 0, 0, '', 0, 0, 0, '', 0)",
        kind.value,
        name,
    )


def _with_patients(tx: Transaction, public_ids: Sequence[str]) -> Iterable[tuple[bytes, bytes]]:
    """The keys of instances that exist, in their order, with those of their patients."""
    for start in range(0, len(public_ids), _AT_ONCE):
        keys = [to_key(public_id) for public_id in public_ids[start : start + _AT_ONCE]]
        found = tx.rows(
            "SELECT i.public_id, p.public_id FROM instances i JOIN series e ON e.id = i.series JOIN studies s"
            f" ON s.id = e.study JOIN patients p ON p.id = s.patient WHERE i.public_id IN ({_marks(keys)})",
            *keys,
        )
        patients = {bytes(key): bytes(patient) for key, patient in found}
        yield from ((key, patients[key]) for key in keys if key in patients)


def list_queues(tx: Transaction) -> list[Queue]:
    """All queues, by their kinds and names."""
    return [_to_queue(found) for found in tx.rows(f"{_QUEUE} ORDER BY kind, name")]


def new_queue(kind: DestinationKind, name: str) -> Queue:
    """A queue in which there never was anything."""
    return Queue(0, kind, name, False, 0, 0, "", 0, 0, 0, "", 0)


def find_queue(tx: Transaction, kind: DestinationKind, name: str) -> Queue | None:
    """The queue of a destination; None if nothing was ever queued for it."""
    found = tx.row(f"{_QUEUE} WHERE kind = ? AND name = ?", kind.value, name)
    return _to_queue(found) if found else None


def backlogs(tx: Transaction, queue: int) -> list[Backlog]:
    """What is in a queue, by target."""
    found = tx.rows(
        "SELECT target, is_failed, COUNT(*), MIN(queued_ns), MIN(retry_ns) FROM deliveries WHERE queue = ?"
        " GROUP BY target, is_failed ORDER BY target, is_failed",
        queue,
    )
    return [Backlog(row[0], bool(row[1]), int(row[2]), int(row[3]), int(row[4])) for row in found]


def list_deliveries(tx: Transaction, queue: int, since: int, limit: int) -> list[Delivery]:
    """Deliveries of a queue in the order of their ids, those after `since`."""
    sql = f"{_DELIVERY} WHERE queue = ? AND id > ? ORDER BY id LIMIT ?"
    return [_to_delivery(found) for found in tx.rows(sql, queue, since, limit)]


def deliveries_of(tx: Transaction, queue: int, public_ids: Sequence[str]) -> list[Delivery]:
    """Those deliveries of a queue that are of some instances, by their ids."""
    found: list[Delivery] = []
    for start in range(0, len(public_ids), _AT_ONCE):
        keys = [to_key(public_id) for public_id in public_ids[start : start + _AT_ONCE]]
        sql = f"{_DELIVERY} WHERE queue = ? AND instance IN ({_marks(keys)})"
        found += [_to_delivery(row) for row in tx.rows(sql, queue, *keys)]
    return sorted(found, key=lambda delivery: delivery.id)


def has_waiting(tx: Transaction, queue: int) -> bool:
    """Whether anything waits in a queue, for whatever target."""
    sql = "SELECT 1 FROM deliveries WHERE queue = ? AND is_failed = 0 LIMIT 1"
    return tx.row(sql, queue) is not None


def next_due_ns(tx: Transaction, queue: int, target: str) -> int | None:
    """When the first delivery of a queue that is for `target` may be tried; None if none waits."""
    sql = "SELECT MIN(retry_ns) FROM deliveries WHERE queue = ? AND target = ? AND is_failed = 0"
    (found,) = tx.row(sql, queue, target) or (None,)
    return None if found is None else int(found)


def due(tx: Transaction, queue: int, target: str, now_ns: int, limit: int) -> list[Delivery]:
    """What may be sent to `target` now, the oldest first."""
    # The plus keeps the times out of the choice of an index: what comes first is to be found without sorting.
    sql = (
        f"{_DELIVERY} WHERE queue = ? AND target = ? AND is_failed = 0 AND +retry_ns <= ? ORDER BY id LIMIT ?"
    )
    return [_to_delivery(found) for found in tx.rows(sql, queue, target, now_ns, limit)]


def claim(tx: Transaction, queue: int, node: str, now_ns: int, lease_ns: int) -> bool:
    """Let `node` take care of a queue until `lease_ns`; False if another one does, or it is paused."""
    return (
        tx.run(
            "UPDATE delivery_queues SET node = ?, lease_ns = ? WHERE id = ? AND is_paused = 0"
            " AND (node = '' OR node = ? OR lease_ns < ?)",
            node,
            lease_ns,
            queue,
            node,
            now_ns,
        )
        == 1
    )


def is_claimed(tx: Transaction, queue: int, node: str) -> bool:
    """Whether `node` takes care of a queue, and should go on."""
    sql = "SELECT 1 FROM delivery_queues WHERE id = ? AND node = ? AND is_paused = 0"
    return tx.row(sql, queue, node) is not None


def renew(tx: Transaction, node: str, lease_ns: int) -> None:
    """Go on taking care of the queues of `node` until `lease_ns`."""
    tx.run("UPDATE delivery_queues SET lease_ns = ? WHERE node = ?", lease_ns, node)


def release(tx: Transaction, queue: int, node: str) -> None:
    """Let others take care of a queue."""
    tx.tell(TOPIC)
    tx.run("UPDATE delivery_queues SET node = '', lease_ns = 0 WHERE id = ? AND node = ?", queue, node)


def release_earlier_runs(tx: Transaction, server: str) -> None:
    """Let go of the queues of earlier runs of a server, whose nodes have names that begin with its own; "" is any."""
    tx.run("UPDATE delivery_queues SET node = '', lease_ns = 0 WHERE node LIKE ?", f"{server}%")


def acknowledge(tx: Transaction, queue: int, arrived: Sequence[Delivery], now_ns: int, *, sent: int) -> None:
    """Delete deliveries that are done, unless they were queued again meanwhile; `sent` of them were really sent."""
    for delivery in arrived:
        tx.send("DELETE FROM deliveries WHERE id = ? AND revision = ?", delivery.id, delivery.revision)
    tx.send(
        "UPDATE delivery_queues SET sent = sent + ?, success_ns = ?, attempts = 0, retry_ns = 0 WHERE id = ?",
        sent,
        now_ns,
        queue,
    )


def refuse(tx: Transaction, delivery: Delivery, error: str, retry_ns: int, *, is_failed: bool) -> None:
    """Note that a delivery could not be made, unless it was queued again meanwhile."""
    tx.send(
        "UPDATE deliveries SET attempts = attempts + 1, error = ?, retry_ns = ?, is_failed = ?"
        " WHERE id = ? AND revision = ?",
        error,
        retry_ns,
        int(is_failed),
        delivery.id,
        delivery.revision,
    )


def note_error(tx: Transaction, queue: int, error: str, now_ns: int) -> None:
    """Note the last thing that went wrong in a queue."""
    tx.run("UPDATE delivery_queues SET error = ?, error_ns = ? WHERE id = ?", error, now_ns, queue)


def back_off(tx: Transaction, queue: int, error: str, now_ns: int, retry_ns: int) -> None:
    """Note that a destination failed, and is to be left alone until `retry_ns`."""
    tx.run(
        "UPDATE delivery_queues SET attempts = attempts + 1, error = ?, error_ns = ?, retry_ns = ? WHERE id = ?",
        error,
        now_ns,
        retry_ns,
        queue,
    )


def fail_older(tx: Transaction, queue: int, before_ns: int, error: str) -> int:
    """Mark what was queued before a time as failed; how many these are."""
    return tx.run(
        "UPDATE deliveries SET is_failed = 1, error = ? || CASE error WHEN '' THEN '' ELSE ': ' || error END"
        " WHERE queue = ? AND is_failed = 0 AND queued_ns < ?",
        error,
        queue,
        before_ns,
    )


def set_paused(tx: Transaction, queue: int, *, is_paused: bool) -> None:
    """Let a queue wait, or go on."""
    tx.tell(TOPIC)
    tx.run("UPDATE delivery_queues SET is_paused = ? WHERE id = ?", int(is_paused), queue)


def retry_now(tx: Transaction, queue: int, now_ns: int) -> int:
    """Try everything at once, also what failed, as if it was queued now; how many deliveries these are."""
    tx.tell(TOPIC)
    tx.run("UPDATE delivery_queues SET attempts = 0, retry_ns = 0 WHERE id = ?", queue)
    tx.run(
        "UPDATE deliveries SET is_failed = 0, attempts = 0, retry_ns = 0, queued_ns = ?"
        " WHERE queue = ? AND is_failed = 1",
        now_ns,
        queue,
    )
    return tx.run("UPDATE deliveries SET retry_ns = 0, attempts = 0 WHERE queue = ?", queue)


def redirect(tx: Transaction, queue: int, target: str) -> int:
    """Let everything in a queue be for `target`; how much was for others."""
    tx.tell(TOPIC)
    olds = [
        found[0]
        for found in tx.rows(
            "SELECT DISTINCT target FROM deliveries WHERE queue = ? AND target <> ? ORDER BY target",
            queue,
            target,
        )
    ]
    moved = 0
    for old in olds:
        same = "SELECT instance FROM deliveries WHERE queue = ? AND target = ?"
        moved += tx.run(
            f"DELETE FROM deliveries WHERE queue = ? AND target = ? AND instance IN ({same})",
            queue,
            old,
            queue,
            target,
        )
        moved += tx.run(
            "UPDATE deliveries SET target = ?, revision = revision + 1 WHERE queue = ? AND target = ?",
            target,
            queue,
            old,
        )
    return moved


def purge(tx: Transaction, queue: int, *, only_failed: bool = False, all_but: str | None = None) -> int:
    """Give deliveries up: all, those that failed, or those that are for another target; how many these are."""
    sql, values = "DELETE FROM deliveries WHERE queue = ?", [queue]
    if only_failed:
        return tx.run(f"{sql} AND is_failed = 1", *values)
    if all_but is not None:
        return tx.run(f"{sql} AND is_failed = 0 AND target <> ?", *values, all_but)
    return tx.run(sql, *values)


def _to_queue(found: Sequence[object]) -> Queue:
    number, kind, name, is_paused, *rest = found
    return Queue(number, DestinationKind(kind), name, bool(is_paused), *rest)  # type: ignore[arg-type]


def _to_delivery(found: Sequence[object]) -> Delivery:
    number, target, key, is_failed, *rest = found
    return Delivery(number, target, to_public_id(key), bool(is_failed), *rest)  # type: ignore[arg-type]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))
