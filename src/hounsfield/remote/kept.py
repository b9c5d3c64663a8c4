"""Associations that are kept open for a while after they were used, for whoever sends to the same modality next."""

import threading
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass

from hounsfield.errors import Corrupt, PeerFailure, TimedOut
from hounsfield.net.scu import Requester

_MOST = 16


@dataclass(frozen=True, slots=True)
class Kept:
    """An association with nothing under way, and the SOP classes and transfer syntaxes that were proposed."""

    requester: Requester
    proposed: frozenset[tuple[str, str]]


class KeptAssociations:
    """One association for each way to speak with a modality, released when nobody took it in time; 0 keeps none."""

    def __init__(self, delay_seconds: float = 0.0) -> None:
        self._delay_seconds = delay_seconds
        self._lock = threading.Lock()
        self._kept: dict[Hashable, tuple[Kept, threading.Timer]] = {}
        self._is_closed = False

    def take(self, key: Hashable) -> Kept | None:
        """The association of that key, which is then the caller's. One that the modality ended meanwhile is dropped."""
        kept = self._remove(key)
        if kept is not None and not kept.requester.is_quiet:
            kept.requester.abort()
            return None
        return kept

    def keep(self, key: Hashable, kept: Kept) -> None:
        """Keep an association; the one of that key before, or the oldest of too many, is released."""
        if self._delay_seconds <= 0:
            _release(kept)
            return
        timer = threading.Timer(self._delay_seconds, self._expire, (key, kept))
        timer.daemon = True
        with self._lock:
            surplus = [key] if key in self._kept else list(self._kept)[: len(self._kept) - _MOST + 1]
            released = [self._kept.pop(each) for each in surplus]
            if self._is_closed:
                released.append((kept, timer))
            else:
                self._kept[key] = (kept, timer)
                timer.start()
        for old, old_timer in released:
            old_timer.cancel()
            _release(old)

    def close(self) -> None:
        """Release all, and keep no more."""
        with self._lock:
            self._is_closed = True
            released, self._kept = list(self._kept.values()), {}
        for kept, timer in released:
            timer.cancel()
            _release(kept)

    def _expire(self, key: Hashable, kept: Kept) -> None:
        with self._lock:
            current = self._kept.get(key)
            if current is None or current[0] is not kept:
                return
            del self._kept[key]
        _release(kept)

    def _remove(self, key: Hashable) -> Kept | None:
        with self._lock:
            found = self._kept.pop(key, None)
        if found is None:
            return None
        found[1].cancel()
        return found[0]


def _release(kept: Kept) -> None:
    # All was acknowledged: how the modality says good-bye does not matter.
    with suppress(PeerFailure, TimedOut, Corrupt):
        kept.requester.release()
