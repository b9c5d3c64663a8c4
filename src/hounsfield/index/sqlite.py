"""The index in an SQLite file, in WAL mode: many readers, one writer at a time.

Writers that wait share one transaction. Whoever gets the lock first runs the work of all that wait, commits once,
and hands each its result: no thread is woken for a lone writer, and a commit is shared by as many as there are.
A commit that need not be durable is not synchronised (`synchronous=NORMAL`); the next durable one carries it.
"""

import errno
import os
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Generic, TypeVar

from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, Conflict, Corrupt, StorageFull
from hounsfield.index.checkpoints import Checkpoints
from hounsfield.index.database import Pending, Row, Transaction
from hounsfield.index.migrations import migrate
from hounsfield.index.pending import flush

T = TypeVar("T")
WORDS = {
    "id": "INTEGER PRIMARY KEY",
    "sequence": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "bytes": "BLOB",
    "clustered": "WITHOUT ROWID",
}
_SHARED = 256  # Works that one transaction carries at most.
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
        self.memo = {} if memo is None else memo

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

    def insert(self, sql: str, *parameters: Any) -> int:
        """See `Transaction.insert`."""
        return self._execute(sql, parameters).lastrowid or 0


class _Work(Generic[T]):
    """What one caller of `write` asked for, and what became of it."""

    __slots__ = ("action", "durable", "error", "is_done", "result")

    def __init__(self, action: Callable[[Transaction], T], durable: bool) -> None:
        self.action, self.durable = action, durable
        self.is_done = False
        self.result: T | None = None
        self.error: BaseException | None = None


class _OneFailed(Exception):
    """One of several works failed; never leaves this module."""


class SqliteDatabase:
    """See `Database`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock_file = _lock(path.with_suffix(".lock"))
        is_new = not path.exists()
        self._is_full_sync = True
        self._turn = threading.Lock()
        self._waiting: deque[_Work[Any]] = deque()
        self._readers: deque[sqlite3.Connection] = deque()
        try:
            self._writer = self._connect()
            self._migrate()
        except (ArchiveError, sqlite3.Error) as error:
            if hasattr(self, "_writer"):
                self._writer.close()
            self._lock_file.close()
            if getattr(error, "sqlite_errorcode", 0) in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
                raise Corrupt("The file of the index is not a database, or damaged") from error
            raise
        if is_new:
            _sync_folder(path.parent)
        self._memo: dict[Any, Any] = {}
        self._commits = 0
        self._checkpoints = Checkpoints(self._connect)

    @contextmanager
    def read(self) -> Iterator[SqliteTransaction]:
        """See `Database.read`."""
        with self._reader() as connection:
            connection.execute("BEGIN")
            try:
                yield SqliteTransaction(connection)
            finally:
                connection.execute("COMMIT")

    @contextmanager
    def peek(self) -> Iterator[SqliteTransaction]:
        """See `Database.peek`."""
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
        mine = _Work(work, durable)
        self._waiting.append(mine)
        with self._turn:
            while not mine.is_done:
                self._run_waiting()
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]

    def sync(self) -> int:
        """See `Database.sync`."""

        def count(tx: Transaction) -> int:
            tx.pending.count("synchronisations", 1)
            return tx.total("synchronisations")

        return self.write(count)

    def maintain(self) -> None:
        """See `Database.maintain`: the write-ahead log is copied into the database."""
        self._checkpoints.ask()

    def close(self) -> None:
        """See `Database.close`."""
        self.sync()
        self._checkpoints.close()
        while self._readers:
            self._readers.pop().close()
        self._writer.close()
        self._lock_file.close()

    def _run_waiting(self) -> None:
        """Run what waits in one transaction. The caller holds the turn."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _SHARED))]
        try:
            self._set_full_sync(any(work.durable for work in batch))
            try:
                self._run_together(batch, self._run_one if len(batch) == 1 else self._run_or_give_up)
            except _OneFailed:  # Which is rare: again, each in a savepoint, so that it is undone alone.
                self._run_together(batch, self._run_in_savepoint)
        except BaseException as error:  # noqa: BLE001  It is raised again in each thread that waits.
            for work in batch:
                work.error = work.error or _translated(error)
        finally:
            for work in batch:
                work.is_done = True

    def _run_together(self, batch: list[_Work[Any]], run: Callable[[_Work[Any], Pending], None]) -> None:
        """Run works in one transaction, and commit it."""
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            pending = Pending()
            for work in batch:
                run(work, pending)
            flush(SqliteTransaction(self._writer, memo=self._memo), pending)
            self._writer.execute("COMMIT")
        except BaseException:
            self._memo.clear()
            with suppress(sqlite3.Error):
                self._writer.execute("ROLLBACK")
            raise
        if len(self._memo) > _REMEMBERED:
            self._memo.clear()
        self._commits += 1
        if self._commits % _CHECKPOINT_COMMITS == 0:
            self._checkpoints.ask()

    def _run_one(self, work: _Work[Any], pending: Pending) -> None:
        tx = SqliteTransaction(self._writer, pending, self._memo)
        work.result = work.action(tx)
        pending.merge(tx.pending)

    def _run_or_give_up(self, work: _Work[Any], pending: Pending) -> None:
        try:
            self._run_one(work, pending)
        except BaseException as error:
            raise _OneFailed from error

    def _run_in_savepoint(self, work: _Work[Any], pending: Pending) -> None:
        """Run a work; when it fails, only what it did is undone."""
        self._writer.execute("SAVEPOINT work")
        try:
            self._run_one(work, pending)
        except BaseException as error:
            self._memo.clear()
            work.error = _translated(error)
            if not self._writer.in_transaction:  # A full disk, say, made SQLite undo the work of all.
                raise
            self._writer.execute("ROLLBACK TO work")
        self._writer.execute("RELEASE work")

    def _set_full_sync(self, wanted: bool) -> None:
        if wanted != self._is_full_sync:
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if wanted else 'NORMAL'}")
            self._is_full_sync = wanted

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
        (current,) = self._writer.execute("PRAGMA user_version").fetchone()
        self._writer.execute("BEGIN IMMEDIATE")
        version = migrate(SqliteTransaction(self._writer), current, WORDS)
        self._writer.execute(f"PRAGMA user_version = {version}")
        self._writer.execute("COMMIT")


def _translated(error: BaseException) -> BaseException:
    """What the disk refused, in words that do not depend on the database."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code not in _DISK_ERRORS:
        return error
    told: Exception = OSError(errno.EIO, "The index cannot be written")
    if code == sqlite3.SQLITE_FULL:
        told = StorageFull("The disk of the index is full")
    told.__cause__ = error
    return told


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
