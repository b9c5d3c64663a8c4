"""Sending a file that is in the memory of the system, without copying it through ours.

`sendfile` on the connection's own socket, from the event loop. It never waits: not for the peer, as the socket does
not block, and not for a disk, as only files whose pages are all cached are taken. Linux only; elsewhere, and for all
other files, a worker thread reads.
"""

import asyncio
import os
import socket
import sys
from collections.abc import Callable

from hounsfield.http.messages import FileBody

LARGEST = 64 << 20
"""Beyond it a file is streamed: probing its pages would take too long."""
_PROBE_STEP = 256 << 10
IS_POSSIBLE = sys.platform == "linux" and hasattr(os, "RWF_NOWAIT")


def open_cached(body: FileBody) -> int | None:
    """Open a file whose bytes are in memory; None if some may have to be read from a disk."""
    if body.length > LARGEST:
        return None
    try:
        fd = os.open(body.path, os.O_RDONLY)
    except OSError:
        return None
    if _is_cached(fd, body.offset, body.length):
        return fd
    os.close(fd)
    return None


def _is_cached(fd: int, offset: int, length: int) -> bool:
    probe = [bytearray(1)]
    last = offset + length - 1
    try:
        return all(
            os.preadv(fd, probe, min(at, last), os.RWF_NOWAIT) == 1
            for at in range(offset, last + _PROBE_STEP, _PROBE_STEP)
        )
    except OSError:  # EAGAIN: it would have to wait. Others: this file system cannot tell.
        return False


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

    @property
    def is_busy(self) -> bool:
        """Whether something is being sent."""
        return self._done is not None

    def send(self, head: bytes, file: int, body: FileBody, done: Callable[[bool], None]) -> None:
        """Begin; `file`, open for reading, is closed at the end. `done` may be called before this returns."""
        self._head, self._file, self._done = head, file, done
        self._offset, self._left = body.offset, body.length
        self._go_on()

    def close(self) -> None:
        """Give up what is being sent, and release the socket."""
        self._finish(False)
        self._socket.close()

    def _go_on(self) -> None:
        try:
            while self._head:
                self._head = self._head[self._socket.send(self._head, socket.MSG_MORE) :]
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
