"""Which instances came in because we asked a modality to move them to us. PS3.4 C.4.2.1.5.

A C-STORE that belongs to a C-MOVE names its Message ID and who asked; our requests are numbered so that no two that
are under way have the same.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LARGEST = 0xFFFF


class Arrivals:
    """What was received for each C-MOVE of ours that is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0
        self._expected: dict[int, dict[str, None]] = {}

    @contextmanager
    def expect(self) -> Iterator[tuple[int, dict[str, None]]]:
        """A Message ID for the length of a block, and the public ids that arrive for it, in order."""
        with self._lock:
            while True:
                self._last = self._last % _LARGEST + 1
                if self._last not in self._expected or len(self._expected) >= _LARGEST:
                    break
            number = self._last
            arrived = self._expected[number] = {}
        try:
            yield number, arrived
        finally:
            with self._lock:
                self._expected.pop(number, None)

    def note(self, message_id: object, public_id: str) -> None:
        """An instance came in for a C-MOVE with this Message ID."""
        if not isinstance(message_id, int):
            return
        with self._lock:
            arrived = self._expected.get(message_id)
            if arrived is not None:
                arrived[public_id] = None
