"""Works whose callers do not wait for the commit: those of a moment share one.

A file that is durable with its note makes its row again whatever happens, so whoever sent it need not wait for the row.
It must only be there for everybody who looks: who reads or writes calls `finish` before.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

from hounsfield.index.database import Transaction

_log = logging.getLogger("hounsfield.sqlite")
T = TypeVar("T")
Action = Callable[[Transaction], Any]
_GATHERING_SECONDS = 0.1
_MOST_WAITING = 64


class _Delayed(NamedTuple):
    action: Action
    done: Callable[[Any], None]
    failed: Callable[[BaseException], None]


class DelayedWrites:
    """Gathers works, and has `write_all` commit them: on a thread of its own, or on that of who needs them.

    `write_all` gives the result or the error of each.
    """

    def __init__(self, write_all: Callable[[Sequence[Action]], Sequence[Any]]) -> None:
        self._write_all = write_all
        self._waiting: deque[_Delayed] = deque()
        """What is not committed yet: a work leaves it after its commit."""
        # Who holds the turn commits, and tells of it; who is told may need something finished in turn.
        self._turn = threading.RLock()
        self._is_telling = False
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="index-rows", daemon=True)
        self._thread.start()

    def write(
        self,
        action: Callable[[Transaction], T],
        done: Callable[[T], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """See `Database.write_soon`."""
        self._waiting.append(_Delayed(action, done, failed))
        if len(self._waiting) >= _MOST_WAITING:
            self.finish()
        elif not self._wake.is_set():
            self._wake.set()

    def finish(self) -> None:
        """See `Database.finish`."""
        if self._waiting or self._is_telling:
            with self._turn:
                self._commit()

    def close(self) -> None:
        """Finish, and end."""
        self._closing.set()
        self._wake.set()
        self._thread.join()
        self.finish()

    def _run(self) -> None:
        while not self._closing.is_set():
            self._wake.wait()
            self._closing.wait(_GATHERING_SECONDS)
            self._wake.clear()
            self.finish()

    def _commit(self) -> None:
        """Commit what waits. The caller holds the turn."""
        works = [self._waiting[place] for place in range(len(self._waiting))]
        if not works:
            return
        results = self._write_all([each.action for each in works])
        was_telling, self._is_telling = self._is_telling, True
        try:
            for _ in works:
                self._waiting.popleft()
            for each, result in zip(works, results, strict=True):
                _tell(each, result)
        finally:
            self._is_telling = was_telling


def _tell(work: _Delayed, result: object) -> None:
    """Tell of one work; a mistake of who is told must not keep it from the others, nor from who asks just now."""
    try:
        if isinstance(result, BaseException):
            work.failed(result)
        else:
            work.done(result)
    except Exception:  # noqa: BLE001  The rim of events: nobody waits for these works any more.
        _log.exception("What follows a commit failed")
