"""Works whose callers do not wait for the commit: those of a moment share one.

A file that is durable with its note makes its row again whatever happens, so whoever sent it need not wait for the row.
It must only be there for everybody who looks: who reads or writes calls `finish` before.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import groupby
from typing import Any, NamedTuple, TypeVar

from hounsfield.index.database import Transaction

_log = logging.getLogger("hounsfield.sqlite")
Item = TypeVar("Item")
T = TypeVar("T")
Action = Callable[[Transaction], Any]
_GATHERING_SECONDS = 0.1
_ENOUGH = 64  # Works that are worth a commit.
_MOST_WAITING = 1024  # From here on nobody goes on before a commit.


class _Delayed(NamedTuple):
    work: Callable[[Transaction, Sequence[Any]], Sequence[Any]]
    item: Any
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
        self._under_way = 0
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._is_closing = False
        self._thread = threading.Thread(target=self._keep_committing, name="index-rows", daemon=True)
        self._thread.start()

    def write(
        self,
        work: Callable[[Transaction, Sequence[Item]], Sequence[T]],
        item: Item,
        done: Callable[[T], None],
        failed: Callable[[BaseException], None],
    ) -> None:
        """See `Database.write_soon`."""
        self._waiting.append(_Delayed(work, item, done, failed))
        waiting = len(self._waiting) - self._under_way
        if waiting >= _MOST_WAITING:
            self.finish()
        elif waiting >= _ENOUGH and not self._hurry.is_set():
            self._hurry.set()
        if not self._wake.is_set():
            self._wake.set()

    def finish(self) -> None:
        """See `Database.finish`."""
        if self._waiting or self._is_telling:
            with self._turn:
                self._commit()

    def close(self) -> None:
        """Finish, and end."""
        self._is_closing = True
        self._hurry.set()
        self._wake.set()
        self._thread.join()
        self.finish()

    def _keep_committing(self) -> None:
        while not self._is_closing:
            self._wake.wait()
            self._hurry.wait(_GATHERING_SECONDS)
            self._hurry.clear()
            self._wake.clear()
            self.finish()

    def _commit(self) -> None:
        """Commit what waits. The caller holds the turn."""
        works = [self._waiting[place] for place in range(len(self._waiting))]
        if not works:
            return
        self._under_way = len(works)
        results = self._results(works)
        was_telling, self._is_telling = self._is_telling, True
        try:
            for _ in works:
                self._waiting.popleft()
            self._under_way = 0
            for each, result in zip(works, results, strict=True):
                _tell(each, result)
        finally:
            self._is_telling = was_telling

    def _results(self, works: Sequence[_Delayed]) -> list[Any]:
        """The result or the error of each. Those of a kind are done together, and alone if one of them fails."""
        groups = [list(group) for _, group in groupby(works, key=lambda each: each.work)]
        results: list[Any] = []
        for group, found in zip(groups, self._write_all(list(map(_together, groups))), strict=True):
            if not isinstance(found, BaseException):
                results += found
            elif len(group) == 1:
                results.append(found)
            else:
                results += [
                    each if isinstance(each, BaseException) else each[0]
                    for each in self._write_all([_together([work]) for work in group])
                ]
        return results


def _together(group: Sequence[_Delayed]) -> Action:
    """Do some of a kind at once."""
    return lambda tx: group[0].work(tx, [each.item for each in group])


def _tell(work: _Delayed, result: object) -> None:
    """Tell of one work; a mistake of who is told must not keep it from the others, nor from who asks just now."""
    try:
        if isinstance(result, BaseException):
            work.failed(result)
        else:
            work.done(result)
    except Exception:  # noqa: BLE001  The rim of events: nobody waits for these works any more.
        _log.exception("What follows a commit failed")
