"""What clients may change while the server runs; a restart brings the configuration back."""

import threading
from typing import Protocol


class Settings:
    """Values that are read wherever they matter, at that moment. Each is replaced as a whole."""

    def __init__(self, default_encoding: str = "Latin1") -> None:
        self.default_encoding = default_encoding
        """Of data sets that name no character set."""
        self.transfer_syntaxes: frozenset[str] = frozenset()
        """Those accepted in C-STORE."""
        self.sop_classes: frozenset[str] = frozenset()
        """The storage SOP classes accepted; they do not change."""
        self.is_unknown_sop_class_accepted = False


class End(Protocol):
    """Ends the server."""

    def __call__(self, *, restart: bool) -> None:
        """End it; with `restart` it starts again."""
        ...


class Lifecycle:
    """How a client ends or restarts the server."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stop: End | None = None
        self._waiting: bool | None = None

    def bind(self, stop: End) -> None:
        """Say what ends the server."""
        with self._lock:
            self._stop, waiting = stop, self._waiting
        if waiting is not None:
            stop(restart=waiting)

    def end(self, *, restart: bool) -> None:
        """End the server, as soon as the requests in progress are answered."""
        with self._lock:
            stop = self._stop
            if stop is None:
                self._waiting = restart
        if stop is not None:
            stop(restart=restart)
