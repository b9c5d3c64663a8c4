"""What may be asked of a job, whatever it is doing, on whichever node: to be cancelled, paused, resumed or run again.

A job that runs is told by a `Wish`, and obeys at its next yield; one that waits is changed in the index. When a job
stops just as it is told something, whoever ran it looks once more (`amend`): no wish is lost.
"""

from hounsfield.errors import BadRequest, Cancelled
from hounsfield.index.jobs import JobRow, JobState
from hounsfield.jobs.active import Wish
from hounsfield.jobs.ledger import failure_of, is_finished
from hounsfield.jobs.node import Node

CANCELLED = failure_of(Cancelled())


class NotResubmittable(BadRequest):
    """A kind of job that can be run only once."""


def cancel(node: Node, job_id: str) -> bool:
    """Make a job fail; a finished one stays as it is. False if there is no such job."""
    while True:
        row = node.ledger.find(job_id)
        if row is None:
            return False
        if is_finished(row):
            return True
        if row.state is JobState.RUNNING or node.floor.active(job_id) is not None:
            told = _tell(node, row, Wish.CANCEL)
            if told is not None:
                return told
            continue
        gone = node.ledger.end_waiting(row, CANCELLED)
        if gone is not None:
            drop_held(node, job_id)
            node.shelf.forget(gone)
            return True


def pause(node: Node, job_id: str) -> bool:
    """Let a job wait until it is resumed; a finished one stays as it is. False if there is no such job."""
    while True:
        row = node.ledger.find(job_id)
        if row is None:
            return False
        if is_finished(row) or row.state is JobState.PAUSED:
            return True
        if row.state is JobState.RUNNING:
            told = _tell(node, row, Wish.PAUSE)
            if told is not None:
                return told
        elif node.ledger.change(row, JobState.PAUSED):
            return True


def resume(node: Node, job_id: str) -> bool:
    """Let a paused job go on; False if it is not paused, or there is no such job."""
    if node.floor.withdraw_pause(job_id):
        if node.options.is_shared:
            node.ledger.wish(job_id, "")  # It may have been another node's.
        return True
    row = node.ledger.find(job_id)
    if row is None or row.state is not JobState.PAUSED:
        return False
    changed = node.ledger.change(row, JobState.PENDING)
    node.floor.notify()
    return changed


def resubmit(node: Node, job_id: str) -> bool:
    """Run a failed job again from its beginning; False if it has not failed, or there is no such job.

    Raises
    ------
    NotResubmittable
        If jobs of its kind can be run only once.
    """
    row = node.ledger.find(job_id)
    if row is None or row.state is not JobState.FAILURE:
        return False
    kind = node.kinds.get(row.kind)
    if kind is None or not kind.is_resubmittable:
        raise NotResubmittable(f"Cannot resubmit a job of the kind {row.kind}")
    node.floor.forget(job_id)
    renewed = node.ledger.renew(row)
    node.floor.notify()
    return renewed


def amend(node: Node, job_id: str, wanted: Wish | None) -> None:
    """Do what was wanted of a job too late for its last run to obey; None is to go on after all."""
    if wanted is Wish.CANCEL:
        cancel(node, job_id)
    elif wanted is Wish.PAUSE:
        pause(node, job_id)
    elif wanted is None:
        resume(node, job_id)


def drop_held(node: Node, job_id: str) -> None:
    """A job that was paused with its generator will not go on."""
    held = node.floor.release(job_id)
    node.floor.notify()
    if held is not None:
        held.drop()


def _tell(node: Node, row: JobRow, wish: Wish) -> bool | None:
    """Tell whoever runs a job what is wanted of it; None if it runs no more, False if nobody can tell who does."""
    if node.floor.ask(row.id, wish):
        return True
    if row.node != node.ledger.node and node.ledger.wish(row.id, wish.value):
        return True
    found = node.ledger.find(row.id)
    is_stray = found is not None and found.state is JobState.RUNNING and found.node == node.ledger.node
    return False if is_stray and node.floor.active(row.id) is None else None
