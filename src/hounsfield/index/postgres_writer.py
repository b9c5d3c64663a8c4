"""The connection by which one server writes.

Among all servers that share an index one writes at a time: `LOCK TABLE writing` is the turn. So works run one after the
other as they do in SQLite, changes are numbered in the order of the commits, and nothing has to be serialised
afterwards.
"""

import logging
import time
from typing import Any

import psycopg
from psycopg import errors as codes

from hounsfield.errors import ArchiveError, DatabaseUnavailable
from hounsfield.index.database import Pending
from hounsfield.index.options import PostgresOptions
from hounsfield.index.postgres_listener import channel
from hounsfield.index.postgres_locks import take_server_lock
from hounsfield.index.postgres_session import Session, is_conflict, translated
from hounsfield.index.postgres_transaction import BEGIN, Ground, PostgresTransaction, read_ground
from hounsfield.index.topics import Topics

_log = logging.getLogger("hounsfield.postgresql")
_PAUSE_SECONDS = 1.0
_UNDECIDED_SECONDS = 0.1
_REMEMBERED = 10_000  # Entries of the memo, after which it begins anew.


class PostgresWriter:
    """See `sharing.Writer`."""

    def __init__(self, options: PostgresOptions, topics: Topics) -> None:
        self._options, self._topics = options, topics
        self._channel = channel(options)
        self._level = "SERIALIZABLE" if options.is_serializable else "READ COMMITTED"
        self._session = self._connected()
        self._failed_at = -_PAUSE_SECONDS
        self._memo: dict[Any, Any] = {}
        self._generation = -1
        self._ground = Ground()
        self._number = 0
        self._highest_change = 0

    @property
    def session(self) -> Session:
        """The connection, for what is done before anybody writes."""
        return self._session

    def begin(self, *, durable: bool) -> None:
        """See `Writer.begin`."""
        if self._session.is_broken:
            self._reconnect()
        commit = "on" if durable else "off"
        row = self._session.script(
            f"BEGIN ISOLATION LEVEL {self._level}; SET LOCAL synchronous_commit = {commit}; {BEGIN}"
        ).fetchone()
        self._number, self._ground = read_ground(iter(row or ()), self._memo)
        # A server that crashed may have lost its last commits: their numbers, which were told, are not given again.
        self._ground.last_change = max(self._ground.last_change, self._highest_change)
        if self._ground.totals["generation"] != self._generation:
            self._memo.clear()
            self._generation = self._ground.totals["generation"]

    def transaction(self, shared: Pending) -> PostgresTransaction:
        """See `Writer.transaction`."""
        return PostgresTransaction(self._session, shared, self._ground)

    def catch_up(self) -> None:
        """See `Writer.catch_up`."""
        self._session.flush()

    def commit(self, pending: Pending) -> None:
        """See `Writer.commit`. Should the connection be lost meanwhile, the server is asked what became of it."""
        for topic in pending.topics:
            self._session.send("SELECT pg_notify(?, ?)", (self._channel, f"{self._options.node} {topic}"))
        self._session.send("COMMIT", ())
        try:
            self._session.flush()
        except psycopg.Error:
            if not self._session.is_broken or not self._was_committed():
                raise
        self._generation += pending.totals.get("generation", 0)
        self._highest_change = max(self._highest_change, pending.last_change)
        for topic in pending.topics:
            self._topics.tell(topic)
        if len(self._memo) > _REMEMBERED:
            self._memo.clear()

    def rollback(self) -> None:
        """See `Writer.rollback`."""
        self._memo.clear()
        try:
            self._session.drop()
        except psycopg.Error:
            self._session.close()

    def save(self) -> None:
        """See `Writer.save`."""
        self._session.send("SAVEPOINT work", ())

    def restore(self) -> bool:
        """See `Writer.restore`."""
        self._memo.clear()
        try:
            self._session.restore()
        except psycopg.Error:
            return False
        return True

    def release(self) -> None:
        """See `Writer.release`."""
        self._session.send("RELEASE work", ())
        self._session.flush()

    def is_worth_another_try(self, error: BaseException, attempt: int) -> bool:
        """See `Writer.is_worth_another_try`."""
        if attempt > self._options.retries:
            return False
        if is_conflict(error):
            time.sleep(0.1 * (attempt - 1))
            return True
        if isinstance(error, psycopg.Error) and isinstance(self.translated(error), DatabaseUnavailable):
            if self._session.is_broken or isinstance(error, codes.ReadOnlySqlTransaction):
                self._reconnect()
            return True
        return False

    def translated(self, error: BaseException) -> BaseException:
        """See `Writer.translated`."""
        if isinstance(error, codes.ReadOnlySqlTransaction):
            return DatabaseUnavailable("The database is a standby, which cannot be written")
        return translated(error)

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _connected(self) -> Session:
        session = Session(self._options)
        try:
            take_server_lock(session, self._options)
            # Whoever has the turn and stands still keeps all others from writing.
            session.script("SET idle_in_transaction_session_timeout = '60s'")
        except BaseException:
            session.close()
            raise
        return session

    def _reconnect(self) -> None:
        """Take a new connection.

        Raises
        ------
        DatabaseUnavailable
            If there is none to be had, or was none a moment ago.
        """
        if time.monotonic() - self._failed_at < _PAUSE_SECONDS:
            raise DatabaseUnavailable("The database is not available")
        self._session.close()
        self._memo.clear()
        try:
            self._session = self._connected()
        except (ArchiveError, psycopg.Error) as error:
            self._failed_at = time.monotonic()
            raise DatabaseUnavailable("The database is not available") from error
        _log.warning("The connection to PostgreSQL was lost and made again")

    def _was_committed(self) -> bool:
        """Whether the transaction whose commit was not answered took place."""
        self._reconnect()
        try:
            while True:
                row = self._session.ask("SELECT txid_status(?)", (self._number,)).fetchone()
                if row != ("in progress",):
                    return row == ("committed",)
                time.sleep(_UNDECIDED_SECONDS)
        except codes.InvalidParameterValue:  # The server crashed and never heard of it.
            return False
