"""What is left to do after an answer was given, by one thread, a little later and in batches.

The rows committed so far are made durable, then the notes in their files are dropped and files whose rows were
deleted are deleted themselves. In this order a power cut at any point loses nothing and leaves nothing behind.
"""

import logging
import threading
import time

from hounsfield.archive import Archive
from hounsfield.errors import ArchiveError
from hounsfield.index.deletion import forget_deleted_files, list_deleted_files
from hounsfield.store.area import FileKey

_log = logging.getLogger("hounsfield.generic")
_BATCH = 500


class Settling:
    """Runs `settle` once nothing came in for `quiet_seconds`, and at the latest after `patience_seconds`.

    What is left to do is no work for the moments in which a scanner sends.
    """

    def __init__(
        self, archive: Archive, *, quiet_seconds: float = 1.0, patience_seconds: float = 20.0
    ) -> None:
        self._archive, self._quiet_seconds, self._patience_seconds = archive, quiet_seconds, patience_seconds
        self._last_activity = 0.0
        self._lock = threading.Lock()
        self._noted: list[FileKey] = []
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
        self.settle()

    def add(self, key: FileKey) -> None:
        """The row of this file was committed."""
        with self._lock:
            self._noted.append(key)
        self._last_activity = time.monotonic()
        self._wake.set()

    def files_were_deleted(self) -> None:
        """The table of deleted files has new rows."""
        self._has_deleted = True
        self._wake.set()

    def settle(self) -> None:
        """Do all that is to be done now."""
        with self._lock:
            noted, self._noted = self._noted, []
        has_deleted, self._has_deleted = self._has_deleted, False
        if not noted and not has_deleted:
            return
        try:
            mark = self._archive.database.sync()
            self._archive.storage.settle(noted, mark)
            if has_deleted:
                self._delete_files()
            self._archive.database.maintain()
        except (OSError, ArchiveError):
            with self._lock:  # What was done already is passed over the next time.
                self._noted = noted + self._noted
            self._has_deleted = True
            raise

    def _delete_files(self) -> None:
        database = self._archive.database
        while True:
            with database.read() as tx:
                uuids = list_deleted_files(tx, _BATCH)
            if not uuids:
                return
            # Only rows that `sync` made durable may cost a file; the table may have grown since.
            database.sync()
            self._archive.storage.remove(FileKey(uuid) for uuid in uuids)
            database.write(lambda tx, done=uuids: forget_deleted_files(tx, done), durable=False)  # type: ignore[misc]

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
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
