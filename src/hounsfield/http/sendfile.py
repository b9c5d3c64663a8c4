"""Sending a file that is in the memory of the system, without copying it through ours.

`sendfile` on the connection's own socket, from the event loop. It never waits: not for the peer, as the socket does
not block, and not for a disk, as only files whose pages are all cached are taken. Linux only; elsewhere, and for all
other files, a worker thread reads.

A stretch that begins within a page is sent from the next page on, and the bytes before it with the head. The system
puts at most 17 pieces into a segment of 64 KiB; the head, a part of a page and 15 pages are 17 that do not fill it.
Segments then went out short, more of them were needed, and sending took half as long again (benchmarks/README.md).
"""

import asyncio
import mmap
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass

from hounsfield.http.messages import FileBody

LARGEST = 64 << 20
"""Beyond it a file is streamed: probing its pages would take too long."""
_PROBE_STEP = 256 << 10
IS_POSSIBLE = sys.platform == "linux" and hasattr(os, "RWF_NOWAIT")


@dataclass(frozen=True, slots=True)
class CachedFile:
    """A file open for reading, of which a stretch can be sent without waiting; `lead` is how that begins."""

    fd: int
    lead: bytes


def open_cached(body: FileBody) -> CachedFile | None:
    """Open a file whose bytes are in memory; None if some may have to be read from a disk."""
    if body.length > LARGEST:
        return None
    try:
        fd = os.open(body.path, os.O_RDONLY)
    except OSError:
        return None
    try:
        lead = _read_lead(fd, body.offset, body.length)
        _probe(fd, body.offset + len(lead), body.offset + body.length)
    except OSError:  # It would have to wait (EAGAIN), the file is short, or its file system cannot tell.
        os.close(fd)
        return None
    return CachedFile(fd, lead)


def _read_lead(fd: int, offset: int, length: int) -> bytes:
    """The bytes before the first page that the stretch begins with; `OSError` if they are not in memory."""
    size = min(-offset % mmap.PAGESIZE, length)
    if not size:
        return b""
    lead = bytearray(size)
    if os.preadv(fd, [lead], offset, os.RWF_NOWAIT) != size:
        raise OSError("The file is short")
    return bytes(lead)


def _probe(fd: int, start: int, end: int) -> None:
    """`OSError` unless there are bytes, and in memory, every here and there."""
    byte = [bytearray(1)]
    for at in range(start, end - 1 + _PROBE_STEP, _PROBE_STEP):
        if os.preadv(fd, byte, min(at, end - 1), os.RWF_NOWAIT) != 1:
            raise OSError("The file is short")


class FileSender:
    """Sends a head and then a stretch of a file on a socket, and calls `done` with whether all of it was sent.

    The socket is shared with a transport that has nothing left to send and is silent meanwhile.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, shared_fd: int, patience_seconds: float) -> None:
        self._loop, self._patience_seconds = loop, patience_seconds
        # A descriptor of our own: the event loop refuses to watch one that belongs to a transport.
        self._socket = socket.socket(fileno=os.dup(shared_fd))
        self._file = -1
        self._head = b""
        self._offset = self._left = 0
        self._done: Callable[[bool], None] | None = None
        self._is_watching = False
        self._deadline: asyncio.TimerHandle | None = None

    def send(self, head: bytes, file: CachedFile, body: FileBody, done: Callable[[bool], None]) -> None:
        """Begin; `file` is closed at the end. `done` may be called before this returns."""
        self._head, self._file, self._done = head + file.lead, file.fd, done
        self._offset, self._left = body.offset + len(file.lead), body.length - len(file.lead)
        self._go_on()

    def close(self) -> None:
        """Give up what is being sent, and release the socket."""
        self._finish(False)
        self._socket.close()

    def _go_on(self) -> None:
        try:
            while self._head:
                flags = socket.MSG_MORE if self._left else 0
                self._head = self._head[self._socket.send(self._head, flags) :]
            while self._left:
                sent = os.sendfile(self._socket.fileno(), self._file, self._offset, self._left)
                if sent == 0:  # The file became shorter.
                    self._finish(False)
                    return
                self._offset += sent
                self._left -= sent
        except BlockingIOError:
            self._wait()
        except OSError:  # The peer is gone.
            self._finish(False)
        else:
            self._finish(True)

    def _wait(self) -> None:
        """Go on when the peer has taken something, and give up if it takes nothing for too long."""
        if not self._is_watching:
            self._loop.add_writer(self._socket.fileno(), self._go_on)
            self._is_watching = True
        if self._deadline is not None:
            self._deadline.cancel()
        self._deadline = self._loop.call_later(self._patience_seconds, self._finish, False)

    def _finish(self, is_sent: bool) -> None:
        if self._is_watching:
            self._loop.remove_writer(self._socket.fileno())
            self._is_watching = False
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        done, self._done = self._done, None
        if done is not None:
            done(is_sent)
