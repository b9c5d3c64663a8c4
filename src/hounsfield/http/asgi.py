"""The ASGI 3 application: the one asynchronous place.

The protocol is https://asgi.readthedocs.io/en/latest/specs/www.html

Handlers are plain functions. Those that only read memory or the index run right here on the event loop; all others,
and every access to a disk, in a bounded pool of threads.
"""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from hounsfield.errors import ArchiveError, TimedOut
from hounsfield.http.auth import Denied, Doorkeeper
from hounsfield.http.bodies import (
    CHUNK_SIZE,
    Disconnected,
    FileSource,
    IteratorSource,
    Receive,
    Source,
    SpooledSource,
    TooLarge,
    feed,
    read_whole,
    receive_body,
)
from hounsfield.http.dispatch import Dispatcher, describe, find, perform
from hounsfield.http.following import Handed
from hounsfield.http.messages import NO_CONTENT, FileBody, Header, Request, Response
from hounsfield.http.negotiation import compress
from hounsfield.http.options import HttpOptions
from hounsfield.http.routing import Found, Handler, OpenBody
from hounsfield.metrics import Metrics
from hounsfield.store.spool import Spool, SpoolFile

_log = logging.getLogger("hounsfield.http")

Scope = MutableMapping[str, Any]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Asgi = Callable[[Scope, Receive, Send], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Says of a request that is authenticated whether it is answered, otherwise than by 403.

    It is asked in a worker thread, and only while it `is_active`.
    """

    passes: Callable[[Request], bool]
    is_active: Callable[[], bool] = lambda: True


_ACTIVE = "orthanc_rest_api_active_requests"
_DURATION = "orthanc_rest_api_duration_ms"
_NOSNIFF: Header = (b"x-content-type-options", b"nosniff")
_CLOSE: Header = (b"connection", b"close")
# A refused body up to here is read and dropped, which lets the client see the answer: some send all of it before they
# are asked for a password.
DRAINED_BYTES = 4 << 30
_URGENT_THREADS = 2


class Application:
    """Serves a dispatcher. One event loop may call it, from any number of connections."""

    def __init__(
        self,
        dispatcher: Dispatcher,
        options: HttpOptions,
        spool: Spool,
        filters: Sequence[RequestFilter] = (),
        metrics: Metrics | None = None,
    ) -> None:
        self._dispatcher = dispatcher
        self._options = options
        self._spool = spool
        self._filters = tuple(filters)
        self._metrics = metrics or Metrics()
        self._doorkeeper = Doorkeeper(options.access)
        self._pool: Executor = ThreadPoolExecutor(options.threads, thread_name_prefix="HTTP")
        # Half of the threads are left to all others.
        self._followers = threading.BoundedSemaphore(max(options.threads // 2, 1))
        self._urgent: Executor = ThreadPoolExecutor(_URGENT_THREADS, thread_name_prefix="HTTP-URGENT")
        # What is to be released is not forgotten at the end, as what is still to be answered is.
        self._releases: Executor = ThreadPoolExecutor(2, thread_name_prefix="HTTP-RELEASE")
        self.standing_headers = _standing_headers(options)

    def close(self) -> None:
        """Let the worker threads go, once nobody calls the application any more."""
        for pool in (self._pool, self._urgent):
            pool.shutdown(wait=True, cancel_futures=True)
        self._releases.shutdown(wait=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        request = _read_head(scope)
        refused = await self._refuse(request)
        found = find(self._dispatcher, request) if refused is None else refused
        if isinstance(found, Response):
            await self._send_small(send, request, found)
            return
        if found.open_body is not None:
            await self._feed(request, found.open_body, receive, send)
            return
        if request.method != "GET" and not await self._take_body(request, receive, send):
            return
        try:
            if self._options.may_answer_on_loop and _is_inline(request, found):
                response = self.answer(request, found)
            else:
                loop = asyncio.get_running_loop()
                response = await loop.run_in_executor(self._pool_for(found), self.answer, request, found)
            if isinstance(response.body, bytes):
                await self._send_small(send, request, response)
            else:
                await self._send_large(send, receive, request, response, scope["http_version"])
        finally:
            if isinstance(request.body, SpoolFile):
                self._pool.submit(request.body.close)

    def admit(self, request: Request) -> Response | Found | None:
        """The answer to a head, if it takes no thread, or what to `run` in one: for servers that can do without ASGI.

        None, and nothing has happened, if only ASGI can tell.
        """
        if self._has_filters():
            return None
        admitted = self._doorkeeper.admit(request.remote_ip, request.headers.get("authorization"))
        if isinstance(admitted, Denied):
            return Response(401, admitted.headers)
        request.username = admitted
        found = find(self._dispatcher, request)
        if isinstance(found, Response):
            return found
        if found.open_body is not None:
            return None
        if request.method != "GET":
            return found
        return self.at_once(request, found) or found

    def at_once(self, request: Request, found: Found) -> Response | None:
        """The answer to a complete request, if giving it takes no thread."""
        if not self._options.may_answer_on_loop:
            return None
        if found.at_once is not None:
            return self._try(found.at_once, request)
        if request.query or request.method != "GET":
            return None
        if found.is_inline:
            with self._metrics.measured(_DURATION):
                response = self._answer_now(request, found)
            return response if isinstance(response.body, bytes) else None
        return None if found.at_hand is None else self._try(found.at_hand, request)

    def _try(self, handler: Handler, request: Request) -> Response | None:
        if self._options.is_compressed or "xml" in request.headers.get("accept", ""):
            return None
        try:
            return handler(request)
        except ArchiveError:
            return None  # The handler will say it better.

    def run(self, request: Request, found: Found, done: Callable[[Future[Response]], None]) -> None:
        """Answer in a worker thread, and call `done` there."""
        self._pool_for(found).submit(self.answer, request, found).add_done_callback(done)

    def _pool_for(self, found: Found) -> Executor:
        return self._urgent if found.is_urgent else self._pool

    def follow(self, work: Callable[[], Handed], done: Callable[[Future[Handed]], None]) -> bool:
        """Have a worker thread stay with a connection, and call `done` there; False if too many do already."""
        if not self._followers.acquire(blocking=False):
            return False

        def finished(future: Future[Handed]) -> None:
            self._followers.release()
            done(future)

        self._pool.submit(work).add_done_callback(finished)
        return True

    def sending(self, request: Request, response: Response) -> Asgi:
        """An application that answers `response`, whatever it is asked."""

        async def send_it(scope: Scope, receive: Receive, send: Send) -> None:
            await self._send_large(send, receive, request, response, scope["http_version"])

        return send_it

    def answer(self, request: Request, found: Found) -> Response:
        """Run the handler; in a worker thread unless it is inline."""
        # What waited for a thread until its client had hung up is not done, unless it changes something.
        if request.method == "GET" and request.is_gone():
            return Response(503)
        metrics = self._metrics
        metrics.begin(_ACTIVE)
        try:
            with metrics.measured(_DURATION):
                return self._answer_now(request, found)
        finally:
            metrics.end(_ACTIVE)

    def _answer_now(self, request: Request, found: Found) -> Response:
        response = perform(self._dispatcher, request, found)
        if isinstance(response.body, FileBody) and response.body.length <= CHUNK_SIZE:
            try:
                data = read_whole(response.body)
            except ArchiveError as error:
                return describe(self._dispatcher, request, error)
            response = Response(response.status, response.headers, data)
        if self._options.is_compressed and "accept-encoding" in request.headers:
            return compress(response, request.headers["accept-encoding"])
        return response

    async def _refuse(self, request: Request) -> Response | None:
        """The answer to a client that may not come in, or may not do this."""
        admitted = self._doorkeeper.admit(request.remote_ip, request.headers.get("authorization"))
        if isinstance(admitted, Denied):
            return Response(401, admitted.headers)
        request.username = admitted
        if not self._has_filters():
            return None
        loop = asyncio.get_running_loop()
        allowed = await loop.run_in_executor(self._pool, self._passes_filters, request)
        return allowed if isinstance(allowed, Response) else None

    def _has_filters(self) -> bool:
        return any(each.is_active() for each in self._filters)

    def _passes_filters(self, request: Request) -> Response | None:
        try:
            return None if all(each.passes(request) for each in self._filters) else Response(403)
        except ArchiveError as error:
            return describe(self._dispatcher, request, error)

    async def _take_body(self, request: Request, receive: Receive, send: Send) -> bool:
        """Read the body into the request; answer and say no where that fails."""
        length = request.headers.get("content-length", "")
        limit = self._options.maximum_body_bytes
        if length in ("", "0") and "transfer-encoding" not in request.headers:
            return True
        try:
            if limit and length.isdigit() and int(length[:19]) > limit:
                raise TooLarge
            request.body = await receive_body(receive, self._spool, self._pool, self._options)
        except Disconnected:
            return False
        except TooLarge:
            is_drained = "transfer-encoding" not in request.headers
            await self._send_small(send, request, Response(413, () if is_drained else (_CLOSE,)))
            return False
        except TimedOut:
            await self._send_small(send, request, Response(408, (_CLOSE,)))
            return False
        except ArchiveError as error:
            refusal = describe(self._dispatcher, request, error)
            closing = Response(refusal.status, (*refusal.headers, _CLOSE), refusal.body)
            await self._send_small(send, request, closing)
            return False
        return True

    async def _feed(self, request: Request, open_body: OpenBody, receive: Receive, send: Send) -> None:
        """Have a body taken while it arrives."""
        loop = asyncio.get_running_loop()
        try:
            sink = await loop.run_in_executor(self._pool, open_body, request)
            if isinstance(sink, Response):
                answer = Response(sink.status, (*sink.headers, _CLOSE), sink.body)
            else:
                answer = await feed(receive, sink, self._pool, self._options)
        except Disconnected:
            return
        except TimedOut:
            answer = Response(408, (_CLOSE,))
        except ArchiveError as error:
            refusal = describe(self._dispatcher, request, error)
            answer = Response(refusal.status, (*refusal.headers, _CLOSE), refusal.body)
        await self._send_small(send, request, answer)

    async def _send_small(self, send: Send, request: Request, response: Response) -> None:
        body = response.body if isinstance(response.body, bytes) else b""
        headers = [*response.headers, *self.standing_headers]
        if response.status != NO_CONTENT:  # RFC 9110 8.6.
            headers.append((b"content-length", b"%d" % len(body)))
        if response.status in (401, 403, 404, 405, 413) and _declared_length(request) > DRAINED_BYTES:
            headers.append(_CLOSE)
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _send_large(
        self, send: Send, receive: Receive, request: Request, response: Response, http_version: str
    ) -> None:
        """Stream a body, one piece read while the one before is sent; stop when the client is gone."""
        loop = asyncio.get_running_loop()
        stream = _Stream(self._pool, self._releases)
        watch = loop.create_task(_until_gone(receive))
        try:
            try:
                length = await loop.run_in_executor(
                    self._pool, stream.open, response, self._spool if http_version == "1.0" else None
                )
                piece = await stream.ask()
            except ArchiveError as error:
                await self._send_small(send, request, describe(self._dispatcher, request, error))
                return
            headers = self._large_headers(response, length)
            await send({"type": "http.response.start", "status": response.status, "headers": headers})
            while piece and not watch.done():
                following = stream.ask()
                async with asyncio.timeout(self._options.send_timeout_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                piece = await following
            if not watch.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watch.cancel()
            stream.close()

    def _large_headers(self, response: Response, length: int | None) -> list[Header]:
        if length is None:
            return [*response.headers, _NOSNIFF, _CLOSE]
        return [*response.headers, (b"content-length", b"%d" % length), *self.standing_headers]


class _Stream:
    """A source read in a pool, and released in another thread once no read is running."""

    def __init__(self, pool: Executor, releases: Executor) -> None:
        self._pool, self._releases = pool, releases
        self._source: Source | None = None
        self._pending: Future[bytes] | None = None

    def open(self, response: Response, spool: Spool | None) -> int | None:
        """Open the body of `response`, through `spool` if its length must be known; give the length if it is."""
        if isinstance(response.body, FileBody):
            self._source = FileSource(response.body)
            return response.body.length
        source = IteratorSource(iter((response.body,)) if isinstance(response.body, bytes) else response.body)
        self._source = source
        if spool is None:
            return None
        spooled = SpooledSource(source, spool)
        self._source = spooled
        return spooled.length

    def ask(self) -> "asyncio.Future[bytes]":
        """The next piece, to be awaited before asking again."""
        if self._source is None:
            raise RuntimeError("Asked before open")
        self._pending = self._pool.submit(self._source.read)
        return asyncio.wrap_future(self._pending)

    def close(self) -> None:
        """Release the source, after the read that is running: it goes on though nobody waits for it any more."""
        if self._source is None:
            return
        release = self._source.close
        if self._pending is None or self._pending.done():
            self._releases.submit(release)
        else:
            self._pending.add_done_callback(lambda _: release())


def _is_inline(request: Request, found: Found) -> bool:
    """Whether to answer on the event loop; arguments may ask for more than a glance at the index."""
    return found.is_inline and not request.query and request.method == "GET"


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _read_head(scope: Scope) -> Request:
    client = scope["client"]
    return Request(
        scope["method"],
        scope["raw_path"].decode("latin-1"),
        scope["query_string"].decode("latin-1"),
        {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]},
        remote_ip=client[0] if client else "127.0.0.1",
        is_secure=scope["scheme"] == "https",
    )


def _declared_length(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    return int(length[:19]) if length.isdigit() else 0


def _standing_headers(options: HttpOptions) -> tuple[Header, ...]:
    if not options.is_kept_alive:
        return (_NOSNIFF, _CLOSE)
    seconds = options.keep_alive_timeout_seconds
    return (_NOSNIFF, (b"connection", b"keep-alive"), (b"keep-alive", b"timeout=%d" % seconds))
