"""The index in an SQLite file, in WAL mode: many readers, one writer at a time.

Writers that wait share one transaction (`sharing`). A commit that need not be durable is not synchronised
(`synchronous=NORMAL`); the next durable one carries it.
"""

import errno
import os
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, Conflict, Corrupt, NotFound, StorageFull
from hounsfield.index.checkpoints import Checkpoints
from hounsfield.index.database import Pending, Row, Transaction
from hounsfield.index.delayed import DelayedWrites
from hounsfield.index.migrations import SCHEMA_VERSION, migrate
from hounsfield.index.sharing import SharedWrites
from hounsfield.index.topics import Topics

Item = TypeVar("Item")
T = TypeVar("T")
_WORDS = {
    "{id}": "INTEGER PRIMARY KEY",
    "{sequence}": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "{bytes}": "BLOB",
    "{clustered}": "WITHOUT ROWID",
}
# Commits after which the log is copied in the background, and pages (256 MiB) at which a writer does it itself.
_CHECKPOINT_COMMITS = 512
_CHECKPOINT_PAGES = 65536
_REMEMBERED = 10_000  # Entries of the memo, after which it begins anew.
_DISK_ERRORS = {
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
}


class _Memo(dict[Any, Any]):
    """See `Transaction.memo`; `cleared` counts how often it was emptied."""

    cleared = 0

    def clear(self) -> None:
        self.cleared += 1
        super().clear()


class SqliteTransaction:
    """See `Transaction`."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        shared: Pending | None = None,
        memo: dict[Any, Any] | None = None,
    ) -> None:
        self._execute = connection.execute
        self._shared = shared or Pending()
        self.pending = Pending()
        self.memo: dict[Any, Any] = {} if memo is None else memo

    def rows(self, sql: str, *parameters: Any) -> list[Row]:
        """See `Transaction.rows`."""
        return self._execute(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: Any) -> Row | None:
        """See `Transaction.row`."""
        found: Row | None = self._execute(sql, parameters).fetchone()
        return found

    def stream(self, sql: str, *parameters: Any) -> Iterable[Row]:
        """See `Transaction.stream`."""
        return self._execute(sql, parameters)

    def run(self, sql: str, *parameters: Any) -> int:
        """See `Transaction.run`."""
        return self._execute(sql, parameters).rowcount

    def send(self, sql: str, *parameters: Any) -> None:
        """See `Transaction.send`."""
        self._execute(sql, parameters)

    def forget(self) -> None:
        """See `Transaction.forget`; no other server has a memo."""
        self.memo.clear()

    def tell(self, topic: str) -> None:
        """See `Transaction.tell`."""
        self.pending.topics.add(topic)

    def next_change(self) -> int:
        """See `Transaction.next_change`."""
        last = self.pending.last_change or self._shared.last_change
        if not last:
            (last,) = self.row("SELECT last_change FROM totals") or (0,)
        self.pending.last_change = last + 1
        return self.pending.last_change

    def total(self, name: str) -> int:
        """See `Transaction.total`."""
        (value,) = self.row(f"SELECT {name} FROM totals") or (0,)
        return int(value) + self._shared.totals.get(name, 0) + self.pending.totals.get(name, 0)

    def has_received(self, level: Level, resource: int) -> bool:
        """See `Transaction.has_received`."""
        return (level, resource) in self._shared.received or (level, resource) in self.pending.received

    def json_text(self, column: str, key: str) -> str:
        """See `Transaction.json_text`."""
        return f"json_extract({column}, '$.\"{key}\"')"

    def number(self, expression: str, *, is_integer: bool) -> str:
        """See `Transaction.number`."""
        return f"CAST({expression} AS {'INTEGER' if is_integer else 'REAL'})"

    def insert(self, sql: str, *parameters: Any) -> int:
        """See `Transaction.insert`."""
        return self._execute(sql, parameters).lastrowid or 0


class _Writer:
    """See `sharing.Writer`."""

    def __init__(
        self, connection: sqlite3.Connection, topics: Topics, ask_for_checkpoint: Callable[[], None]
    ) -> None:
        self.connection, self._topics = connection, topics
        self._ask_for_checkpoint = ask_for_checkpoint
        self.memo = _Memo()
        self._is_full_sync = True
        self.commits = 0

    def begin(self, *, durable: bool) -> None:
        """See `Writer.begin`."""
        if durable != self._is_full_sync:
            self.connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            self._is_full_sync = durable
        self.connection.execute("BEGIN IMMEDIATE")

    def transaction(self, shared: Pending) -> SqliteTransaction:
        """See `Writer.transaction`."""
        return SqliteTransaction(self.connection, shared, self.memo)

    def catch_up(self) -> None:
        """See `Writer.catch_up`: nothing waits."""

    def commit(self, pending: Pending) -> None:
        """See `Writer.commit`."""
        self.connection.execute("COMMIT")
        self.commits += 1
        for topic in pending.topics:
            self._topics.tell(topic)
        if len(self.memo) > _REMEMBERED:
            self.memo.clear()
        if self.commits % _CHECKPOINT_COMMITS == 0:
            self._ask_for_checkpoint()

    def rollback(self) -> None:
        """See `Writer.rollback`."""
        self.memo.clear()
        with suppress(sqlite3.Error):
            self.connection.execute("ROLLBACK")

    def save(self) -> None:
        """See `Writer.save`."""
        self.connection.execute("SAVEPOINT work")

    def restore(self) -> bool:
        """See `Writer.restore`."""
        self.memo.clear()
        if not self.connection.in_transaction:
            return False
        self.connection.execute("ROLLBACK TO work")
        self.connection.execute("RELEASE work")
        return True

    def release(self) -> None:
        """See `Writer.release`."""
        self.connection.execute("RELEASE work")

    def is_worth_another_try(self, error: BaseException, attempt: int) -> bool:
        """See `Writer.is_worth_another_try`: nobody else writes, so it would fail again."""
        return False

    def translated(self, error: BaseException) -> BaseException:
        """See `Writer.translated`: what the disk refused."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code not in _DISK_ERRORS:
            return error
        told: Exception = OSError(errno.EIO, "The index cannot be written")
        if code == sqlite3.SQLITE_FULL:
            told = StorageFull("The disk of the index is full")
        told.__cause__ = error
        return told


