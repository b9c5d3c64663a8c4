"""Figures about the server itself, for those who watch it.

Durations and sizes of loads are kept as the largest of the last ten seconds: a short peak is seen by who asks every ten
seconds. Nothing here waits or allocates much; while it is switched off, nothing is recorded.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

WINDOW_SECONDS = 10


class Peak:
    """The largest value of the last ten seconds, in steps of one."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seconds = [-1] * WINDOW_SECONDS
        self._values = [0.0] * WINDOW_SECONDS

    def record(self, value: float) -> None:
        """Record a value of now."""
        second = int(self._clock())
        place = second % WINDOW_SECONDS
        if self._seconds[place] != second:
            self._seconds[place], self._values[place] = second, value
        elif value > self._values[place]:
            self._values[place] = value

    def value(self) -> float:
        """The largest value; 0 if there was none."""
        oldest = int(self._clock()) - WINDOW_SECONDS
        found = zip(self._seconds, self._values, strict=True)
        return max((value for second, value in found if second > oldest), default=0.0)


class LogCounter(logging.Handler):
    """Counts errors and warnings that are logged."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.errors = self.warnings = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count one."""
        if record.levelno >= logging.ERROR:
            self.errors += 1
        else:
            self.warnings += 1


class Metrics:
    """What was recorded, by name."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.is_enabled = True
        self.logged = LogCounter()
        self._clock = clock
        self._lock = threading.Lock()
        self._peaks: dict[str, Peak] = {}
        self._sums: dict[str, int] = {}
        self._active: dict[str, int] = {}
        self._started = clock()

    def peak(self, name: str, value: float) -> None:
        """Record a value of which the largest counts."""
        if not self.is_enabled:
            return
        with self._lock:
            self._peak_of(name).record(value)

    def add(self, name: str, amount: int) -> None:
        """Record an amount that is summed up."""
        if self.is_enabled:
            with self._lock:
                self._sums[name] = self._sums.get(name, 0) + amount

    def measured(self, name: str) -> "Measured":
        """A block whose duration is recorded, in milliseconds."""
        return Measured(self, name)

    def begin(self, name: str) -> None:
        """One more of something is in progress."""
        with self._lock:
            self._active[name] = active = self._active.get(name, 0) + 1
            if self.is_enabled:
                self._peak_of(name).record(active)

    def end(self, name: str) -> None:
        """One of them is over."""
        with self._lock:
            self._active[name] -= 1

    def _peak_of(self, name: str) -> Peak:
        peak = self._peaks.get(name)
        if peak is None:
            peak = self._peaks[name] = Peak(self._clock)
        return peak

    def active(self, name: str) -> int:
        """How many are in progress."""
        return self._active.get(name, 0)

    def largest(self, name: str) -> float:
        """The largest value of the last ten seconds."""
        with self._lock:
            peak = self._peaks.get(name)
            return max(peak.value() if peak else 0.0, self._active.get(name, 0))

    def sum(self, name: str) -> int:
        """The sum of what was added."""
        return self._sums.get(name, 0)

    def age_seconds(self) -> float:
        """How long this has been recording."""
        return self._clock() - self._started


class Measured:
    """Records how long a block takes."""

    __slots__ = ("_metrics", "_name", "_started")

    def __init__(self, metrics: Metrics, name: str) -> None:
        self._metrics, self._name, self._started = metrics, name, 0.0

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._metrics.peak(self._name, (time.perf_counter() - self._started) * 1000)
