"""A proxy for TCP that breaks the connections that go through it, where and how it is told to."""

import contextlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from enum import Enum
from types import TracebackType

_CHUNK = 65536


class How(Enum):
    """What happens to a connection."""

    CLOSE = "both directions end in good order"
    RESET = "both directions are reset"
    TRUNCATE = "one direction ends, the other goes on"
    STALL = "one direction goes silent, without an end"
    SLOW = "one direction trickles from there on"


@dataclass(frozen=True, slots=True)
class Fault:
    """Connection number `connection`, from 0, breaks after so many bytes to the target, or from it."""

    how: How
    is_to_target: bool
    offset: int
    connection: int = 0


@dataclass(slots=True)
class _Link:
    """One connection through the proxy: the two sockets, and what went through so far, to the target and from it."""

    number: int
    client: socket.socket
    target: socket.socket
    counts: dict[bool, int] = field(default_factory=lambda: {True: 0, False: 0})

    def end(self, *, is_reset: bool) -> None:
        """End both directions."""
        for each in (self.client, self.target):
            with contextlib.suppress(OSError):
                if is_reset:
                    each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                else:
                    each.shutdown(socket.SHUT_RDWR)
            each.close()


class Proxy:
    """Listens on `port` and passes on to `target_port` of this machine; to be used as a context."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._links: list[_Link] = []
        self._fault: Fault | None = None
        self._is_closed = threading.Event()
        self.has_struck = False
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> "Proxy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_closed.set()
        self._listener.close()
        self.reset(None)

    def reset(self, fault: Fault | None) -> None:
        """End what is open, and count connections from 0 again, one of which is to break."""
        with self._lock:
            links, self._links = self._links, []
            self._fault, self.has_struck = fault, False
        for link in links:
            link.end(is_reset=True)

    def counts(self) -> list[tuple[int, int]]:
        """What went through each connection since `reset`: bytes to the target, and from it."""
        with self._lock:
            return [(link.counts[True], link.counts[False]) for link in self._links]

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                target = socket.create_connection(("127.0.0.1", self._target_port), timeout=10)
            except OSError:
                client.close()
                continue
            target.settimeout(None)
            with self._lock:
                link = _Link(len(self._links), client, target)
                self._links.append(link)
                fault = self._fault if self._fault and self._fault.connection == link.number else None
            for is_to_target in (True, False):
                threading.Thread(target=self._pump, args=(link, is_to_target, fault), daemon=True).start()

    def _pump(self, link: _Link, is_to_target: bool, fault: Fault | None) -> None:
        source, sink = (link.client, link.target) if is_to_target else (link.target, link.client)
        mine = fault if fault is not None and fault.is_to_target is is_to_target else None
        try:
            while not self._is_closed.is_set():
                left = _CHUNK if mine is None else max(mine.offset - link.counts[is_to_target], 0)
                if mine is not None and not left:
                    self.has_struck = True
                    if mine.how is not How.SLOW:
                        self._strike(link, sink, mine.how)
                        return
                    self._is_closed.wait(0.01)
                    left = 2000
                data = source.recv(min(left, _CHUNK))
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
                link.counts[is_to_target] += len(data)
        except OSError:
            link.end(is_reset=True)

    def _strike(self, link: _Link, sink: socket.socket, how: How) -> None:
        if how in (How.CLOSE, How.RESET):
            link.end(is_reset=how is How.RESET)
        elif how is How.TRUNCATE:
            sink.shutdown(socket.SHUT_WR)
