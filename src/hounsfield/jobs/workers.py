"""Taking jobs out of the index and running them, one step after the other, until they end or are to stop."""

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace

from hounsfield.errors import ArchiveError
from hounsfield.index.jobs import JobRow, JobState
from hounsfield.jobs import control
from hounsfield.jobs.active import Active, Steps, Wish, close, new_active
from hounsfield.jobs.floor import Held, Owed
from hounsfield.jobs.kinds import TryAgain
from hounsfield.jobs.ledger import Failure, failure_of
from hounsfield.jobs.node import Node

_log = logging.getLogger("hounsfield.jobs")

_PAUSE_SECONDS = 1.0
_DONE = object()
_is_within_job: ContextVar[bool] = ContextVar("is_within_job", default=False)


def is_within_job() -> bool:
    """Whether a job runs in this context: should it wait for another one, all workers could be waiting."""
    return _is_within_job.get()


def work(node: Node, patience_seconds: float | None) -> None:
    """Run one job after the other, until the server stops."""
    _is_within_job.set(True)
    while not node.floor.is_stopping:
        generation = node.floor.generation
        active = _take_next(node)
        if active is not None:
            _run(node, active)
        else:
            node.floor.sleep(generation, patience_seconds)


def take_now(node: Node, row: JobRow) -> bool:
    """Run a pending job in the calling thread, unless another one was faster."""
    with node.floor.taking:
        taken = node.ledger.take(row) if row.kind in node.kinds else None
        active = None if taken is None else _enter(node, taken)
    if active is None:
        return False
    _run(node, active)
    return True


def _take_next(node: Node) -> Active | None:
    """The next job, which runs from now on; None if there is none."""
    try:
        with node.floor.taking:
            row = node.ledger.take_next(node.kinds.keys())
            return None if row is None else _enter(node, row)
    except Exception:  # noqa: BLE001  The rim of jobs.
        _log.exception("The next job cannot be read from the index")
        time.sleep(_PAUSE_SECONDS)
        return None


def _enter(node: Node, row: JobRow) -> Active:
    held = node.floor.held(row.id)
    kind = node.kinds[row.kind]
    active = Active(row, held.active.run, kind) if held else new_active(row, kind)
    node.floor.enter(active)
    active.begin()
    return active


def _run(node: Node, active: Active) -> None:
    """Run a job until it ends, or is to stop."""
    held = node.floor.release(active.row.id)
    try:
        steps = held.steps if held else active.kind.run(active.run)
        wish = _advance(node, active, steps)
        if wish is not None and not _is_to_be_held(active, wish):
            active.run.is_cancelled = wish is Wish.CANCEL
            close(steps)
    except TryAgain as error:
        _leave(node, active, JobState.RETRY, None, error.seconds)
    except ArchiveError as error:
        end(node, active, failure_of(error, active.run.error_payload))
    except Exception as error:  # noqa: BLE001  The rim of jobs.
        _log.exception("A job of the kind %s failed", active.row.kind)
        end(node, active, failure_of(error, active.run.error_payload))
    else:
        _obey(node, active, steps, wish)


def _advance(node: Node, active: Active, steps: Steps) -> Wish | None:
    """Make steps until the job is done, which is None, or until something else is wanted of it.

    When the server began to stop while the job was taken, it is not begun.
    """
    while (wish := active.wish) is None:
        if next(steps, _DONE) is _DONE:
            return None
        is_ours = node.ledger.is_lease_good(active.started)
        if not is_ours or (active.is_save_due() and not active.save(node.ledger.save)):
            active.wish = Wish.LEAVE  # Another node has it, or nobody.
    return wish


def _is_to_be_held(active: Active, wish: Wish) -> bool:
    return wish is Wish.PAUSE and not active.row.is_saved


def _obey(node: Node, active: Active, steps: Steps, wish: Wish | None) -> None:
    """Stop a job where it is."""
    if wish is None:
        end(node, active, None)
    elif wish is Wish.CANCEL:
        end(node, active, control.CANCELLED, wish)
    elif wish is Wish.PAUSE:
        if _is_to_be_held(active, wish):
            node.floor.hold(Held(active, steps))
        _leave(node, active, JobState.PAUSED, wish)
    else:
        _leave(node, active, JobState.PENDING, wish)


def _leave(
    node: Node, active: Active, state: JobState, obeyed: Wish | None, retry_seconds: float = 0.0
) -> None:
    """Let a job wait."""
    row = _snapshot(active)

    def write() -> None:
        if not node.ledger.leave(row, state, retry_seconds=retry_seconds):
            control.drop_held(node, row.id)

    _part(node, active, write, obeyed)


def end(node: Node, active: Active, failure: Failure | None, obeyed: Wish | None = None) -> None:
    """Write down how a job ended."""
    row = _snapshot(active)
    if failure is None and node.options.history:
        row = row if node.shared_outputs is None else node.shared_outputs.noted(row, active.run.outputs)
        node.shelf.put(active.run)
    else:
        active.run.release()

    def write() -> None:
        ended, gone = node.ledger.finish(row, failure)
        node.shelf.forget(gone)
        if ended is not None:
            node.floor.remember(ended)

    _part(node, active, write, obeyed)


def _snapshot(active: Active) -> JobRow:
    """A job as it is, or was when it began: whatever its kind tells of it, that it stopped must be written."""
    try:
        return active.snapshot()
    except Exception:  # noqa: BLE001  The rim of jobs.
        _log.exception("What a job of the kind %s did cannot be told", active.row.kind)
        return replace(active.row, runtime_ns=active.runtime_ns())


def _part(node: Node, active: Active, write: Callable[[], None], obeyed: Wish | None) -> None:
    """Write down that a job stopped, and let go of it; if that is impossible now, the keeper does it later.

    What was wanted of it since it `obeyed` is done then.
    """

    def finish() -> None:
        if not active.is_lost:
            write()
        wanted = node.floor.depart(active)
        if wanted is not obeyed:
            control.amend(node, active.row.id, wanted)

    try:
        finish()
    except Exception as error:  # noqa: BLE001  The rim of jobs.
        _log.exception("How a job of the kind %s stopped cannot be written to the index", active.row.kind)
        node.floor.owe(active, Owed(finish, error))
