"""What a server of a shared archive left undone when it died, done by another one.

A server that starts again puts its own files in order. One that never does, on a machine that is gone, may have
acknowledged instances whose rows were lost with a crash of the database: their files, with their notes, are then the
only copy. Whoever notices that a server has been away for a while indexes them.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Protocol

from hounsfield.errors import ArchiveError
from hounsfield.index.database import node_task
from hounsfield.ingest.intake import Intake
from hounsfield.ingest.recovery import adopt
from hounsfield.store.area import Recent

_log = logging.getLogger("hounsfield.generic")
_PAUSE_SECONDS = 30.0
_GRACE_SECONDS = 120.0


class SharedFiles(Protocol):
    """A storage area whose files several servers share, each with a list of those it has not settled."""

    def neighbours(self) -> list[str]:
        """The other servers that may have left something undone."""
        ...

    def left_by(self, node: str) -> Iterator[Recent]:
        """The files with a note of a server."""
        ...

    def note_adopted(self, node: str) -> None:
        """Nothing of a server is left undone."""
        ...


class Adoption:
    """Watches the other servers, by a thread of its own; `grace_seconds` is how long one may be away."""

    def __init__(
        self,
        intake: Intake,
        files: SharedFiles,
        *,
        grace_seconds: float = _GRACE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._intake, self._files = intake, files
        self._grace_seconds, self._clock = grace_seconds, clock
        self._away_since: dict[str, float] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="adoption", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> int:
        """Look once at every server; how many instances were indexed."""
        neighbours = self._files.neighbours()
        self._away_since = {node: since for node, since in self._away_since.items() if node in neighbours}
        return sum(self._check(node) for node in neighbours)

    def _check(self, node: str) -> int:
        # Who holds this lock is alive; while we hold it, it does not start.
        with self._intake.archive.database.alone(node_task(node)) as is_away:
            if not is_away:
                self._away_since.pop(node, None)
                return 0
            if self._clock() - self._away_since.setdefault(node, self._clock()) < self._grace_seconds:
                return 0
            return self._adopt(node)

    def _adopt(self, node: str) -> int:
        left = list(self._files.left_by(node))
        rows = adopt(self._intake, left)
        self._intake.settling.settle()
        if not self._intake.settling.has_any([each.key for each in left]):
            self._files.note_adopted(node)
        if rows:
            _log.warning(
                "A server that shares this archive is gone: %d instances that it had received were indexed",
                rows,
            )
        return rows

    def _run(self) -> None:
        while not self._stop.wait(_PAUSE_SECONDS):
            try:
                self.check()
            except (OSError, ArchiveError):
                _log.exception("Cannot see what other servers left undone; trying again")
