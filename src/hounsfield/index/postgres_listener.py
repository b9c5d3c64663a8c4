"""The connection by which a server hears what others committed, and by which they know that it is alive."""

import hashlib
import logging
import socket
import threading
from contextlib import suppress

import psycopg

from hounsfield.errors import ArchiveError, Conflict
from hounsfield.index.database import node_task
from hounsfield.index.options import PostgresOptions
from hounsfield.index.postgres_locks import take_lock
from hounsfield.index.postgres_session import Session
from hounsfield.index.topics import Topics

_log = logging.getLogger("hounsfield.postgresql")
_POLL_SECONDS = 0.5
_RETRY_SECONDS = 2.0
_ADOPTION_SECONDS = 15.0  # How long another server may take that does what this one left undone.


def channel(options: PostgresOptions) -> str:
    """The name under which the servers of one schema hear each other."""
    return "hounsfield_" + hashlib.sha256(options.schema.encode()).hexdigest()[:16]


class Listener:
    """Tells `topics` what other servers committed, by a thread of its own.

    Raises
    ------
    Conflict
        If a server of the same name is alive.
    """

    def __init__(self, options: PostgresOptions, topics: Topics) -> None:
        self._options, self._topics = options, topics
        self._is_closed = threading.Event()
        self._session = self._listening()
        self._thread = threading.Thread(target=self._run, name="postgresql-listener", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._is_closed.set()
        self._wake()
        self._thread.join()
        self._session.close()

    def _wake(self) -> None:
        """End the wait for notices."""
        with (
            suppress(OSError, psycopg.Error),  # It is not connected, and does not wait.
            socket.fromfd(
                self._session.connection.fileno(), socket.AF_INET, socket.SOCK_STREAM
            ) as connection,
        ):
            connection.shutdown(socket.SHUT_RDWR)

    def _listening(self) -> Session:
        session = Session(self._options)
        try:
            name, patience = node_task(self._options.node), _ADOPTION_SECONDS
            if self._options.node and not take_lock(session, self._options, name, patience_seconds=patience):
                raise Conflict(
                    "Another server with the same DatabaseServerIdentifier uses this database: each needs its own"
                )
            session.script(f"LISTEN {channel(self._options)}")
        except BaseException:
            session.close()
            raise
        return session

    def _run(self) -> None:
        while not self._is_closed.is_set():
            try:
                if self._session.is_broken:
                    self._session = self._listening()
                    self._topics.tell("")
                self._hear()
            except (psycopg.Error, ArchiveError) as error:
                if self._is_closed.is_set():
                    return
                _log.warning("Other servers are not heard: %s", type(error).__name__)
                self._session.close()
                self._is_closed.wait(_RETRY_SECONDS)

    def _hear(self) -> None:
        for notice in self._session.connection.notifies(timeout=_POLL_SECONDS):
            node, _, topic = notice.payload.partition(" ")
            if node != self._options.node:
                self._topics.tell(topic)
