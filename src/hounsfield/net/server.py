"""Listening for associations, one thread each. PS3.8 9."""

import contextlib
import errno
import itertools
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterator

from hounsfield.errors import BadRequest
from hounsfield.net.association import Association
from hounsfield.net.buffers import BufferBudget
from hounsfield.net.negotiation import Policy
from hounsfield.net.options import ServerOptions
from hounsfield.net.provider import Provider
from hounsfield.net.transport import Transport
from hounsfield.store.spool import Spool

_log = logging.getLogger("hounsfield.dicom")

_BACKLOG = 128
_ACCEPT_TICK_SECONDS = 0.5


class DicomServer:
    """Accepts connections between `start` and `stop`."""

    def __init__(self, options: ServerOptions, policy: Callable[[], Policy], spool: Spool | None) -> None:
        self._options = options
        self._policy = policy
        self._spool = spool
        self._budget = BufferBudget(options.buffer_budget)
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None
        self._is_stopping = threading.Event()
        self._lock = threading.Lock()
        self._waiting: dict[Provider, threading.Thread] = {}
        """Connections without an association yet, the oldest first."""
        self._associated: dict[Provider, threading.Thread] = {}

    @property
    def port(self) -> int:
        """The port that is listened on."""
        if self._listener is None:
            raise BadRequest("The DICOM server is not started")
        return int(self._listener.getsockname()[1])

    @property
    def association_count(self) -> int:
        """Open associations."""
        return len(self._associated)

    @property
    def free_buffer_bytes(self) -> int:
        """What is left of the buffer budget."""
        return self._budget.available

    def start(self) -> None:
        """Listen, and accept on a thread.

        Raises
        ------
        OSError
            If the address is taken.
        """
        self._listener = _listen(self._options.host, self._options.port)
        self._listener.settimeout(_ACCEPT_TICK_SECONDS)
        self._acceptor = threading.Thread(
            target=self._accept, args=(self._listener,), name="DICOM-ACCEPT", daemon=True
        )
        self._acceptor.start()
        _log.info("Listening for DICOM on port %d%s", self.port, " with TLS" if self._options.tls else "")

    def stop(self, timeout_seconds: float = 10.0) -> None:
        """Accept no more, let messages in progress be finished, and end every association.

        What is not finished within `timeout_seconds` is cut.
        """
        if self._listener is None or self._acceptor is None:
            return
        deadline = time.monotonic() + timeout_seconds
        self._is_stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # Wakes `accept` where the system can do so.
        self._acceptor.join()
        self._listener.close()
        self._listener = None
        providers = self._snapshot()
        for provider in providers:
            provider.stop()
        for thread in providers.values():
            thread.join(max(deadline - time.monotonic(), 0))
        unfinished = self._snapshot()
        if unfinished:
            _log.warning("%d associations are cut, since they did not end in time", len(unfinished))
        for provider in unfinished:
            provider.cut()
        for thread in unfinished.values():
            thread.join(1.0)

    def _snapshot(self) -> dict[Provider, threading.Thread]:
        with self._lock:
            return self._waiting | self._associated

    def _accept(self, listener: socket.socket) -> None:
        for number in itertools.count(1):
            connection, ip = self._next_connection(listener)
            if connection is None:
                return
            try:
                self._begin(connection, ip, number)
            except (
                OSError,
                RuntimeError,
            ) as error:  # The peer is gone already, or there are no more threads.
                _log.warning("Connection %d from %s cannot be served: %s", number, ip, error)
                connection.close()

    def _next_connection(self, listener: socket.socket) -> tuple[socket.socket | None, str]:
        while not self._is_stopping.is_set():
            try:
                connection, address = listener.accept()
            except TimeoutError:
                continue
            except OSError as error:
                if not self._is_stopping.wait(0.1):  # Out of file descriptors, most likely.
                    _log.warning("No connection can be accepted: %s", error)
                continue
            return connection, str(address[0]).removeprefix("::ffff:")
        return None, ""

    def _begin(self, connection: socket.socket, ip: str, number: int) -> None:
        if self._options.tls is not None:
            connection = self._options.tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
        options = self._options.association
        transport = Transport(connection)
        transport.set_timeout(options.artim_timeout_seconds)
        association = Association(transport, options, self._budget, self._spool, is_requester=False)
        provider = Provider(association, ip, number, self._policy, options.maximum_pdu_length, self._admit)
        thread = threading.Thread(target=self._run, args=(provider,), name=f"DICOM-{number}", daemon=True)
        with self._lock:
            if len(self._waiting) >= self._options.maximum_waiting:
                oldest = next(iter(self._waiting))
                _log.warning("Too many connections without an association: the oldest is cut")
                del self._waiting[oldest]
                oldest.cut()
            self._waiting[provider] = thread
        try:
            thread.start()
        except RuntimeError:
            self._forget(provider)
            raise

    def _run(self, provider: Provider) -> None:
        try:
            provider.run()
        finally:
            self._forget(provider)

    def _forget(self, provider: Provider) -> None:
        with self._lock:
            self._waiting.pop(provider, None)
            self._associated.pop(provider, None)

    def _admit(self, provider: Provider) -> bool:
        """Whether an association may be added; called by its provider when the request came."""
        with self._lock:
            if len(self._associated) >= self._options.maximum_associations:
                return False
            thread = self._waiting.pop(provider, threading.current_thread())
            self._associated[provider] = thread
            return True


def _listen(host: str, port: int) -> socket.socket:
    if not host and socket.has_dualstack_ipv6():
        try:
            return socket.create_server(
                ("", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=_BACKLOG
            )
        except OSError as error:
            if error.errno not in (
                errno.EADDRNOTAVAIL,
                errno.EAFNOSUPPORT,
            ):  # IPv6 is compiled in but switched off.
                raise
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=_BACKLOG)


@contextlib.contextmanager
def serve(options: ServerOptions, policy: Callable[[], Policy], spool: Spool | None) -> Iterator[DicomServer]:
    """A DICOM server that runs as long as the block.

    The policy is asked for at the beginning of each association, so that it may change at run time. The spool
    is where data sets go that outgrow their buffers; without it those are refused.
    """
    server = DicomServer(options, policy, spool)
    server.start()
    try:
        yield server
    finally:
        server.stop()
