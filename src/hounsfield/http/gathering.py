"""A body of known length, received by the system straight into the memory that the handler reads it from.

While it arrives its transport talks to `BodyReceiver` instead of the parser of HTTP: no piece is copied, joined or
looked at. The memory is used again for later bodies.
"""

import asyncio
from collections.abc import Callable

SMALLEST_DIRECT = 32 << 10
"""Below it, what is left of a body is not worth the change."""
_NOTHING = memoryview(b"")


class Buffers:
    """Memory for bodies: a few pieces are kept. Used on the event loop only."""

    def __init__(self, kept: int = 8) -> None:
        self._kept = kept
        self._free: list[bytearray] = []

    def take(self, length: int) -> bytearray:
        """At least `length` bytes, with anything in them."""
        for position, buffer in enumerate(self._free):
            if len(buffer) >= length:
                return self._free.pop(position)
        return bytearray(max(length, 1 << 20))

    def give(self, buffer: bytearray) -> None:
        """Keep a piece for later, unless something still looks at it."""
        if len(self._free) >= self._kept:
            return
        try:
            buffer.append(0)  # Refused while there is a view.
            buffer.pop()
        except BufferError:
            return
        self._free.append(buffer)


class BodyReceiver(asyncio.BufferedProtocol):
    """Fills `view`, and then calls `done`; everything else is passed on to the connection."""

    def __init__(self, view: memoryview, connection: asyncio.Protocol, done: Callable[[], None]) -> None:
        self._left, self._connection, self._done = view, connection, done

    def get_buffer(self, sizehint: int) -> memoryview:
        """What is still to be filled: never a byte of the next request."""
        return self._left

    @property
    def left(self) -> int:
        """How many bytes are to come."""
        return len(self._left)

    def buffer_updated(self, nbytes: int) -> None:
        """`nbytes` were received."""
        self._left = self._left[nbytes:]
        if not self._left:
            self._left = _NOTHING  # An empty view still holds on to the buffer.
            self._done()

    def eof_received(self) -> bool | None:
        """The client sends no more."""
        return self._connection.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._left = _NOTHING
        self._connection.connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not take what is sent."""
        self._connection.pause_writing()

    def resume_writing(self) -> None:
        """It does again."""
        self._connection.resume_writing()