class SqliteDatabase:
    """See `Database`."""

    is_elsewhere = False

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock_file = _lock(path.with_suffix(".lock"))
        is_new = not path.exists()
        self._readers: deque[sqlite3.Connection] = deque()
        try:
            self._connection = self._connect()
            self._migrate()
        except (ArchiveError, sqlite3.Error) as error:
            if hasattr(self, "_connection"):
                self._connection.close()
            self._lock_file.close()
            if getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise Corrupt("The file of the index is not a database, or damaged") from error
            raise
        if is_new:
            _sync_folder(path.parent)
        self._checkpoints = Checkpoints(self._connect)
        self._topics = Topics()
        self._writer = _Writer(self._connection, self._topics, self._checkpoints.ask)
        self._writes = SharedWrites(self._writer)
        self._delayed = DelayedWrites(self._writes.write_all)

    @property
    def state(self) -> int | None:
        """See `Database.state`."""
        self.finish()
        return self._writer.commits

    @property
    def forgotten(self) -> int:
        """See `Database.forgotten`."""
        return self._writer.memo.cleared

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        """See `Database.read`."""
        self.finish()
        with self._reader() as connection:
            connection.execute("BEGIN")
            try:
                yield SqliteTransaction(connection)
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def peek(self, *, may_lag: bool = False) -> Iterator[SqliteTransaction]:
        """See `Database.peek`."""
        if not may_lag:
            self.finish()
        with self._reader() as connection:
            yield SqliteTransaction(connection)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """A connection that nobody else uses meanwhile."""
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only = ON")
        try:
            yield connection
        finally:
            self._readers.append(connection)

    def write(self, work: Callable[[Transaction], T], *, durable: bool = True) -> T:
        """See `Database.write`."""
        self.finish()
        return self._writes.write(work, durable=durable)

    def write_soon(
        self,
        work: Callable[[Transaction, Sequence[Item]], Sequence[T]],
        item: Item,
        done: Callable[[T], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """See `Database.write_soon`."""
        self._delayed.write(work, item, done, failed)

    def finish(self) -> None:
        """See `Database.finish`."""
        self._delayed.finish()

    def sync(self) -> int:
        """See `Database.sync`."""

        def count(tx: Transaction) -> int:
            tx.pending.count("synchronisations", 1)
            return tx.total("synchronisations")

        return self.write(count)

    def subscribe(self, subscriber: Callable[[str], None]) -> None:
        """See `Database.subscribe`."""
        self._topics.subscribe(subscriber)

    @contextmanager
    def alone(self, task: str) -> Iterator[bool]:
        """See `Database.alone`: no other server has this index."""
        yield True

    def count_active(self) -> int:
        """See `Database.count_active`."""
        return 0

    def maintain(self) -> None:
        """See `Database.maintain`: the write-ahead log is copied into the database."""
        self._checkpoints.ask()

    def close(self) -> None:
        """See `Database.close`."""
        self._delayed.close()
        self.sync()
        self._checkpoints.close()
        while self._readers:
            self._readers.pop().close()
        self._connection.close()
        self._lock_file.close()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, isolation_level=None, check_same_thread=False, cached_statements=256, timeout=30
        )
        for pragma in (
            "journal_mode = WAL",
            "synchronous = FULL",
            f"wal_autocheckpoint = {_CHECKPOINT_PAGES}",
            "temp_store = MEMORY",
            "cache_size = -8192",
        ):
            connection.execute(f"PRAGMA {pragma}")
        return connection

    def _migrate(self) -> None:
        (current,) = self._connection.execute("PRAGMA user_version").fetchone()
        self._connection.execute("BEGIN IMMEDIATE")
        version = migrate(SqliteTransaction(self._connection), current, _in_dialect)
        self._connection.execute(f"PRAGMA user_version = {version}")
        self._connection.execute("COMMIT")


class SqliteReader:
    """An index that is only read, whether a server has it or not.

    Raises
    ------
    NotFound
        If there is none.
    Conflict
        If it is of another release.
    """

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise NotFound(f"There is no index: {path}")
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, timeout=30)
            self._connection.execute("PRAGMA query_only = ON")
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except sqlite3.DatabaseError as error:
            raise Corrupt(f"The file of the index is not a database, or damaged: {path}") from error
        if version != SCHEMA_VERSION:
            self._connection.close()
            raise Conflict(
                f"The index has schema {version} instead of {SCHEMA_VERSION}: start the server once"
            )

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        """See `Database.read`; in one thread."""
        try:
            self._connection.execute("BEGIN")
            try:
                yield SqliteTransaction(self._connection)
            finally:
                self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            raise Corrupt("The index is damaged") from error

    def close(self) -> None:
        """Release it."""
        self._connection.close()


def _in_dialect(statement: str) -> str:
    """A statement of the schema in SQLite's words."""
    for word, meaning in _WORDS.items():
        statement = statement.replace(word, meaning)
    return statement


def _sync_folder(folder: Path) -> None:
    """Make the name of a new database durable; Windows does that by itself."""
    if os.name != "nt":
        fd = os.open(folder, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


class _LockFile:
    """Held by the one server that uses an index."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def close(self) -> None:
        os.close(self._fd)


def _lock(path: Path) -> _LockFile:
    fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(fd)
        raise Conflict("The database is locked: another server uses this index") from error
    return _LockFile(fd)
