"""Receiving several P-DATA-TF PDUs at once, on the guess that the next ones are like the last one. PS3.8 9.3.5.

A data set usually comes in PDUs of one length with one fragment each, and with short PDUs most of the time goes
into asking for the next one. When two headers in a row were the same, the buffers for the following headers and
fragments can be laid out beforehand. Where the guess was wrong, at the latest with the last fragment, the bytes
that came after it are handed back to be read in the usual way.
"""

from typing import NamedTuple

HEADER_LENGTH = 12
"""PDU header and fragment header."""

MOST_PDUS = 8


class Settled(NamedTuple):
    """What came: bytes stored in a row, bytes that the current fragment lacks, bytes still to be read."""

    stored: int
    remaining: int
    overrun: bytes


class RunAhead:
    """Lays out the buffers, and sorts out what came into them."""

    def __init__(self) -> None:
        self._heads = [memoryview(bytearray(HEADER_LENGTH)) for _ in range(MOST_PDUS + 1)]
        self._views: list[memoryview] = []
        self._header = b""
        self._length = 0

    def lay_out(self, header: bytes, length: int, space: memoryview, remaining: int) -> list[memoryview]:
        """The buffers for the rest of a fragment, and for as many like it as fit into `space`.

        `header` is that of the current fragment, whose length is `length` and which still lacks `remaining`
        bytes; `space` is at least as long as that.
        """
        self._header, self._length = header, length
        self._views = views = [space[:remaining]]
        start, end = remaining, len(space)
        heads = iter(self._heads)
        while start + length <= end and len(views) < 2 * MOST_PDUS:
            views += (next(heads), space[start : start + length])
            start += length
        views.append(next(heads))
        return views

    def settle(self, count: int) -> Settled:
        """What it means that `count` bytes came into the buffers."""
        views = self._views
        remaining = len(views[0])
        if count <= remaining:
            return Settled(count, remaining - count, b"")
        stored, left = remaining, count - remaining
        for index in range(1, len(views), 2):
            if left < HEADER_LENGTH or index + 1 == len(views) or bytes(views[index]) != self._header:
                return Settled(stored, 0, _first(left, views[index:]))
            left -= HEADER_LENGTH
            here = min(left, self._length)
            stored += here
            left -= here
            if here < self._length:
                return Settled(stored, self._length - here, b"")
        return Settled(stored, 0, b"")


def _first(count: int, views: list[memoryview]) -> bytes:
    """The first `count` bytes of `views`, joined."""
    parts = []
    for view in views:
        if count <= 0:
            break
        parts.append(view[:count])
        count -= len(view)
    return b"".join(parts)
