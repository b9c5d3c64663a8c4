"""A request on its way through a connection: its body may be incomplete, and its answer not yet there."""

from hounsfield.http.gathering import BodyReceiver
from hounsfield.http.messages import Request
from hounsfield.http.routing import Found


class _Event:
    """In the place of an event that nobody waits for."""

    def set(self) -> None:
        """Do nothing."""


_NOBODY_WAITS = _Event()


class Job:
    """A request that a worker thread answers, with what uvicorn asks of its cycles: it queues what is pipelined."""

    def __init__(self, keep_alive: bool) -> None:
        self.keep_alive = keep_alive
        self.response_complete = False
        self.disconnected = False
        self.message_event = _NOBODY_WAITS
        self.buffer: bytearray | None = None

    def is_gone(self) -> bool:
        """Whether the client has hung up."""
        return self.disconnected


class Arriving:
    """A request whose body is not complete yet; `view` is the part of `buffer` that it fills."""

    __slots__ = ("buffer", "found", "job", "receiver", "request", "size", "size_before", "view")

    def __init__(self, request: Request, found: Found, job: Job, buffer: bytearray, length: int) -> None:
        self.request, self.found, self.job = request, found, job
        self.buffer, self.view = buffer, memoryview(buffer)[:length]
        self.receiver: BodyReceiver | None = None
        self.size = self.size_before = 0

    def add(self, piece: bytes) -> None:
        """Take what the parser gives."""
        self.view[self.size : self.size + len(piece)] = piece
        self.size += len(piece)

    @property
    def received(self) -> int:
        """How many bytes there are."""
        return self.size if self.receiver is None else len(self.view) - self.receiver.left
