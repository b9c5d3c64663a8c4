"""What is left to do after an answer was given, by one thread, a little later and in batches.

The rows committed so far are made durable, then the notes in their files are dropped and files whose rows were
deleted are deleted themselves. In this order a power cut at any point loses nothing and leaves nothing behind.

A database elsewhere may crash while we go on, and lose rows that were not durable yet. So what was made durable is
looked at again before a note or a file is given up for it.
"""

import logging
import threading
import time
from collections.abc import Callable, Collection

from hounsfield.archive import Archive
from hounsfield.errors import ArchiveError, DatabaseUnavailable
from hounsfield.index.attachments import unknown_files
from hounsfield.index.deletion import forget_deleted_files, keep_deleted_files, list_deleted_files
from hounsfield.store.area import FileKey

_log = logging.getLogger("hounsfield.generic")
_BATCH = 500
_HOUSEKEEPING_SECONDS = 30.0


class Settling:
    """Runs `settle` once nothing came in for `quiet_seconds`, and at the latest after `patience_seconds`.

    What is left to do is no work for the moments in which a scanner sends.
    """

    def __init__(
        self, archive: Archive, *, quiet_seconds: float = 1.0, patience_seconds: float = 20.0
    ) -> None:
        self._archive, self._quiet_seconds, self._patience_seconds = archive, quiet_seconds, patience_seconds
        self.restore: Callable[[Collection[FileKey]], None] | None = None
        """Indexes files again whose rows were lost; it may `add` them."""
        self._last_activity = 0.0
        self._lock = threading.Lock()
        self._noted: list[FileKey] = []
        self._unindexed: set[FileKey] = set()
        self._has_deleted = True  # A previous run may have left some.
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="settling", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish what is to be done, and end."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()
        try:
            self.settle()
        except DatabaseUnavailable:
            _log.warning("The database is not available: what is left to do is done at the next start")

    def add(self, key: FileKey) -> None:
        """The row of this file was committed."""
        with self._lock:
            self._noted.append(key)
        self._last_activity = time.monotonic()
        if not self._wake.is_set():
            self._wake.set()

    def index_again(self, key: FileKey) -> None:
        """The row of this file could not be committed, although its sender was told that it is safe: make it again.

        If that is not possible now, it is tried again until it is, or at the next start.
        """
        with self._lock:
            self._unindexed.add(key)
        try:
            self._index_again()
        except (OSError, ArchiveError):
            _log.exception("An instance cannot be indexed; trying again")
            self._wake.set()

    def _index_again(self) -> None:
        with self._lock:
            keys = set(self._unindexed)
        if keys and self.restore is not None:
            self.restore(keys)
            with self._lock:
                self._unindexed -= keys

    def files_were_deleted(self) -> None:
        """The table of deleted files has new rows."""
        self._has_deleted = True
        self._last_activity = time.monotonic()  # Who deletes often sends something next.
        self._wake.set()

    def has_any(self, keys: Collection[FileKey]) -> bool:
        """Whether some of these files are still to be settled."""
        with self._lock:
            return not set(keys).isdisjoint(self._noted)

    def settle(self) -> None:
        """Do all that is to be done now."""
        self._archive.database.finish()
        self._index_again()
        with self._lock:
            noted, self._noted = self._noted, []
        has_deleted, self._has_deleted = self._has_deleted, False
        if not noted and not has_deleted:
            return
        try:
            mark = self._archive.database.sync()
            lost = self._lost(noted)
            self._archive.storage.settle([key for key in noted if key not in lost], mark)
            if lost and self.restore is not None:
                self.restore(lost)
            if has_deleted:
                self._delete_files()
            self._archive.database.maintain()
        except (OSError, ArchiveError):
            with self._lock:  # What was done already is passed over the next time.
                self._noted = noted + self._noted
            self._has_deleted = True
            raise

    def _lost(self, keys: list[FileKey]) -> Collection[FileKey]:
        """Files whose rows are not there, although they were committed, and were not deleted either."""
        if not self._archive.database.is_elsewhere:
            return ()
        with self._archive.database.read() as tx:
            unknown = unknown_files(tx, keys)
        return {key for key in map(FileKey, unknown) if self._archive.storage.find(key) is not None}

    def _delete_files(self) -> None:
        with self._archive.database.alone("deleted files") as is_ours:
            while is_ours and self._delete_some_files():
                pass

    def _delete_some_files(self) -> bool:
        """Delete some files whose rows are gone; False if there were none."""
        database = self._archive.database
        with database.read() as tx:
            uuids = list_deleted_files(tx, _BATCH)
        if not uuids:
            return False
        # Only rows that `sync` made durable may cost a file; the table may have grown since.
        database.sync()
        if database.is_elsewhere:
            with database.read() as tx:
                uuids = keep_deleted_files(tx, uuids)
        self._archive.storage.remove(FileKey(uuid) for uuid in uuids)
        database.write(lambda tx: forget_deleted_files(tx, uuids), durable=False)
        return True

    def _run(self) -> None:
        pause_seconds = _HOUSEKEEPING_SECONDS if self._archive.database.is_elsewhere else None
        while not self._stop.is_set():
            if not self._wake.wait(pause_seconds):  # Another server may have left some when it died.
                self._has_deleted = True
            self._wait_for_quiet()
            self._wake.clear()
            try:
                self.settle()
            except (OSError, ArchiveError):
                _log.exception("Cannot settle the files of the storage area; trying again")
                self._stop.wait(self._quiet_seconds)
                self._wake.set()

    def _wait_for_quiet(self) -> None:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            now = time.monotonic()
            wait_seconds = min(self._last_activity + self._quiet_seconds, deadline) - now
            if wait_seconds <= 0 or self._stop.wait(wait_seconds):
                return
