"""Telling when a patient, study or series received nothing for `StableAge` seconds.

Several servers of one index all watch; that which marks a resource in the index tells of it, and no other.
"""

import logging
import threading
import time
from collections.abc import Callable

from hounsfield.archive import Archive
from hounsfield.errors import ArchiveError
from hounsfield.events import Event, InstanceReceived, ResourceStable, ResourceUnstable
from hounsfield.index.pending import RECEIVED_PRECISION_NS
from hounsfield.index.stability import next_unstable, settle_stable
from hounsfield.ingest.instance import date_of

_log = logging.getLogger("hounsfield.generic")
_RETRY_SECONDS = 5.0
_WATCH_SECONDS = 5.0  # How soon one server notices what another one received and will not watch any more.


class StabilityMonitor:
    """Sleeps until the next resource may be stable. What is unstable is in the index: a restart forgets nothing."""

    def __init__(
        self, archive: Archive, stable_age_seconds: float, clock_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._archive, self._clock_ns = archive, clock_ns
        self._age_ns = int(stable_age_seconds * 1e9) + RECEIVED_PRECISION_NS
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stability", daemon=True)
        archive.events.subscribe(self._on_event)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End; resources that are not stable yet become so in the next run."""
        self._stop.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join()

    def check(self) -> float | None:
        """Mark what is stable by now; the seconds until there may be more, None if nothing is unstable."""
        now_ns = self._clock_ns()
        with self._archive.database.read() as tx:
            oldest = next_unstable(tx)
        if oldest is None:
            return None
        due_ns = oldest + self._age_ns
        if due_ns > now_ns:
            return (due_ns - now_ns) / 1e9
        found = self._archive.database.write(
            lambda tx: settle_stable(tx, now_ns - self._age_ns, date_of(now_ns)), durable=False
        )
        for level, public_id in found:
            self._archive.events.publish(ResourceStable(level, public_id))
        return 0.0

    def _on_event(self, event: Event) -> None:
        if isinstance(event, InstanceReceived | ResourceUnstable) and not self._wake.is_set():
            self._wake.set()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                wait_seconds = self.check()
            except (OSError, ArchiveError):
                _log.exception("Cannot record what is stable; trying again")
                wait_seconds = _RETRY_SECONDS
            if wait_seconds is None:
                self._wake.wait(_WATCH_SECONDS if self._archive.database.is_elsewhere else None)
                self._wake.clear()
            else:
                self._stop.wait(wait_seconds)
