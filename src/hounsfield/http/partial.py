"""Files that arrive in several requests, as jQuery-File-Upload sends them."""

import threading
import time
from dataclasses import dataclass, field

from hounsfield.http.errors import ProtocolViolation


@dataclass(slots=True)
class _Partial:
    size: int
    touched: float
    content: bytearray = field(default_factory=bytearray)


class PartialUploads:
    """Chunks by file name, until the declared size is there.

    Bounded in number and bytes; what nobody continued for `patience_seconds` is forgotten.
    """

    def __init__(self, maximum_bytes: int = 512 * 1024 * 1024, patience_seconds: float = 300.0) -> None:
        self._maximum_bytes = maximum_bytes
        self._patience_seconds = patience_seconds
        self._partials: dict[str, _Partial] = {}
        self._lock = threading.Lock()

    def add(self, name: str, size: int, chunk: memoryview) -> bytes | None:
        """Append a chunk; give the whole file once it is complete.

        Raises
        ------
        ProtocolViolation
            If the chunks are longer than declared, or too much is waiting already.
        """
        now = time.monotonic()
        with self._lock:
            self._forget(now)
            partial = self._partials.setdefault(name, _Partial(size, now))
            waiting = sum(len(p.content) for p in self._partials.values())
            if partial.size != size or len(partial.content) + len(chunk) > size:
                del self._partials[name]
                raise ProtocolViolation("The chunks of an uploaded file do not have the declared size")
            if waiting + len(chunk) > self._maximum_bytes:
                del self._partials[name]
                raise ProtocolViolation("Too many unfinished uploads")
            partial.content += chunk
            partial.touched = now
            if len(partial.content) < size:
                return None
            del self._partials[name]
            return bytes(partial.content)

    def _forget(self, now: float) -> None:
        old = [name for name, p in self._partials.items() if now - p.touched > self._patience_seconds]
        for name in old:
            del self._partials[name]
