"""The audit log: who did what to which resource, and when. Entries are never changed."""

from dataclasses import dataclass

from hounsfield.dicom.levels import Level
from hounsfield.index.database import Transaction

_NO_LEVEL = -1


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One entry; `at_ns` are nanoseconds since 1970, `level` is None where no resource is concerned."""

    at_ns: int
    source: str
    user_id: str
    level: Level | None
    resource_id: str
    action: str
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """Which entries are wanted: empty texts are no condition, `limit` 0 is none; `first_ns` is in, `end_ns` is not."""

    user_id: str = ""
    resource_id: str = ""
    action: str = ""
    first_ns: int | None = None
    end_ns: int | None = None
    since: int = 0
    limit: int = 0


def log_audit(tx: Transaction, entry: AuditEntry) -> None:
    """Add an entry."""
    tx.send(
        "INSERT INTO audit_logs (at_ns, source, user_id, level, resource_id, action, data)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        entry.at_ns,
        entry.source,
        entry.user_id,
        _NO_LEVEL if entry.level is None else int(entry.level),
        entry.resource_id,
        entry.action,
        entry.data,
    )


def list_audit(tx: Transaction, query: AuditQuery) -> list[AuditEntry]:
    """Entries by time, after skipping `since`."""
    conditions: list[tuple[str, str | int]] = [
        (f"{column} = ?", value)
        for column, value in (
            ("user_id", query.user_id),
            ("resource_id", query.resource_id),
            ("action", query.action),
        )
        if value
    ]
    if query.first_ns is not None:
        conditions.append(("at_ns >= ?", query.first_ns))
    if query.end_ns is not None:
        conditions.append(("at_ns < ?", query.end_ns))
    rows = tx.rows(
        "SELECT at_ns, source, user_id, level, resource_id, action, data FROM audit_logs"
        f" WHERE {' AND '.join(sql for sql, _ in conditions) or '1 = 1'} ORDER BY at_ns, id LIMIT ? OFFSET ?",
        *(value for _, value in conditions),
        query.limit or (1 << 62),
        query.since,
    )
    return [
        AuditEntry(
            at, source, user, None if level == _NO_LEVEL else Level(level), resource, action, bytes(data)
        )
        for at, source, user, level, resource, action, data in rows
    ]
