"""The connections by which the threads of one server read."""

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator

import psycopg

from hounsfield.errors import DatabaseUnavailable
from hounsfield.index.postgres_session import Session, translated

_PATIENCE_SECONDS = 30.0
_IDLE_SECONDS = 60.0
_PAUSE_SECONDS = 1.0  # After a failed attempt to connect nobody else tries for so long.


class Pool:
    """Connections made when they are needed, `size` at most, and closed when they were not needed for a while."""

    def __init__(self, connect: Callable[[], Session], size: int) -> None:
        self._connect, self._size = connect, size
        self._free: deque[tuple[float, Session]] = deque()
        self._count = 0
        self._changed = threading.Condition()
        self._failed_at = -_PAUSE_SECONDS
        self._is_closed = False

    @contextlib.contextmanager
    def session(self, prepare: Callable[[Session], None]) -> Iterator[Session]:
        """A connection that nobody else uses meanwhile.

        `prepare` is its first use: should it fail because the connection was lost long ago, another one is taken.

        Raises
        ------
        DatabaseUnavailable
            If there is none to be had.
        """
        session = self._ready(prepare)
        try:
            yield session
        except psycopg.Error as error:
            raise translated(error) from error
        finally:
            self._put(session)

    def close(self) -> None:
        """Close those that are free; the others are closed when they are given back."""
        with self._changed:
            self._is_closed = True
            while self._free:
                self._free.pop()[1].close()

    def count_active(self) -> int:
        """How many are in use."""
        with self._changed:
            return self._count - len(self._free)

    def _ready(self, prepare: Callable[[Session], None]) -> Session:
        while True:
            session, is_new = self._take()
            try:
                prepare(session)
            except BaseException as error:
                is_broken = session.is_broken
                self._put(session)
                if not isinstance(error, psycopg.Error):
                    raise
                if is_broken and not is_new:
                    continue
                raise translated(error) from error
            return session

    def _take(self) -> tuple[Session, bool]:
        """A connection, and whether it is new."""
        deadline = time.monotonic() + _PATIENCE_SECONDS
        with self._changed:
            while not self._free and self._count >= self._size:
                if not self._changed.wait(deadline - time.monotonic()):
                    raise DatabaseUnavailable("All connections to the database are in use")
            while self._free:
                session = self._free.pop()[1]
                if not session.is_stale:
                    return session, False
                session.close()
                self._count -= 1
            if time.monotonic() - self._failed_at < _PAUSE_SECONDS:
                raise DatabaseUnavailable("The database is not available")
            self._count += 1
        try:
            return self._connect(), True
        except BaseException:
            with self._changed:
                self._count -= 1
                self._failed_at = time.monotonic()
                self._changed.notify()
            raise

    def _put(self, session: Session) -> None:
        """Take a connection back, ready for its next use."""
        try:
            if not session.is_broken and session.connection.info.transaction_status:
                session.drop()
        except psycopg.Error:
            session.close()
        now = time.monotonic()
        with self._changed:
            if session.is_broken or self._is_closed:
                session.close()
                self._count -= 1
            else:
                self._free.append((now, session))
            if self._free and now - self._free[0][0] > _IDLE_SECONDS:
                self._free.popleft()[1].close()
                self._count -= 1
            self._changed.notify()
