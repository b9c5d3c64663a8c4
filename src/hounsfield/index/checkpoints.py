"""Copying SQLite's write-ahead log into its database, by a thread of its own, so that no writer has to.

A passive checkpoint waits for nobody and nobody waits for it. While writers go on it may not reach the end of the log;
the log then grows, until a writer that commits copies the little that is left.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable

_log = logging.getLogger("hounsfield.sqlite")


class Checkpoints:
    """Makes a checkpoint when asked to, on a connection of its own."""

    def __init__(self, connect: Callable[[], sqlite3.Connection]) -> None:
        self._connect = connect
        self._wanted = threading.Event()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)
        self._thread.start()

    def ask(self) -> None:
        """Make a checkpoint soon."""
        self._wanted.set()

    def close(self) -> None:
        """End, after the checkpoint that is being made."""
        self._is_closed = True
        self._wanted.set()
        self._thread.join()

    def _run(self) -> None:
        connection = self._connect()
        try:
            while not self._is_closed:
                self._wanted.wait()
                self._wanted.clear()
                if not self._is_closed:
                    self._checkpoint(connection)
        finally:
            connection.close()

    def _checkpoint(self, connection: sqlite3.Connection) -> None:
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:  # The disk is full, say: writers will tell; the log keeps everything.
            _log.warning("The log of the index cannot be copied into its database: %s", error)
