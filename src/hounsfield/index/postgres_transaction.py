"""Transactions of PostgreSQL, as the operations of this room see them."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from hounsfield.dicom.levels import Level
from hounsfield.index.database import TOTALS, Pending, Row
from hounsfield.index.postgres_session import Session

_DIGITS = r"^\s*[+-]?\d{1,18}"
_DECIMAL = r"^\s*[+-]?(?:\d{1,200}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,2})?"


@dataclass(slots=True)
class Ground:
    """What a transaction that writes stands on: the totals, and the memo of this server."""

    totals: dict[str, int] = field(default_factory=dict)
    last_change: int = 0
    memo: dict[Any, Any] = field(default_factory=dict)


class PostgresTransaction:
    """See `Transaction`. Without `ground` it only reads."""

    def __init__(
        self,
        session: Session,
        shared: Pending | None = None,
        ground: Ground | None = None,
        *,
        is_snapshot: bool = True,
    ) -> None:
        self._session, self._ground, self._is_snapshot = session, ground, is_snapshot
        self._shared = shared or Pending()
        self.pending = Pending()
        self.memo: dict[Any, Any] = ground.memo if ground else {}

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """See `Transaction.rows`."""
        return self._session.ask(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """See `Transaction.row`."""
        return self._session.ask(sql, parameters).fetchone()

    def stream(self, sql: str, *parameters: Any) -> Iterable[Row]:
        """See `Transaction.stream`; what is limited comes at once."""
        if not self._is_snapshot or " LIMIT " in sql:
            return self.rows(sql, *parameters)
        return self._session.stream(sql, parameters)

    def run(self, sql: str, *parameters: Any) -> int:
        """See `Transaction.run`."""
        return self._session.ask(sql, parameters).rowcount

    def send(self, sql: str, *parameters: Any) -> None:
        """See `Transaction.send`."""
        self._session.send(sql, parameters)

    def insert(self, sql: str, *parameters: Any) -> int:
        """See `Transaction.insert`."""
        row = self.row(f"{sql} RETURNING *", *parameters)
        return int(row[0]) if row else 0

    def forget(self) -> None:
        """See `Transaction.forget`."""
        self.memo.clear()
        self.pending.count("generation", 1)

    def tell(self, topic: str) -> None:
        """See `Transaction.tell`."""
        self.pending.topics.add(topic)

    def next_change(self) -> int:
        """See `Transaction.next_change`."""
        last = self.pending.last_change or self._shared.last_change
        if not last and self._ground:
            last = self._ground.last_change
        self.pending.last_change = last + 1
        return self.pending.last_change

    def total(self, name: str) -> int:
        """See `Transaction.total`."""
        if self._ground is None:
            (value,) = self.row(f"SELECT {name} FROM totals") or (0,)
            return int(value)
        added = self._shared.totals.get(name, 0) + self.pending.totals.get(name, 0)
        return self._ground.totals[name] + added

    def has_received(self, level: Level, resource: int) -> bool:
        """See `Transaction.has_received`."""
        return (level, resource) in self._shared.received or (level, resource) in self.pending.received

    def json_text(self, column: str, key: str) -> str:
        """See `Transaction.json_text`; a document with the character NUL has no texts, as PostgreSQL has no NUL."""
        is_readable = f"strpos({column}, '\\u0000') = 0"
        return f"(CASE WHEN {is_readable} THEN {column}::jsonb ->> '{key}' END COLLATE \"C\")"

    def number(self, expression: str, *, is_integer: bool) -> str:
        """See `Transaction.number`."""
        pattern, kind = (_DIGITS, "BIGINT") if is_integer else (_DECIMAL, "DOUBLE PRECISION")
        found = f"CAST(substring(({expression})::text FROM '{pattern}') AS {kind})"
        return f"CASE WHEN {expression} IS NOT NULL THEN COALESCE({found}, 0) END"


_TOTALS_QUERY = f"SELECT txid_current(), last_change, {', '.join(TOTALS)} FROM totals"
BEGIN = f"LOCK TABLE writing IN EXCLUSIVE MODE; {_TOTALS_QUERY}"
"""Begins to write, when it is this server's turn among all servers."""


def read_ground(row: Iterator[int], memo: dict[Any, Any]) -> tuple[int, Ground]:
    """The number of the transaction, and what it stands on, from the answer to `BEGIN`."""
    number, last_change = next(row), next(row)
    return number, Ground(dict(zip(TOTALS, row, strict=True)), last_change, memo)
