"""Uvicorn's connection, with a guard and a short cut.

The guard: the head of a request must arrive in time and within a size, and so must a body that was refused; uvicorn
would wait for ever.
The short cut: a request without a body, or with a small one of known length, is answered as soon as it is there, or by
a worker thread, without a task, an event and several messages for it. Measured: twice the requests a second.
"""

import asyncio
import logging
from concurrent.futures import Future
from contextlib import suppress
from typing import Any, ClassVar, cast

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from hounsfield.http import following, sendfile
from hounsfield.http.arriving import Arriving, Job
from hounsfield.http.asgi import Application
from hounsfield.http.bodies import SLOWEST_BYTES_PER_SECOND
from hounsfield.http.draining import Drain
from hounsfield.http.following import Follower, Handed, Head, Upload
from hounsfield.http.gathering import SMALLEST_DIRECT, BodyReceiver, Buffers
from hounsfield.http.heads import HeaderBlocks, body_length, decode_headers, read_request
from hounsfield.http.messages import FileBody, Request, Response
from hounsfield.http.options import HttpOptions
from hounsfield.http.routing import Found
from hounsfield.http.sendfile import FileSender

_log = logging.getLogger("hounsfield.http")

_JOINED_BYTES = 16 * 1024


class Connection(HttpToolsProtocol):
    """One connection; `connection_class` says to what."""

    served: ClassVar[Application]
    limits: ClassVar[HttpOptions]
    blocks: ClassVar[HeaderBlocks]
    buffers: ClassVar[Buffers]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _log
        self._deadline: asyncio.TimerHandle | None = None
        self._head_bytes = 0
        self._is_in_head = True
        self._is_answered = False
        self._arriving: Arriving | None = None
        self._drain: Drain | None = None
        self._sender: FileSender | None = None
        self._follower: Follower | None = None
        self._is_followed = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self._watch_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch_head()
        self._end_drain()
        if self._sender is not None:
            self._sender.close()
        if self._follower is not None and not self._is_followed:
            self._follower.close()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._arriving is not None:
            self._receive_directly(self._arriving)
        elif self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self.limits.maximum_head_bytes and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")
            elif self._deadline is None:
                self._watch_head()

    def on_message_begin(self) -> None:
        self.url = b""
        self.headers = []
        self.expect_100_continue = False
        self._head_bytes = 0
        self._is_in_head = True
        self._is_answered = False

    def on_headers_complete(self) -> None:
        self._is_in_head = False
        if self._deadline is not None:
            self._unwatch_head()
        if self._answers_at_once():
            self._is_answered = True
            return
        url, headers, expects = self.url, self.headers, self.expect_100_continue
        super().on_message_begin()
        self.url, self.expect_100_continue = url, expects
        self.headers.extend(headers)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        if self._arriving is not None:
            self._arriving.add(body)
        elif self._is_answered or (self.cycle is not None and self.cycle.response_complete):
            self._drop(len(body))
        else:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._drain is not None:
            self._end_drain()
            self._watch_head()  # Of the next request: the time of keeping alive was over with the first piece.
        if self._arriving is not None:
            self._body_arrived()
        elif not self._is_answered:
            super().on_message_complete()

    def _receive_directly(self, arriving: Arriving) -> None:
        """Let the rest of a body bypass the parser."""
        left = arriving.view[arriving.size :]
        if len(left) >= SMALLEST_DIRECT and not self.transport.is_closing():
            arriving.receiver = BodyReceiver(left, self, self._body_received_directly)
            self.transport.set_protocol(arriving.receiver)

    def _body_received_directly(self) -> None:
        self.transport.set_protocol(self)
        # The old parser still waits for the body.
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self._body_arrived()

    def _body_arrived(self) -> None:
        arrived, self._arriving = self._arriving, None
        if arrived is None:  # It was given up.
            return
        self._unwatch_head()
        arrived.request.body = arrived.view
        arrived.job.buffer = arrived.buffer
        response = self.served.at_once(arrived.request, arrived.found)
        if response is None or not isinstance(response.body, bytes):
            if arrived.receiver is not None and arrived.found.is_upload and self._is_followable(arrived.job):
                self._follow(arrived)
                return
            self._run(arrived.request, arrived.found, arrived.job)
        else:
            self._give_back(arrived.request, arrived.job)
            arrived.job.response_complete = True
            self._write(response, arrived.job.keep_alive)

    def _answers_at_once(self) -> bool:
        """Take a plain request into our own hands; False, with nothing done, for everything else."""
        if self.url[:1] != b"/" or self.flow.write_paused or self.parser.should_upgrade():
            return False
        if self.cycle is not None and not self.cycle.response_complete:
            return False
        if self.transport.is_closing() or self.parser.get_http_version() == "1.0":
            return False
        headers = decode_headers(self.headers)
        method = self.parser.get_method()
        is_overridden = "x-http-method-override" in headers or b"_method" in self.url
        length = body_length(headers, self.limits) if method != b"GET" or is_overridden else 0
        if length is None:
            return False
        request = self._request(method, self.url, headers)
        found = self.served.admit(request)
        if found is None:
            return False
        keeps = self.limits.is_kept_alive and self.parser.should_keep_alive()
        if isinstance(found, Response) and isinstance(found.body, FileBody):
            return self._send_cached(found, found.body, keeps)
        if isinstance(found, Response):
            self._write(found, keeps)
            return True
        self.cycle = job = Job(keeps)  # type: ignore[assignment]
        if length:
            self._await_body(Arriving(request, found, job, self.buffers.take(length), length))
        else:
            self._run(request, found, job)
        return True

    def _await_body(self, arriving: Arriving) -> None:
        self._arriving = arriving
        if self.expect_100_continue:
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._deadline = self.loop.call_later(self.limits.request_timeout_seconds, self._check_pace, arriving)

    def _check_pace(self, arriving: Arriving) -> None:
        """Give up a body that arrives too slowly."""
        self._deadline = None
        received = arriving.received
        if received - arriving.size_before < self.limits.request_timeout_seconds * SLOWEST_BYTES_PER_SECOND:
            self._arriving = None
            arriving.job.response_complete = True
            self._write(Response(408), keeps=False)
            return
        arriving.size_before = received
        self._deadline = self.loop.call_later(self.limits.request_timeout_seconds, self._check_pace, arriving)

    def _drop(self, size: int) -> None:
        if self._drain is None:
            self._drain = Drain(self.loop, self.limits.request_timeout_seconds, self.transport.close)
        self._drain.add(size)

    def _end_drain(self) -> None:
        if self._drain is not None:
            self._drain.end()
            self._drain = None

    def _run(self, request: Request, found: Found, job: Job) -> None:
        """Have a worker thread answer; what comes meanwhile waits."""
        request.is_gone = job.is_gone

        def done(future: Future[Response]) -> None:
            with suppress(RuntimeError):  # The loop was closed: nobody is there to be answered.
                self.loop.call_soon_threadsafe(self._finish, job, request, future)

        self.served.run(request, found, done)

    def _is_followable(self, job: Job) -> bool:
        return (
            following.IS_POSSIBLE
            and job.keep_alive
            and self.scheme == "http"
            and not self.transport.get_write_buffer_size()
        )

    def _follow(self, arrived: Arriving) -> None:
        """Have a worker thread answer, and take what follows from the socket itself."""
        request, job, size = arrived.request, arrived.job, len(arrived.view)
        if self._follower is None:
            self._follower = Follower(
                self.transport.get_extra_info("socket").fileno(),
                self.served.answer,
                self._admit,
                self._encode,
            )
        upload = Upload(request, arrived.found, arrived.buffer, size, size, job.keep_alive)
        follower = self._follower

        def done(future: Future[Handed]) -> None:
            with suppress(RuntimeError):  # The loop was closed: nobody is there to be answered.
                self.loop.call_soon_threadsafe(self._take_back, job, request, future)

        self._is_followed = self.served.follow(lambda: follower.follow(upload, lambda: job.keep_alive), done)
        if self._is_followed:
            self.flow.pause_reading()
        else:
            self._run(request, arrived.found, job)

    def _admit(self, head: Head) -> Upload | None:
        """The upload that a head announces; None for whatever the event loop should see. In a worker thread."""
        headers = decode_headers(head.headers)
        length = body_length(headers, self.limits)
        if head.method != b"POST" or head.version == "1.0" or "expect" in headers or not length:
            return None
        request = self._request(head.method, head.url, headers)
        found = self.served.admit(request)
        if not isinstance(found, Found) or not found.is_upload:
            return None
        keeps = self.limits.is_kept_alive and head.keeps
        return Upload(request, found, bytearray(), length, 0, keeps)

    def _request(self, method: bytes, url: bytes, headers: dict[str, str]) -> Request:
        remote_ip = self.client[0] if self.client else "127.0.0.1"
        return read_request(method, url, headers, remote_ip, self.scheme == "https")

    def _encode(self, response: Response) -> bytes:
        body = response.body
        assert isinstance(body, bytes)
        return self._head(response, len(body)) + body

    def _take_back(self, job: Job, request: Request, future: Future[Handed]) -> None:
        """Look at the connection again."""
        self._is_followed = False
        self._give_back(request, job)
        if future.cancelled() or future.exception() is not None:
            self.transport.abort()
            return
        handed = future.result()
        if job.disconnected or self.transport.is_closing() or handed.is_gone:
            close = getattr(handed.response and handed.response.body, "close", None)
            if close is not None:
                close()
            if self._follower is not None and job.disconnected:
                self._follower.close()
            self.transport.close()
            return
        self.flow.resume_reading()
        job.keep_alive = job.keep_alive and handed.keeps
        if handed.response is not None and not isinstance(handed.response.body, bytes):
            self._stream(job, request, handed.response)
            return
        job.response_complete = True
        if handed.response is not None:
            self._write(handed.response, job.keep_alive)
        else:
            self._was_answered(handed.unsent, job.keep_alive)
        if self.transport.is_closing():
            return
        if handed.arriving is not None:
            self._go_on_receiving(handed.arriving)
        elif handed.seen:
            self.data_received(handed.seen)

    def _was_answered(self, unsent: bytes, keeps: bool) -> None:
        if unsent:
            self.transport.write(unsent)
        if not keeps:
            self.transport.close()
        self.on_response_complete()

    def _go_on_receiving(self, upload: Upload) -> None:
        """Wait for the rest of a body whose client paused."""
        self._unset_keepalive_if_required()
        self.cycle = job = Job(upload.keeps)  # type: ignore[assignment]
        arriving = Arriving(upload.request, upload.found, job, upload.buffer, upload.length)
        arriving.size = arriving.size_before = upload.received
        self._await_body(arriving)
        arriving.receiver = BodyReceiver(arriving.view[upload.received :], self, self._body_received_directly)
        self.transport.set_protocol(arriving.receiver)

    def _give_back(self, request: Request, job: Job) -> None:
        """Let others use the memory of a body."""
        if job.buffer is not None:
            request.body, buffer = b"", job.buffer
            job.buffer = None
            self.buffers.give(buffer)

    def _finish(self, job: Job, request: Request, future: Future[Response]) -> None:
        self._give_back(request, job)
        if future.cancelled() or future.exception() is not None:
            self.transport.abort()
            return
        response = future.result()
        if job.disconnected or self.transport.is_closing():
            close = getattr(response.body, "close", None)
            if close is not None:
                close()
            return
        if isinstance(response.body, bytes):
            job.response_complete = True
            self._write(response, job.keep_alive)
        else:
            self._stream(job, request, response)

    def _send_cached(self, response: Response, body: FileBody, keeps: bool) -> bool:
        """Send a file from the memory of the system; False, with nothing done, if that cannot be."""
        if not sendfile.IS_POSSIBLE or self.scheme != "http" or self.transport.get_write_buffer_size():
            return False
        file = sendfile.open_cached(body)
        if file is None:
            return False
        if self._sender is None:
            shared = self.transport.get_extra_info("socket").fileno()
            self._sender = FileSender(self.loop, shared, self.limits.send_timeout_seconds)
        job = Job(keeps)
        self.cycle = job  # type: ignore[assignment]
        self.flow.pause_reading()

        def done(is_sent: bool) -> None:
            job.response_complete = True
            if self.transport.is_closing():
                return
            if not is_sent:
                self.transport.abort()
                return
            self.flow.resume_reading()
            if not job.keep_alive:
                self.transport.close()
            self.on_response_complete()

        self._sender.send(self._head(response, body.length), file, body, done)
        return True

    def _stream(self, job: Job, request: Request, response: Response) -> None:
        """Let uvicorn send what is too large for one piece."""
        cycle = RequestResponseCycle(
            scope={"method": "GET", "http_version": "1.1"},  # type: ignore[typeddict-item]
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=job.keep_alive,
            on_response=self.on_response_complete,
        )
        cycle.more_body = False
        if cast(object, self.cycle) is job:
            self.cycle = cycle
        self._start_asgi_task(cycle, self.served.sending(request, response))  # type: ignore[arg-type]

    def _write(self, response: Response, keeps: bool) -> None:
        body = response.body if isinstance(response.body, bytes) else b""
        try:
            head = self._head(response, len(body))
        except ValueError:
            _log.exception("An answer cannot be sent")
            head, body = self._head(Response(500), 0), b""
        if len(body) <= _JOINED_BYTES:
            self.transport.write(head + body)
        else:
            self.transport.write(head)
            self.transport.write(body)
        if not keeps:
            self.transport.close()
        self.on_response_complete()

    def _head(self, response: Response, length: int) -> bytes:
        return self.blocks.encode(response, length, self.server_state.default_headers)

    def _watch_head(self) -> None:
        self._deadline = self.loop.call_later(self.limits.request_timeout_seconds, self._too_slow)

    def _unwatch_head(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._deadline = None
        if not self.transport.is_closing():
            self.transport.close()


def connection_class(application: Application, options: HttpOptions) -> type[Connection]:
    """The class of connections to `application`; uvicorn makes one of each."""
    shared = {
        "served": application,
        "limits": options,
        "blocks": HeaderBlocks(application.standing_headers),
        "buffers": Buffers(),
    }
    return type("ServedConnection", (Connection,), shared)
