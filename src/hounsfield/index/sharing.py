"""Commits that writers share, whatever the database.

Whoever gets the turn first runs the work of all that wait in one transaction, commits once, and hands each its
result: no thread is woken for a lone writer, and a commit is shared by as many as there are.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from hounsfield.index.database import Pending, Transaction
from hounsfield.index.pending import flush

T = TypeVar("T")
_SHARED = 256  # Works that one transaction carries at most.


class Writer(Protocol):
    """What a database does for the one thread that writes; see `SharedWrites`."""

    def begin(self, *, durable: bool) -> None:
        """Begin a transaction; `durable` tells whether its commit has to be."""
        ...

    def transaction(self, shared: Pending) -> Transaction:
        """The transaction as one work sees it, after others that left `shared`."""
        ...

    def catch_up(self) -> None:
        """Execute what works sent without waiting for it, so that their errors are known."""
        ...

    def commit(self, pending: Pending) -> None:
        """Commit, once `pending` was flushed, and tell those who listen."""
        ...

    def rollback(self) -> None:
        """Undo everything, forget what was found out, and never fail."""
        ...

    def save(self) -> None:
        """Set the savepoint."""
        ...

    def restore(self) -> bool:
        """Go back to the savepoint; False if the database undid the whole transaction."""
        ...

    def release(self) -> None:
        """Forget the savepoint."""
        ...

    def is_worth_another_try(self, error: BaseException, attempt: int) -> bool:
        """Whether the same works may succeed now; it may wait, and may repair the connection."""
        ...

    def translated(self, error: BaseException) -> BaseException:
        """An error in words that do not depend on the database."""
        ...


class _Work(Generic[T]):
    """What one caller of `write` asked for, and what became of it."""

    __slots__ = ("action", "durable", "error", "is_done", "result")

    def __init__(self, action: Callable[[Transaction], T], durable: bool) -> None:
        self.action, self.durable = action, durable
        self.is_done = False
        self.result: T | None = None
        self.error: BaseException | None = None


class _OneFailed(Exception):
    """One of several works failed; never leaves this module."""


class SharedWrites:
    """Runs works for all threads, one transaction after the other."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer
        self.turn = threading.Lock()
        self._waiting: deque[_Work[Any]] = deque()

    def write(self, work: Callable[[Transaction], T], *, durable: bool) -> T:
        """See `Database.write`."""
        mine = _Work(work, durable)
        self._waiting.append(mine)
        with self.turn:
            while not mine.is_done:
                self._run_waiting()
        if mine.error is not None:
            raise mine.error
        return mine.result  # type: ignore[return-value]

    def write_all(self, actions: Sequence[Callable[[Transaction], Any]]) -> list[Any]:
        """Run works of which nobody needs to be durable; the result or the error of each."""
        mine = [_Work(action, durable=False) for action in actions]
        self._waiting.extend(mine)
        with self.turn:
            while not all(work.is_done for work in mine):
                self._run_waiting()
        return [work.result if work.error is None else work.error for work in mine]

    def count_waiting(self) -> int:
        """How many works wait for their turn."""
        return len(self._waiting)

    def _run_waiting(self) -> None:
        """Run what waits in one transaction. The caller holds the turn."""
        batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), _SHARED))]
        try:
            self._run_until_done(batch)
        except BaseException as error:  # noqa: BLE001  It is raised again in each thread that waits.
            for work in batch:
                work.error = work.error or self._writer.translated(error)
        finally:
            for work in batch:
                work.is_done = True

    def _run_until_done(self, batch: list[_Work[Any]]) -> None:
        attempt = 0
        while True:
            try:
                try:
                    self._run_together(batch, self._run_or_give_up if len(batch) > 1 else self._run_alone)
                except _OneFailed:  # Which is rare: again, each in a savepoint, so that it is undone alone.
                    self._run_together(batch, self._run_in_savepoints)
                return
            except Exception as error:
                attempt += 1
                if not self._writer.is_worth_another_try(error, attempt):
                    raise
                for work in batch:
                    work.error = work.result = None

    def _run_together(
        self, batch: list[_Work[Any]], run: Callable[[list[_Work[Any]], Pending], None]
    ) -> None:
        """Run works in one transaction, and commit it."""
        self._writer.begin(durable=any(work.durable for work in batch))
        try:
            pending = Pending()
            run(batch, pending)
            flush(self._writer.transaction(Pending()), pending)
            self._writer.commit(pending)
        except BaseException:
            self._writer.rollback()
            raise

    def _run_one(self, work: _Work[Any], pending: Pending) -> None:
        tx = self._writer.transaction(pending)
        work.result = work.action(tx)
        pending.merge(tx.pending)

    def _run_alone(self, batch: list[_Work[Any]], pending: Pending) -> None:
        self._run_one(batch[0], pending)

    def _run_or_give_up(self, batch: list[_Work[Any]], pending: Pending) -> None:
        try:
            for work in batch:
                self._run_one(work, pending)
            self._writer.catch_up()
        except BaseException as error:
            raise _OneFailed from error

    def _run_in_savepoints(self, batch: list[_Work[Any]], pending: Pending) -> None:
        for work in batch:
            self._run_in_savepoint(work, pending)

    def _run_in_savepoint(self, work: _Work[Any], pending: Pending) -> None:
        """Run a work; when it fails, only what it did is undone."""
        self._writer.save()
        try:
            self._run_one(work, pending)
            self._writer.release()
        except BaseException as error:
            work.error = self._writer.translated(error)
            if not self._writer.restore():  # A full disk, say, made SQLite undo the work of all.
                raise
