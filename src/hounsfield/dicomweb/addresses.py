"""The addresses in answers, as the client, or the proxy in front of us, sees this server."""

from hounsfield.dicomweb.service import DicomWebOptions
from hounsfield.http.messages import Request

_SCHEMES = ("http", "https")


def base_address(options: DicomWebOptions, request: Request) -> str:
    """What all addresses begin with, up to the slash of the public root: `http://host:8042/dicom-web/`.

    The configured host wins, then both X-Forwarded headers, then the first element of Forwarded (RFC 7239), then Host.
    """
    scheme = "https" if options.is_secure else "http"
    host = options.host
    if not host:
        host, scheme = _forwarded(request, scheme)
    return f"{scheme}://{host}{options.public_root}"


def _forwarded(request: Request, scheme: str) -> tuple[str, str]:
    headers = request.headers
    host, proto = headers.get("x-forwarded-host"), headers.get("x-forwarded-proto")
    if host and proto:
        return host, proto if proto in _SCHEMES else scheme
    pairs = _pairs(headers.get("forwarded", ""))
    if pairs.get("proto", "").lower() in _SCHEMES:
        scheme = pairs["proto"].lower()
    return pairs.get("host") or headers.get("host") or "localhost:8042", scheme


def _pairs(forwarded: str) -> dict[str, str]:
    """The pairs of the first element, which the proxy next to the client wrote."""
    found: dict[str, str] = {}
    for pair in forwarded.partition(",")[0].split(";"):
        name, _, value = pair.partition("=")
        found[name.strip().lower()] = value.strip().strip('"')
    return found
