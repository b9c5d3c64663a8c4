"""Serves the built pages of the Explorer, which are a single page whatever address is opened.

The pages are small and are held in memory, compressed once. Files whose names carry a hash of their content are kept
by browsers for ever; all others are asked for again and answered 304 while they stay the same.
"""

import gzip
import hashlib
import html
import mimetypes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hounsfield.http.errors import UnknownResource
from hounsfield.http.messages import Header, Request, Response, redirect
from hounsfield.http.negotiation import accepted_types
from hounsfield.http.routing import Handler, Route

BUILT: Final = Path(__file__).parent / "static"
"""Where `npm run build` in `web/` puts the pages."""

_ROOT: Final = "/ui/app/"
_HASHED: Final = "assets/"
_SMALLEST_COMPRESSED: Final = 1024

_POLICY: Final = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' blob:",
        "connect-src 'self'",
        "base-uri 'self'",
        "form-action 'self'",
        "frame-ancestors 'self'",
    )
)
_SECURITY: Final[tuple[Header, ...]] = (
    (b"content-security-policy", _POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
)

_NOT_BUILT: Final = """\
<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Hounsfield</title>
<h1>The pages of Hounsfield are not built</h1>
<p>The server works, but this copy of it was installed from its sources without its web pages.
Build them with Node 20 or later, in the folder <code>web</code> of the sources, and start the server again:</p>
<pre>npm ci
npm run build</pre>
"""


@dataclass(frozen=True, slots=True)
class Asset:
    """One built file. `compressed` is empty where compression gains nothing."""

    content: bytes
    compressed: bytes
    mime_type: str
    etag: str
    is_hashed: bool


def routes(built: Path = BUILT) -> tuple[Route, ...]:
    """The routes of the Explorer, with the files below `built` as they are now."""
    assets = load(built)

    def page(request: Request) -> Response:
        """The Explorer, or one of its files."""
        return answer_page(assets, request)

    def file(name: str) -> Handler:
        def answer(request: Request) -> Response:
            """An image of the Explorer, at the address where clients of Orthanc look for it."""
            return answer_asset(assets, name, request)

        return answer

    def to(location: str) -> Handler:
        def answer(_request: Request) -> Response:
            """Leads to the Explorer and what belongs to it."""
            return redirect(location)

        return answer

    table: Mapping[str, Handler] = {
        "/": to("ui/app/"),
        "/favicon.ico": to("app/images/favicon.ico"),
        "/app/explorer.html": to("../ui/app/"),
        "/app/images/favicon.ico": file("favicon.ico"),
        "/app/images/unsupported.png": file("unsupported.png"),
        "/ui": _to_root,
        "/ui/app": page,
        "/ui/app/{path...}": page,
    }
    return tuple(Route("GET", pattern, handler, is_inline=True) for pattern, handler in table.items())


def load(built: Path) -> dict[str, Asset]:
    """Read the built files, by their path below `built`; empty when nothing is built."""
    if not (built / "index.html").is_file():
        return {}
    return {path.relative_to(built).as_posix(): _read(path, built) for path in _files(built)}


def answer_page(assets: Mapping[str, Asset], request: Request) -> Response:
    """The file an address names, or the page itself, which finds out from the address what to show.

    Raises
    ------
    UnknownResource
        For a script or style that is not part of this build, where the page would only hide the mistake.
    """
    if not assets:
        return _answer_html(_NOT_BUILT.encode())
    if request.path == _ROOT.rstrip("/"):
        return redirect("app/")  # Without its slash, the page's relative addresses would miss their folder.
    name = request.values.get("path", "")
    if name in assets and name != "index.html":
        return answer_asset(assets, name, request)
    if name.startswith(_HASHED):
        raise UnknownResource
    return _answer_html(_with_base(assets["index.html"].content, request.path))


def answer_asset(assets: Mapping[str, Asset], name: str, request: Request) -> Response:
    """One built file, or that the browser has it already.

    Raises
    ------
    UnknownResource
        If the build has no such file.
    """
    asset = assets.get(name)
    if asset is None:
        raise UnknownResource
    cache = b"public, max-age=31536000, immutable" if asset.is_hashed else b"no-cache"
    headers: tuple[Header, ...] = (
        (b"etag", asset.etag.encode()),
        (b"cache-control", cache),
        (b"vary", b"accept-encoding"),
        *_SECURITY,
    )
    if asset.etag in request.headers.get("if-none-match", ""):
        return Response(304, headers)
    headers += ((b"content-type", asset.mime_type.encode()),)
    if asset.compressed and _takes_gzip(request):
        return Response(200, (*headers, (b"content-encoding", b"gzip")), asset.compressed)
    return Response(200, headers, asset.content)


def _to_root(request: Request) -> Response:
    """Leads to the Explorer."""
    return redirect("app/" if request.path.endswith("/") else "ui/app/")


def _answer_html(content: bytes) -> Response:
    """A page that is never kept: it names the hashed files of this build."""
    headers: tuple[Header, ...] = (
        (b"content-type", b"text/html; charset=utf-8"),
        (b"cache-control", b"no-store"),
        *_SECURITY,
    )
    return Response(200, headers, content)


def _with_base(page: bytes, path: str) -> bytes:
    """The page with the way from an address to its root written into it, so that any prefix of a proxy works."""
    depth = max(0, path.count("/") - _ROOT.count("/"))
    base = "../" * depth or "./"
    return page.replace(b'<base href="./"', f'<base href="{html.escape(base)}"'.encode(), 1)


def _takes_gzip(request: Request) -> bool:
    asked = request.headers.get("accept-encoding", "")
    return any(name == "gzip" and quality > 0 for name, quality in accepted_types(asked))


def _files(built: Path) -> Iterator[Path]:
    return (path for path in sorted(built.rglob("*")) if path.is_file())


def _read(path: Path, built: Path) -> Asset:
    content = path.read_bytes()
    mime_type = mimetypes.types_map.get(path.suffix, "application/octet-stream")
    is_text = mime_type.startswith("text/") or path.suffix in (".svg", ".json")
    if path.suffix == ".js":
        mime_type, is_text = (
            "text/javascript",
            True,
        )  # Some systems' tables say otherwise, and `nosniff` then blocks.
    compressed = (
        gzip.compress(content, 9, mtime=0) if is_text and len(content) >= _SMALLEST_COMPRESSED else b""
    )
    return Asset(
        content=content,
        compressed=compressed,
        mime_type=f"{mime_type}; charset=utf-8" if is_text else mime_type,
        etag=f'W/"{hashlib.sha256(content).hexdigest()[:24]}"',
        is_hashed=path.relative_to(built).as_posix().startswith(_HASHED),
    )
