"""Requests to peers by HTTP and HTTPS. One connection is kept open as long as it lasts."""

import base64
import http.client
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import SplitResult, urlsplit

from hounsfield.errors import BadRequest, PeerFailure, Unsupported
from hounsfield.remote.peer import Peer
from hounsfield.store.spool import Buffer

_log = logging.getLogger("hounsfield.http")

_LONGEST_ANSWER = 256 << 20
_PORTS = {"http": 80, "https": 443}
_PROXY_PORT = 3128


@dataclass(frozen=True, slots=True)
class WebOptions:
    """What the configuration says of us as HTTP client; no proxy and no certificates if empty."""

    timeout_seconds: int = 60
    proxy: str = ""
    verifies_peers: bool = True
    authorities: Path | None = None
    is_verbose: bool = False


class WebFailure(PeerFailure):
    """A peer cannot be reached, which is `status` 0, or refuses with that status."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What a peer answers; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class WebClient:
    """Asks one peer; to be used as a context, which closes the connection at its end."""

    def __init__(self, peer: Peer, options: WebOptions) -> None:
        self._peer, self._options = peer, options
        self._url = _split(peer.url)
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> "WebClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def request(
        self, method: str, path: str, body: Buffer = b"", headers: Mapping[str, str] | None = None
    ) -> WebAnswer:
        """Ask, and give the answer if it is a good one. A connection that was kept and died is opened anew, once.

        Raises
        ------
        WebFailure
            If the peer cannot be reached, is silent for too long, or answers with an error.
        """
        was_kept = self._connection is not None
        try:
            answer = self._ask(method, path, body, headers or {})
        except (http.client.HTTPException, OSError) as error:
            self.close()
            if not was_kept or isinstance(error, TimeoutError):
                raise self._failure(f"cannot be reached: {error or type(error).__name__}") from error
            return self.request(method, path, body, headers)
        if self._options.is_verbose:
            _log.info("%s %s%s: %d", method, self._peer.url, path, answer.status)
        if not 200 <= answer.status < 300:
            raise self._failure(f"answers {answer.status} to {method} /{path}", answer.status)
        return answer

    def _ask(self, method: str, path: str, body: Buffer, headers: Mapping[str, str]) -> WebAnswer:
        connection = self._connect()
        target = f"{self._url.path}{path}"
        sent = {**self._headers(), **headers}
        proxy = self._proxy()
        if proxy and self._url.scheme == "http":
            target = f"http://{self._url.netloc.rpartition('@')[2]}{target}"
            sent |= _proxy_headers(proxy)
        connection.request(method, target, body or None, sent)
        response = connection.getresponse()
        data = response.read(_LONGEST_ANSWER + 1)
        if len(data) > _LONGEST_ANSWER:
            raise self._failure("answers more than it should")
        if response.length:
            raise http.client.IncompleteRead(data, response.length)
        if method == "GET" and not data and response.length is None and not response.chunked:
            # Nobody told how long it is: the headers were cut off, which `http.client` does not notice.
            raise http.client.IncompleteRead(data)
        if response.will_close:
            self.close()
        return WebAnswer(response.status, {key.lower(): value for key, value in response.getheaders()}, data)

    def _headers(self) -> dict[str, str]:
        headers = {"User-Agent": "Hounsfield", **self._peer.headers}
        user, password = self._peer.username, self._peer.password
        if not user and self._url.username:
            user, password = self._url.username, self._url.password or ""
        if user:
            headers["Authorization"] = _basic(user, password)
        return headers

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is not None:
            return self._connection
        host, port = self._url.hostname or "", self._url.port or _PORTS[self._url.scheme]
        timeout = self._peer.timeout_seconds or self._options.timeout_seconds or None
        proxy = self._proxy()
        first_host, first_port = (proxy.hostname or "", proxy.port or _PROXY_PORT) if proxy else (host, port)
        if self._url.scheme == "https":
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                first_host, first_port, timeout=timeout, context=self._tls()
            )
            if proxy:
                connection.set_tunnel(host, port, _proxy_headers(proxy))
        else:
            connection = http.client.HTTPConnection(first_host, first_port, timeout=timeout)
        self._connection = connection
        return connection

    def _proxy(self) -> SplitResult | None:
        proxy = self._options.proxy
        return _split(proxy if "//" in proxy else f"http://{proxy}") if proxy else None

    def _tls(self) -> ssl.SSLContext:
        if self._peer.is_pkcs11:
            raise Unsupported("Hardware tokens (PKCS#11) cannot be used")
        options = self._options
        try:
            context = ssl.create_default_context(cafile=options.authorities)
            if not options.verifies_peers:
                context.check_hostname = False
                context.verify_mode = ssl.CERT_NONE
            if self._peer.certificate:
                context.load_cert_chain(
                    self._peer.certificate,
                    self._peer.certificate_key or None,
                    self._peer.certificate_password or None,
                )
        except (OSError, ValueError) as error:
            raise BadRequest(f'The certificates for the peer "{self._peer.name}" cannot be used') from error
        return context

    def _failure(self, what: str, status: int = 0) -> WebFailure:
        return WebFailure(f'The peer "{self._peer.name}" {what}', status)


def _basic(user: str, password: str) -> str:
    """Credentials as RFC 7617 has them."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _proxy_headers(proxy: SplitResult) -> dict[str, str]:
    if not proxy.username:
        return {}
    return {"Proxy-Authorization": _basic(proxy.username, proxy.password or "")}


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        known = parts.scheme in _PORTS and parts.hostname is not None
        _ = parts.port
    except ValueError as error:
        raise BadRequest("Not the URL of a server") from error
    if not known:
        raise BadRequest("The URL of a peer must begin with http:// or https://")
    return parts
