"""A TCP or TLS connection with blocking calls: the only place where bytes of an association meet a socket.

Two settings decide about speed. TCP_NODELAY, so that our small responses leave at once; and TCP_QUICKACK, which
Linux forgets again and again, so that a peer that kept Nagle's algorithm (DCMTK does) is not held up 40 ms with
each message by our delayed acknowledgement.
"""

import contextlib
import select
import socket
import ssl
import struct
import sys
from collections.abc import Sequence
from itertools import islice

from hounsfield.errors import PeerFailure, TimedOut
from hounsfield.store.spool import Buffer

_QUICKACK = getattr(socket, "TCP_QUICKACK", None)
_MOST_BUFFERS = 512
"""In one `sendmsg`; systems allow 1024 (IOV_MAX)."""


class Transport:
    """A connected socket, which it owns."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._is_tls = isinstance(connection, ssl.SSLSocket)
        self._can_scatter = not self._is_tls and hasattr(connection, "recvmsg_into")
        self._has_kernel_timeout = not self._is_tls and sys.platform != "win32"
        self._timeout_seconds = 0.0
        self._poll: select.poll | None = None
        with contextlib.suppress(OSError):  # The peer may be gone already; the first `receive` will tell.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if self._has_kernel_timeout:
            connection.setblocking(True)

    def set_timeout(self, seconds: float) -> None:
        """Bound each following wait; 0 waits without limit.

        Plain sockets have the kernel do it, which spares Python a `poll` for every `recv`.
        """
        if seconds == self._timeout_seconds:
            return
        self._timeout_seconds = seconds
        if self._has_kernel_timeout:
            value = struct.pack("@ll", int(seconds), int(seconds % 1 * 1_000_000))
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, value)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, value)
        else:
            self._socket.settimeout(seconds or None)

    def handshake(self) -> None:
        """Do the TLS handshake, if this is TLS.

        Raises
        ------
        PeerFailure
            If the peer is not accepted, or does not accept us.
        TimedOut
            If it takes longer than the time-out.
        """
        if not isinstance(self._socket, ssl.SSLSocket):
            return
        try:
            self._socket.do_handshake()
        except TimeoutError as error:
            raise TimedOut("The TLS handshake took too long") from error
        except (OSError, ValueError) as error:
            raise PeerFailure(f"The TLS handshake failed: {error}") from error

    def receive(self, buffers: list[memoryview]) -> int:
        """Read into `buffers`, in order; how many bytes came, 0 when the connection is closed.

        Raises
        ------
        TimedOut
            If nothing came in time.
        """
        try:
            if self._can_scatter:
                count = self._socket.recvmsg_into(buffers)[0]
            else:
                count = self._socket.recv_into(buffers[0])
            if _QUICKACK is not None:
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
        except (BlockingIOError, TimeoutError) as error:
            raise TimedOut("Nothing was received in time") from error
        except OSError:  # Reset by the peer, or cut on another thread.
            return 0
        except ValueError:
            if not self._is_tls:
                raise
            return 0  # What SSLSocket says when it is no longer one.
        return count

    def send(self, buffers: Sequence[Buffer]) -> None:
        """Write all of `buffers`.

        Raises
        ------
        PeerFailure
            If the connection is lost.
        TimedOut
            If the peer does not read.
        """
        try:
            if self._can_scatter:
                self._send_gathered(buffers)
            else:
                self._socket.sendall(b"".join(buffers))
        except (BlockingIOError, TimeoutError) as error:
            raise TimedOut("The peer did not read in time") from error
        except OSError as error:
            raise PeerFailure(f"The connection was lost while sending: {error}") from error
        except ValueError as error:
            if not self._is_tls:
                raise
            raise PeerFailure("The TLS connection was closed while sending") from error

    def _send_gathered(self, buffers: Sequence[Buffer]) -> None:
        for first in range(0, len(buffers), _MOST_BUFFERS):
            group = buffers[first : first + _MOST_BUFFERS]
            sent = self._socket.sendmsg(group)
            if sent < sum(map(len, group)):
                self._send_rest([memoryview(buffer) for buffer in group], sent)

    def _send_rest(self, views: list[memoryview], sent: int) -> None:
        """Send what `sendmsg` left of some buffers of bytes."""
        first = 0
        while True:
            while first < len(views) and sent >= len(views[first]):
                sent -= len(views[first])
                first += 1
            if first == len(views):
                return
            views[first] = views[first][sent:]
            sent = self._socket.sendmsg(islice(views, first, None))

    def is_readable(self) -> bool:
        """Whether bytes, or the end of the connection, can be read without waiting."""
        if isinstance(self._socket, ssl.SSLSocket) and self._socket.pending():
            return True
        if sys.platform == "win32":
            return bool(select.select([self._socket], [], [], 0)[0])
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._socket, select.POLLIN)
        return bool(self._poll.poll(0))

    def wake(self) -> None:
        """Make a `receive` that waits on another thread see the end of the connection; sending goes on."""
        with contextlib.suppress(OSError):
            # The method of the class: that of SSLSocket would drop the encryption of what is sent.
            socket.socket.shutdown(self._socket, socket.SHUT_RD)

    def cut(self) -> None:
        """Make any call that waits on another thread fail."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the connection."""
        with contextlib.suppress(OSError):
            self._socket.close()
