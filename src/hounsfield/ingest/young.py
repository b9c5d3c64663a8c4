"""Series that began while this server runs: their instances came one by one through the way in.

Whoever sends a series sends hundreds of new instances in a row. Of a series whose every instance was seen, a new one is
known to be new without asking the index, and so is that the series is there, though its row may wait for its commit.
When it is wrong nothing is lost: a row that is there already, or whose series is not, is found out by the commit.
"""

import threading

_MOST_SERIES = 256
_MOST_INSTANCES = 50_000


class _Series:
    __slots__ = ("instances", "is_queued")

    def __init__(self) -> None:
        self.instances: set[str] = set()
        self.is_queued = False


class YoungSeries:
    """What came of them, by public id; any thread may ask. Of the oldest, and after very many, nothing is known."""

    def __init__(self) -> None:
        self._series: dict[str, _Series] = {}
        self._count = 0
        self._forgotten: int | None = 0
        self._lock = threading.Lock()

    def begin(self, series: str) -> None:
        """The index does not have this series."""
        with self._lock:
            self._series.setdefault(series, _Series())
            if len(self._series) > _MOST_SERIES:
                del self._series[next(iter(self._series))]

    def has(self, series: str) -> bool:
        """Whether a row that is queued from now on will find the series in the index."""
        found = self._series.get(series)
        return found is not None and found.is_queued

    def is_new(self, series: str, instance: str) -> bool:
        """Whether an instance of a series that is there was surely never seen."""
        found = self._series.get(series)
        return found is not None and found.is_queued and instance not in found.instances

    def add(self, series: str, instance: str) -> bool:
        """Note an instance, which nobody else notes at the same time; whether it was surely never seen before."""
        found = self._series.get(series)
        if found is None or instance in found.instances:
            return False
        found.instances.add(instance)
        self._count += 1
        if self._count > _MOST_INSTANCES:
            self._forget()
        return True

    def queued(self, series: str) -> None:
        """The row of an instance is queued, and with it that of its series."""
        found = self._series.get(series)
        if found is not None:
            found.is_queued = True

    def check(self, forgotten: int | None) -> None:
        """Forget everything if `Database.forgotten` is not what it was: a series may have been deleted."""
        if forgotten != self._forgotten:
            self._forget()
            self._forgotten = forgotten

    def _forget(self) -> None:
        with self._lock:
            self._series.clear()
            self._count = 0
