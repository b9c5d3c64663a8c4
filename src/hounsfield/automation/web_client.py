"""Requests of scripts to other servers, by HTTP and HTTPS."""

import base64
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from pathlib import Path

from hounsfield.errors import PeerFailure

MAXIMUM_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class WebOptions:
    """How others are reached. Without a proxy those of the environment are not used either."""

    timeout_seconds: int = 60
    proxy: str = ""
    verifies_peers: bool = True
    trusted_certificates: Path | None = None
    credentials: tuple[str, str] | None = field(default=None, repr=False)


def ask(options: WebOptions, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> bytes:
    """The body of an answer that is a success.

    Raises
    ------
    PeerFailure
        If there is no such answer.
    """
    if not url.lower().startswith(("http://", "https://")):
        raise PeerFailure("Only http and https are understood")
    sent = dict(headers)
    if options.credentials is not None:
        pair = ":".join(options.credentials).encode()
        sent["Authorization"] = "Basic " + base64.b64encode(pair).decode()
    request = urllib.request.Request(url, body if method in ("POST", "PUT") else None, sent, method=method)
    try:
        with _opener(options).open(request, timeout=options.timeout_seconds or None) as answer:
            found: bytes = answer.read(MAXIMUM_BYTES)
            return found
    except urllib.error.HTTPError as error:
        error.close()
        raise PeerFailure(f"The server answered with HTTP status {error.code}") from error
    except (OSError, HTTPException, ValueError) as error:
        raise PeerFailure(f"No answer: {error}") from error


def _opener(options: WebOptions) -> urllib.request.OpenerDirector:
    context = ssl.create_default_context(
        cafile=str(options.trusted_certificates) if options.trusted_certificates else None
    )
    if not options.verifies_peers:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    proxies = {"http": options.proxy, "https": options.proxy} if options.proxy else {}
    return urllib.request.build_opener(
        urllib.request.ProxyHandler(proxies), urllib.request.HTTPSHandler(context=context)
    )
