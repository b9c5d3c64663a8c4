"""Uploads that follow one another on a connection, received and answered by one thread.

Who sends a study sends one file after the other. For each, the event loop would be woken for the head, for the body and
for the answer, and would wake a thread in between; under load these hand-overs cost as much as the work itself. So the
thread that answered an upload waits a moment for the next one and takes it from the socket itself. Whatever else comes,
or does not come at once, goes back to the event loop, which does not look at the connection meanwhile.
"""

import os
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import NamedTuple

import httptools

from hounsfield.http.messages import Request, Response
from hounsfield.http.routing import Found

_PATIENCE_US = 20_000
_BODY_SECONDS = 0.5
_MOST_IN_TURN = 64
_HEAD_SIZE = 16 << 10
IS_POSSIBLE = sys.platform != "win32"


class Head(NamedTuple):
    """The head of a request, as its parser gives it."""

    method: bytes
    version: str
    url: bytes
    headers: list[tuple[bytes, bytes]]
    keeps: bool


class Upload(NamedTuple):
    """A request with a body in memory, of which `received` bytes are there."""

    request: Request
    found: Found
    buffer: bytearray
    length: int
    received: int
    keeps: bool


class Handed(NamedTuple):
    """What the event loop gets back.

    `response` is the last answer where it is not sent, `unsent` what is left of it where it is. Then comes `seen`, the
    first bytes of another request, or `arriving`, an upload whose body pauses.
    """

    response: Response | None = None
    unsent: bytes = b""
    keeps: bool = True
    is_gone: bool = False
    seen: bytes = b""
    arriving: Upload | None = None


class Follower:
    """Has the uploads of a connection for a while.

    `admit` gives the upload that a head announces, its buffer still empty, or None for all else; `encode` the bytes of
    an answer.
    """

    def __init__(
        self,
        shared_fd: int,
        answer: Callable[[Request, Found], Response],
        admit: Callable[[Head], Upload | None],
        encode: Callable[[Response], bytes],
    ) -> None:
        self._socket = socket.socket(fileno=os.dup(shared_fd))
        self._answer, self._admit, self._encode = answer, admit, encode
        # Only heeded while the socket blocks, which it does while it is followed: each wait is a single call then.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", 0, _PATIENCE_US))
        self._head = bytearray(_HEAD_SIZE)

    def close(self) -> None:
        """Release the socket; nothing may be followed any more."""
        self._socket.close()

    def follow(self, upload: Upload, may_go_on: Callable[[], bool]) -> Handed:
        """Answer an upload that is complete, and those that follow it at once. For a worker thread."""
        self._socket.setblocking(True)  # Also for the event loop, which leaves it alone meanwhile.
        try:
            for _ in range(_MOST_IN_TURN):
                response = self._answer(upload.request, upload.found)
                upload.request.body = b""
                if not isinstance(response.body, bytes):
                    return Handed(response, keeps=upload.keeps)
                unsent = self._send(self._encode(response))
                if unsent or not upload.keeps or not may_go_on():
                    return Handed(unsent=unsent, keeps=upload.keeps)
                following = self._next(upload.buffer)
                if isinstance(following, Handed):
                    return following
                upload = following
            return Handed(response=self._answer(upload.request, upload.found), keeps=upload.keeps)
        except OSError:  # The client is gone, in one way or another.
            return Handed(is_gone=True)
        finally:
            self._socket.setblocking(False)

    def _send(self, data: bytes) -> bytes:
        """Send without waiting; what is left."""
        try:
            return data[self._socket.send(data, socket.MSG_DONTWAIT) :]
        except BlockingIOError:
            return data

    def _next(self, buffer: bytearray) -> Upload | Handed:
        size, end = 0, -1
        while end < 0:
            if size == _HEAD_SIZE:
                return Handed(seen=bytes(self._head[:size]))
            try:
                count = self._socket.recv_into(memoryview(self._head)[size:])
            except BlockingIOError:  # It does not come at once.
                return Handed(seen=bytes(self._head[:size]))
            if not count:
                return Handed(is_gone=True)
            size += count
            end = self._head.find(b"\r\n\r\n", 0, size)
        end += 4
        seen = bytes(self._head[:size])
        head = parse_head(seen[:end])
        upload = None if head is None else self._admit(head)
        if upload is None or upload.length < size - end:
            return Handed(seen=seen)
        if len(buffer) < upload.length:
            buffer = bytearray(upload.length)
        return self._receive(upload._replace(buffer=buffer), seen[end:])

    def _receive(self, upload: Upload, start: bytes) -> Upload | Handed:
        """Receive the body, of which `start` is there."""
        body = memoryview(upload.buffer)[: upload.length]
        received = len(start)
        body[:received] = start
        deadline = time.monotonic() + _BODY_SECONDS
        while received < upload.length:
            if time.monotonic() > deadline:
                return Handed(arriving=upload._replace(received=received))
            try:
                count = self._socket.recv_into(body[received:], 0, socket.MSG_WAITALL)
            except BlockingIOError:  # Nothing came for a while.
                continue
            if not count:
                return Handed(is_gone=True)
            received += count
        upload.request.body = body
        return upload._replace(received=received)


class _HeadReader:
    """Collects what the parser gives."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.is_complete = False

    def on_url(self, url: bytes) -> None:
        """Part of the target."""
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The end."""
        self.is_complete = True


def parse_head(data: bytes) -> Head | None:
    """Parse what ends with the empty line after a head; None if it is not one that the parser understands."""
    reader = _HeadReader()
    parser = httptools.HttpRequestParser(reader)
    try:
        parser.feed_data(data)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    if not reader.is_complete or parser.should_upgrade():
        return None
    return Head(
        parser.get_method(),
        parser.get_http_version(),
        reader.url,
        reader.headers,
        parser.should_keep_alive(),
    )
