"""Turns at heavy work, so that no more is under way than there are processors, and nobody's is done who has left."""

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hounsfield.errors import Cancelled

_PATIENCE_SECONDS = 0.05


class Turns:
    """As many turns at a time as there are processors, one at least."""

    def __init__(self, most: int = 0) -> None:
        self._free = threading.Semaphore(most or os.cpu_count() or 1)

    @contextmanager
    def take(self, is_gone: Callable[[], bool]) -> Iterator[None]:
        """Wait for a turn, and have it within the block.

        Raises
        ------
        Cancelled
            If `is_gone` says that nobody wants it any more.
        """
        while not self._free.acquire(timeout=_PATIENCE_SECONDS):
            if is_gone():
                raise Cancelled("nobody waits for it")
        try:
            if is_gone():
                raise Cancelled("nobody waits for it")
            yield
        finally:
            self._free.release()
