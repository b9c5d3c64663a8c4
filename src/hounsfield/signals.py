"""How a server is told to end: by signals of the system, or by whoever holds a `Wish`."""

import select
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType


class Wish:
    """What a signal, or somebody else, asked for.

    It is waited for on a socket that the system's own handler writes to. An `Event` would not do: a signal that comes
    just before the wait begins would not end it, and a handler must not take the lock that the wait may hold.
    """

    def __init__(self) -> None:
        self.is_restart = False
        self.is_made = False
        self._reader, self.writer = socket.socketpair()
        self._reader.setblocking(False)
        self.writer.setblocking(False)

    def make(self, *, restart: bool) -> None:
        """Ask for the end of this run."""
        self.is_restart = restart
        self.is_made = True
        with suppress(BlockingIOError):  # Full: it is readable already.
            self.writer.send(b"!")

    def wait(self) -> None:
        """Wait until something is asked for."""
        while not self.is_made:
            select.select([self._reader], [], [])
            with suppress(BlockingIOError):
                self._reader.recv(4096)

    def close(self) -> None:
        """Release the sockets."""
        self._reader.close()
        self.writer.close()


@contextmanager
def signals(wish: Wish) -> Iterator[None]:
    """A clean stop on SIGINT and SIGTERM, at once if asked twice; on SIGHUP a new start."""

    def stop(number: int, frame: FrameType | None) -> None:
        del frame
        if wish.is_made:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        wish.make(restart=False)

    def restart(number: int, frame: FrameType | None) -> None:
        del number, frame
        if not wish.is_made:
            wish.make(restart=True)

    handlers = {signal.SIGINT: stop, signal.SIGTERM: stop}
    if sys.platform != "win32":
        handlers[signal.SIGHUP] = restart
    previous = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    woken = signal.set_wakeup_fd(wish.writer.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(woken)
        for number, handler in previous.items():
            signal.signal(number, handler)
        wish.close()
