"""One connection to PostgreSQL, and what its errors mean.

Statements of which nothing needs to be known wait until an answer is wanted, and go with that question: a database on
another machine is then asked once where it would be asked five times.
"""

import contextlib
import functools
import re
import select
from collections.abc import Iterator
from typing import Any

import psycopg
from psycopg import errors as codes
from psycopg.types.numeric import Int8BinaryDumper, Int8Dumper

from hounsfield.errors import DatabaseCannotSerialize, DatabaseUnavailable, StorageFull
from hounsfield.index.database import Row
from hounsfield.index.options import PostgresOptions

_CONNECT_SECONDS = 5
_STREAMED = 500  # Rows that a stream asks for at a time.
# The server, too, must notice within seconds that a machine is gone: it may hold the lock that all writers need.
_SETTINGS = {
    "application_name": "",
    "client_encoding": "UTF8",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "2",
    "tcp_keepalives_count": "3",
    "lock_timeout": "60s",
    "jit": "off",
}
_CONFLICTS = (
    codes.SerializationFailure,
    codes.DeadlockDetected,
    codes.ForeignKeyViolation,  # Another server deleted a parent that this one remembered.
)
_UNAVAILABLE = (
    codes.AdminShutdown,
    codes.CrashShutdown,
    codes.CannotConnectNow,
    codes.TooManyConnections,
    codes.IdleInTransactionSessionTimeout,
)
_FULL = (codes.DiskFull,)
_PLACE = re.compile(r"'[^']*'|\?|%")


class Session:
    """A connection, outside of any transaction until it is told otherwise. For one thread at a time."""

    def __init__(self, options: PostgresOptions) -> None:
        self.connection = _connect(options)
        self._cursor = self.connection.cursor(binary=True)
        self._waiting: list[tuple[str, tuple[Any, ...]]] = []
        self._streams = 0

    @property
    def is_broken(self) -> bool:
        """Whether the connection is lost."""
        return bool(self.connection.closed or self.connection.broken)

    @property
    def is_stale(self) -> bool:
        """Whether the server said something while it was not asked: mostly that it ends the connection."""
        return self.is_broken or bool(select.select([self.connection.fileno()], [], [], 0)[0])

    def script(self, sql: str) -> "psycopg.Cursor[Row]":
        """Several statements without parameters, in one go; the cursor stands on the answer to the last."""
        cursor = self.connection.execute(sql, prepare=False)
        while cursor.nextset():
            pass
        return cursor

    def send(self, sql: str, parameters: tuple[Any, ...]) -> None:
        """A statement that may wait."""
        self._waiting.append((_placed(sql), parameters))

    def ask(self, sql: str, parameters: tuple[Any, ...]) -> "psycopg.Cursor[Row]":
        """A statement whose answer is wanted, after those that wait."""
        if not self._waiting:
            return self._cursor.execute(_placed(sql), parameters)
        self._waiting.append((_placed(sql), parameters))
        self.flush()
        return self._cursor

    def flush(self) -> None:
        """Execute what waits, by one round trip; the answer to the last is in the cursor."""
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        with self.connection.pipeline():
            for sql, parameters in waiting:
                self._cursor.execute(sql, parameters)

    def stream(self, sql: str, parameters: tuple[Any, ...]) -> Iterator[Row]:
        """The rows of a query, some at a time; inside a transaction."""
        self.flush()
        self._streams += 1
        with contextlib.closing(self.connection.cursor(f"stream_{self._streams}")) as cursor:
            cursor.itersize = _STREAMED
            cursor.execute(_placed(sql), parameters, binary=True)
            yield from cursor

    def drop(self) -> None:
        """Forget what waits, and undo a transaction that was begun."""
        self._waiting.clear()
        self.connection.execute("ROLLBACK", prepare=False)

    def restore(self) -> None:
        """Go back to the savepoint `work`, which may itself be among what waits."""
        has_savepoint = not any(sql == "SAVEPOINT work" for sql, _ in self._waiting)
        self._waiting.clear()
        if has_savepoint:
            self.script("ROLLBACK TO work; RELEASE work")

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(psycopg.Error):
            self.connection.close()


def _connect(options: PostgresOptions) -> "psycopg.Connection[Row]":
    """A connection in autocommit mode, with our settings.

    Raises
    ------
    DatabaseUnavailable
        If the server cannot be reached, or refuses.
    """
    chosen: dict[str, Any] = {"connect_timeout": _CONNECT_SECONDS, "keepalives": 1, "keepalives_idle": 5}
    chosen |= {"keepalives_interval": 2, "keepalives_count": 3}
    if not options.uri:
        chosen |= {"host": options.host, "port": options.port, "dbname": options.database}
        chosen |= {"user": options.username, "password": options.password}
        chosen["sslmode"] = "require" if options.is_encrypted else "disable"
    try:
        connection = psycopg.connect(
            options.uri, autocommit=True, **{name: value for name, value in chosen.items() if value != ""}
        )
    except psycopg.Error as error:
        raise DatabaseUnavailable(f"PostgreSQL cannot be reached: {_first_line(error)}") from error
    try:
        _configure(connection, options)
    except psycopg.Error as error:
        connection.close()
        raise DatabaseUnavailable(f"PostgreSQL cannot be used: {_first_line(error)}") from error
    return connection


def _configure(connection: "psycopg.Connection[Row]", options: PostgresOptions) -> None:
    settings = {**_SETTINGS, "application_name": options.application_name or "Hounsfield"}
    settings["search_path"] = '"{}"'.format(options.schema.replace('"', '""'))
    connection.prepare_threshold = 3
    connection.execute(
        f"SELECT {', '.join(['set_config(%s, %s, false)'] * len(settings))}",
        [text for pair in settings.items() for text in pair],
        prepare=False,
    )
    for kind in (
        int,
        bool,
    ):  # One type for all numbers, as every column has it: statements are then prepared once.
        connection.adapters.register_dumper(kind, Int8Dumper)
        connection.adapters.register_dumper(kind, Int8BinaryDumper)


@functools.lru_cache(maxsize=4096)
def _placed(sql: str) -> str:
    """A statement with psycopg's placeholders."""
    return _PLACE.sub(lambda found: "%s" if found[0] == "?" else found[0].replace("%", "%%"), sql)


def is_conflict(error: BaseException) -> bool:
    """Whether the same work may succeed when it is run again."""
    return isinstance(error, _CONFLICTS)


def translated(error: BaseException) -> BaseException:
    """What the server refused, in words that do not depend on it."""
    told: BaseException = error
    if isinstance(error, _FULL):
        told = StorageFull("The disk of the database is full")
    elif isinstance(error, (*_CONFLICTS, codes.LockNotAvailable, codes.QueryCanceled)):
        told = DatabaseCannotSerialize(
            "The database could not put this in order with what others did; try again"
        )
    elif isinstance(error, _UNAVAILABLE) or (
        isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None
    ):
        told = DatabaseUnavailable("The database is not available")
    if told is not error:
        told.__cause__ = error
    return told


def _first_line(error: psycopg.Error) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
