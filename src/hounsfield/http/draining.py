"""A body that was refused: many clients look at the answer only when they have sent all, but not all may go on."""

import asyncio
from collections.abc import Callable

from hounsfield.http.asgi import DRAINED_BYTES

# How fast and how long, in timeouts of requests, such a body may be sent.
_SLOWEST_BYTES_PER_SECOND = 64 * 1024
_INTERVALS = 10


class Drain:
    """Counts what is dropped, and calls `give_up` for a body that is too large, too slow, or takes too long."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, interval_seconds: float, give_up: Callable[[], None]
    ) -> None:
        self._loop, self._interval_seconds, self._give_up = loop, interval_seconds, give_up
        self._dropped = 0
        self._timer = self._watch(_INTERVALS)

    def add(self, size: int) -> None:
        """Take a piece of `size` bytes."""
        self._dropped += size
        if self._dropped > DRAINED_BYTES:
            self._give_up()

    def end(self) -> None:
        """The body is complete, or nobody sends it any more."""
        self._timer.cancel()

    def _watch(self, intervals: int) -> asyncio.TimerHandle:
        return self._loop.call_later(self._interval_seconds, self._check, self._dropped, intervals - 1)

    def _check(self, dropped_before: int, intervals: int) -> None:
        least = self._interval_seconds * _SLOWEST_BYTES_PER_SECOND
        if intervals == 0 or self._dropped - dropped_before < least:
            self._give_up()
        else:
            self._timer = self._watch(intervals)
