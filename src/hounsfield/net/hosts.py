"""Whether an address is that of a host, which may be given by its name."""

import ipaddress
import socket
import threading
import time

_KEPT_SECONDS = 60.0
_lock = threading.Lock()
_known: dict[str, tuple[float, frozenset[str]]] = {}


def is_host(host: str, ip: str) -> bool:
    """Whether `ip` is an address of `host`; names are looked up, once a minute at most.

    >>> is_host("127.0.0.1", "127.0.0.1"), is_host("127.0.0.1", "127.0.0.2")
    (True, False)
    """
    if host == ip:
        return True
    try:
        return ipaddress.ip_address(host) == ipaddress.ip_address(ip)
    except ValueError:
        return ip in _addresses(host)


def _addresses(host: str) -> frozenset[str]:
    """The addresses of a name, none if it is not known."""
    now = time.monotonic()
    with _lock:
        when, found = _known.get(host, (-_KEPT_SECONDS, frozenset()))
    if now - when < _KEPT_SECONDS:
        return found
    try:
        found = frozenset(str(entry[4][0]) for entry in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        found = frozenset()
    with _lock:
        _known[host] = (now, found)
    return found
