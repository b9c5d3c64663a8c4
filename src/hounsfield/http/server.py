"""The HTTP server: listening sockets, TLS, and uvicorn in a thread of its own."""

import asyncio
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Sequence

import uvicorn

from hounsfield.errors import BadRequest, Conflict
from hounsfield.http.asgi import Application
from hounsfield.http.connection import connection_class
from hounsfield.http.options import HttpOptions, TlsOptions

_log = logging.getLogger("hounsfield.http")

_TLS_VERSIONS = {
    0: ssl.TLSVersion.TLSv1_2,
    1: ssl.TLSVersion.TLSv1_2,
    2: ssl.TLSVersion.TLSv1_2,
    3: ssl.TLSVersion.TLSv1_2,
    4: ssl.TLSVersion.TLSv1_2,
    5: ssl.TLSVersion.TLSv1_3,
}


class PortInUse(Conflict):
    """The address cannot be listened on."""


class BadTls(BadRequest):
    """Certificates or ciphers cannot be used."""


class HttpServer:
    """Listens from `start` to `stop`."""

    def __init__(self, application: Application, options: HttpOptions) -> None:
        self._application = application
        self._options = options
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port = options.port

    def start(self) -> None:
        """Listen, and return once connections are answered.

        Raises
        ------
        PortInUse
            If an address is taken, privileged or not of this machine.
        BadTls
            If the certificate, its key, the trusted certificates or the ciphers cannot be used.
        """
        context = tls_context(self._options.tls) if self._options.tls is not None else None
        sockets = listen(self._options.bind_addresses, self._options.port)
        self.port = sockets[0].getsockname()[1]
        server = _Server(_configuration(self._application, self._options, context))
        thread = threading.Thread(target=_run, args=(server, sockets), name="HTTP", daemon=True)
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.005)
        self._server, self._thread = server, thread
        _log.info("HTTP server listening on port %d%s", self.port, " (HTTPS)" if context else "")

    def stop(self) -> None:
        """Accept nothing more, finish what is in progress, and return."""
        if self._server is None or self._thread is None:
            return
        self._server.should_exit = True
        self._thread.join()
        self._server = self._thread = None
        self._application.close()
        _log.info("HTTP server stopped")


def listen(addresses: Sequence[str], port: int) -> list[socket.socket]:
    """Bind every address; without any, all of IPv4 and, where there is one, of IPv6.

    Raises
    ------
    PortInUse
        If that fails; nothing is left bound then.
    """
    opened: list[socket.socket] = []
    try:
        for address in addresses or ("0.0.0.0",):
            opened.append(_bind(address, opened[0].getsockname()[1] if opened and port == 0 else port))
    except OSError as cause:
        for each in opened:
            each.close()
        raise PortInUse(
            f"The TCP port {port} of the HTTP server is privileged or already in use ({cause.strerror})"
        ) from cause
    if not addresses and socket.has_ipv6:
        try:
            opened.append(_bind("::", opened[0].getsockname()[1]))
        except OSError as problem:
            _log.info("Listening on IPv4 only: %s", problem.strerror)
    return opened


def _bind(address: str, port: int) -> socket.socket:
    family, kind, protocol, _, target = socket.getaddrinfo(
        address, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    bound = socket.socket(family, kind, protocol)
    try:
        if sys.platform != "win32":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(target)
        bound.listen(1024)
        bound.setblocking(False)
    except OSError:
        bound.close()
        raise
    return bound


def tls_context(options: TlsOptions) -> ssl.SSLContext:
    """The TLS settings of a server. Nothing older than TLS 1.2 is offered, whatever is asked for. RFC 8996.

    Raises
    ------
    BadTls
        If a file or a cipher cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _TLS_VERSIONS.get(options.minimum_version, ssl.TLSVersion.TLSv1_2)
    try:
        context.load_cert_chain(options.certificate)
        if options.ciphers:
            context.set_ciphers(":".join(options.ciphers))
        if options.trusted_client_certificates is not None:
            context.load_verify_locations(options.trusted_client_certificates)
            context.verify_mode = ssl.CERT_REQUIRED
    except (OSError, ValueError) as cause:
        raise BadTls(f"Cannot initialize SSL encryption, check out your certificates ({cause})") from cause
    return context


def _configuration(
    application: Application, options: HttpOptions, context: ssl.SSLContext | None
) -> uvicorn.Config:
    def give_context(_config: uvicorn.Config, _default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
        if context is None:
            raise BadTls
        return context

    return uvicorn.Config(
        application,
        loop="auto",  # uvloop where there is one; Windows has none.
        http=connection_class(application, options),
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_config=None,
        log_level=logging.WARNING,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        date_header=True,
        timeout_keep_alive=options.keep_alive_timeout_seconds,
        timeout_graceful_shutdown=options.shutdown_timeout_seconds,
        ssl_context_factory=give_context if context is not None else None,
    )


class _Server(uvicorn.Server):
    """Uvicorn, which on running out of patience leaves connections half open."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1.0)
        while self.server_state.connections:
            await asyncio.sleep(0)


def _run(server: uvicorn.Server, sockets: list[socket.socket]) -> None:
    server.run(sockets=sockets)
