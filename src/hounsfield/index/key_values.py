"""Key-value stores: bytes that scripts keep under a name, in a store of their own."""

from collections.abc import Iterator

from hounsfield.index.database import Transaction

_PAGE = 100


def store_value(tx: Transaction, store: str, key: str, value: bytes) -> None:
    """Keep a value, in the place of an older one."""
    tx.send(
        "INSERT INTO key_values (store, name, value) VALUES (?, ?, ?)"
        " ON CONFLICT (store, name) DO UPDATE SET value = excluded.value",
        store,
        key,
        value,
    )


def get_value(tx: Transaction, store: str, key: str) -> bytes | None:
    """A value, or None."""
    row = tx.row("SELECT value FROM key_values WHERE store = ? AND name = ?", store, key)
    return bytes(row[0]) if row else None


def delete_value(tx: Transaction, store: str, key: str) -> None:
    """Delete a value; nothing happens if there is none."""
    tx.send("DELETE FROM key_values WHERE store = ? AND name = ?", store, key)


def list_values(
    tx: Transaction, store: str, after: str | None = None, limit: int = 0
) -> list[tuple[str, bytes]]:
    """Keys and values in ascending order, after a key, `limit` at most (0: all)."""
    condition, parameters = ("", ()) if after is None else (" AND name > ?", (after,))
    rows = tx.rows(
        f"SELECT name, value FROM key_values WHERE store = ?{condition} ORDER BY name LIMIT ?",
        store,
        *parameters,
        limit or (1 << 62),
    )
    return [(name, bytes(value)) for name, value in rows]


def each_value(tx: Transaction, store: str) -> Iterator[tuple[str, bytes]]:
    """As `list_values`, some at a time."""
    after: str | None = None
    while page := list_values(tx, store, after, _PAGE):
        yield from page
        after = page[-1][0]
