"""Bodies on their way: in, to memory or the spool; out, in pieces a connection can swallow.

Everything here that may touch a disk runs in a worker thread.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import Executor
from contextlib import suppress
from typing import Any, Protocol

from hounsfield.errors import BadRequest, Cancelled, StorageFull, TimedOut
from hounsfield.http.errors import InexistentFile
from hounsfield.http.messages import Body, BodySink, FileBody, Response
from hounsfield.http.options import HttpOptions
from hounsfield.store.spool import Spool, SpoolFile

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# A client must keep this pace on average, or it is taken for one that only wants to occupy us.
SLOWEST_BYTES_PER_SECOND = 1024
_WRITE_SIZE = 1024 * 1024
CHUNK_SIZE = 4 * 1024 * 1024
_SMALLEST_CHUNK = 256 * 1024
_LONGEST_GATHERING_SECONDS = 0.05


class Disconnected(Cancelled):
    """The client went away."""


class TooLarge(BadRequest):
    """The body is beyond the limit."""


async def receive_body(receive: Receive, spool: Spool, pool: Executor, options: HttpOptions) -> Body:
    """Take in a whole body.

    Raises
    ------
    TooLarge, Disconnected
    TimedOut
        If the client is too slow.
    StorageFull
        If it cannot be spooled.
    """
    loop = asyncio.get_running_loop()
    started = time.monotonic()
    waiting = bytearray()
    file: SpoolFile | None = None
    size = 0
    try:
        while True:
            deadline = started + options.request_timeout_seconds + size / SLOWEST_BYTES_PER_SECOND
            patience = min(options.request_timeout_seconds, deadline - time.monotonic())
            message = await _next_message(receive, patience)
            chunk: bytes = message.get("body", b"")
            more: bool = message.get("more_body", False)
            size += len(chunk)
            if 0 < options.maximum_body_bytes < size:
                raise TooLarge
            if not more and not waiting and file is None:
                return chunk
            waiting += chunk
            if file is None and len(waiting) > options.spool_threshold_bytes:
                file = await loop.run_in_executor(pool, _create, spool)
            if file is not None and (len(waiting) >= _WRITE_SIZE or not more):
                full, waiting = waiting, bytearray()
                await loop.run_in_executor(pool, _write, file, full)
            if not more:
                return file if file is not None else bytes(waiting)
    except BaseException:
        if file is not None:
            loop.run_in_executor(pool, file.close)
        raise


async def feed(receive: Receive, sink: BodySink, pool: Executor, options: HttpOptions) -> Response:
    """Hand a body on while it arrives; the sink's answer to it.

    Raises
    ------
    Disconnected
    TimedOut
        If the client is too slow.
    ArchiveError
        As the sink does.
    """
    loop = asyncio.get_running_loop()
    started, waiting, size, more = time.monotonic(), bytearray(), 0, True
    try:
        while more:
            deadline = started + options.request_timeout_seconds + size / SLOWEST_BYTES_PER_SECOND
            patience = min(options.request_timeout_seconds, deadline - time.monotonic())
            message = await _next_message(receive, patience)
            waiting += message.get("body", b"")
            more = message.get("more_body", False)
            if len(waiting) >= _WRITE_SIZE or (waiting and not more):
                size += len(waiting)
                full, waiting = waiting, bytearray()
                await loop.run_in_executor(pool, sink.write, full)
    except BaseException:
        with suppress(RuntimeError):  # The pool is closed.
            pool.submit(_abort, sink, waiting)
        raise
    return await loop.run_in_executor(pool, sink.finish)


def _abort(sink: BodySink, waiting: bytearray) -> None:
    """Hand on what arrived before a body was cut off."""
    try:
        if waiting:
            sink.write(waiting)
    finally:
        sink.abort()


async def _next_message(receive: Receive, patience_seconds: float) -> MutableMapping[str, Any]:
    try:
        async with asyncio.timeout(max(patience_seconds, 0.0)):
            message = await receive()
    except TimeoutError as cause:
        raise TimedOut("The body of the request arrives too slowly") from cause
    if message["type"] == "http.disconnect":
        raise Disconnected
    return message


def _create(spool: Spool) -> SpoolFile:
    try:
        return spool.create()
    except OSError as cause:
        raise StorageFull("The body of the request cannot be spooled") from cause


def _write(file: SpoolFile, data: bytearray) -> None:
    try:
        file.write(data)
    except OSError as cause:
        raise StorageFull("The body of the request cannot be spooled") from cause


class Source(Protocol):
    """Gives a body piece by piece, in worker threads, one call at a time."""

    def read(self) -> bytes:
        """The next piece, empty at the end."""
        ...

    def close(self) -> None:
        """Release what is behind it."""
        ...


class FileSource:
    """A stretch of a file."""

    def __init__(self, body: FileBody) -> None:
        try:
            self._fd = os.open(body.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        except OSError as cause:
            raise InexistentFile from cause
        self._left = body.length
        if body.offset:
            os.lseek(self._fd, body.offset, os.SEEK_SET)

    def read(self) -> bytes:
        """The next piece, empty at the end or where the file is cut off."""
        data = os.read(self._fd, min(CHUNK_SIZE, self._left)) if self._left else b""
        self._left -= len(data)
        return data

    def close(self) -> None:
        """Close the file."""
        os.close(self._fd)


class IteratorSource:
    """The pieces of an iterator, small ones joined."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces

    def read(self) -> bytes:
        """The next piece, empty at the end."""
        gathered: list[bytes] = []
        size = 0
        until = time.monotonic() + _LONGEST_GATHERING_SECONDS
        for piece in self._pieces:
            gathered.append(piece)
            size += len(piece)
            if size >= _SMALLEST_CHUNK or (size and time.monotonic() > until):
                break
        return gathered[0] if len(gathered) == 1 else b"".join(gathered)

    def close(self) -> None:
        """End a generator, so that it releases what it holds."""
        close = getattr(self._pieces, "close", None)
        if close is not None:
            close()


class SpooledSource:
    """Another source, taken in whole first: for clients that must be told the length. RFC 9112 6.3."""

    def __init__(self, source: Source, spool: Spool) -> None:
        self._source = source
        self._file = spool.create()
        try:
            while piece := source.read():
                self._file.write(piece)
        except BaseException:
            self._file.close()
            raise
        self.length = self._file.size
        self._sent = 0

    def read(self) -> bytes:
        """The next piece, empty at the end."""
        piece = bytes(self._file.view()[self._sent : self._sent + CHUNK_SIZE])
        self._sent += len(piece)
        return piece

    def close(self) -> None:
        """Release the spooled file and the source."""
        self._file.close()
        self._source.close()


def read_whole(body: FileBody) -> bytes:
    """A short stretch of a file in one piece.

    Raises
    ------
    InexistentFile
        If the file is gone or shorter than it should be.
    """
    try:
        data = _read_stretch(body)
    except OSError as cause:
        raise InexistentFile from cause
    if len(data) != body.length:
        raise InexistentFile("A stored file is shorter than the index says")
    return data


def _read_stretch(body: FileBody) -> bytes:
    fd = os.open(body.path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        if body.offset:
            os.lseek(fd, body.offset, os.SEEK_SET)
        data = os.read(fd, body.length)
        while len(data) < body.length and (more := os.read(fd, body.length - len(data))):
            data += more
        return data
    finally:
        os.close(fd)
