"""Where incoming data sets are put: a reused buffer in memory, or a spool file when they outgrow it.

A data set is written once by the kernel into the buffer, and handed on as a view of it. Beyond the size of the
buffer its bytes go on to a spool file as they arrive, the buffer being then only a window, so that an object
of any size takes the same memory.
"""

import contextlib
import mmap
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from hounsfield.errors import StorageFull
from hounsfield.store.spool import Spool, SpoolFile

Payload = memoryview | SpoolFile
"""A data set in memory, or spooled after the prefix of its service."""

_FLOOR = 65536
"""What every association has beside the budget: enough to spool with."""


@dataclass(frozen=True, slots=True)
class BufferOptions:
    """Sizes in bytes of the data set buffer of one association.

    A buffer starts with `initial` and doubles up to `maximum` as objects need it and the budget allows.
    """

    initial: int = 1 << 20
    maximum: int = 8 << 20


class BufferBudget:
    """The memory that the buffers of all associations share."""

    def __init__(self, total: int) -> None:
        self._available = total
        self._lock = threading.Lock()

    @property
    def available(self) -> int:
        """Bytes that nobody reserved."""
        return self._available

    def reserve(self, size: int) -> bool:
        """Take `size` bytes of the budget, if it has them."""
        with self._lock:
            if size > self._available:
                return False
            self._available -= size
            return True

    def give_back(self, size: int) -> None:
        """Return bytes that were reserved."""
        with self._lock:
            self._available += size


class DataSetBuffer:
    """Receives one data set after the other for one association."""

    def __init__(self, options: BufferOptions, budget: BufferBudget, spool: Spool | None) -> None:
        self._options = options
        self._budget = budget
        self._spool = spool
        self._map: mmap.mmap | None = None
        self._view = memoryview(b"")
        self._reserved = 0
        self._capacity = 0
        self._used = 0
        self._file: SpoolFile | None = None
        self._prefix: Callable[[], bytes] = bytes
        self._failure: StorageFull | None = None

    def start(self, prefix: Callable[[], bytes]) -> None:
        """Forget the previous data set and expect a new one.

        `prefix` gives what a spool file begins with; it is only called when there is one.
        """
        self.discard()
        self._prefix = prefix
        if self._map is None:
            self._allocate()

    def space(self, size: int) -> memoryview:
        """Where the next bytes go: one byte at least, `size` at most."""
        if self._used == self._capacity:
            self._make_room()
        return self._view[self._used : min(self._capacity, self._used + size)]

    def filled(self, count: int) -> None:
        """So many bytes are now in `space`."""
        self._used += count

    def finish(self) -> Payload:
        """The whole data set; the memory is valid until the next `start`.

        Raises
        ------
        StorageFull
            If there was no room for it on disk. All of it was received nevertheless, so that the association
            can go on.
        """
        if self._failure is None and self._file is not None:
            self._spool_out(self._file)
        if self._failure is not None:
            raise self._failure
        return self._view[: self._used] if self._file is None else self._file

    def discard(self) -> None:
        """Drop the current data set, and its spool file unless somebody took it."""
        if self._file is not None:
            self._file.close()
            self._file = None
        self._used = 0
        self._failure = None

    def close(self) -> None:
        """Give the memory back. Views that a service kept stay valid, at its own cost."""
        self.discard()
        self._budget.give_back(self._reserved)
        self._reserved = self._capacity = 0
        self._view.release()
        if self._map is not None:
            with contextlib.suppress(BufferError):
                self._map.close()
            self._map = None

    def _allocate(self) -> None:
        """Map the maximum: the system commits pages only as they are written."""
        size = max(self._options.maximum, _FLOOR)
        if sys.platform == "win32":
            self._map = mmap.mmap(-1, size)
        else:
            self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._view = memoryview(self._map)
        self._capacity = _FLOOR
        self._grow_to(min(self._options.initial, size))

    def _grow_to(self, capacity: int) -> bool:
        step = capacity - self._capacity
        if step <= 0 or not self._budget.reserve(step):
            return False
        self._reserved += step
        self._capacity = capacity
        return True

    def _make_room(self) -> None:
        if self._file is None and self._failure is None:
            if self._grow_to(min(2 * self._capacity, len(self._view))):
                return
            self._open_spool_file()
        if self._file is not None:
            self._spool_out(self._file)
        self._used = 0

    def _open_spool_file(self) -> None:
        if self._spool is None:
            self._failure = StorageFull(
                f"A data set is longer than {self._capacity} bytes, and there is no spool"
            )
            return
        try:
            self._file = self._spool.create()
            self._file.write(self._prefix())
        except OSError as error:
            self._fail(error)

    def _spool_out(self, file: SpoolFile) -> None:
        try:
            file.write(self._view[: self._used])
        except OSError as error:
            self._fail(error)
        self._used = 0

    def _fail(self, error: OSError) -> None:
        self.discard()
        self._failure = StorageFull(f"A data set cannot be spooled: {error.strerror}")
        self._failure.__cause__ = error
