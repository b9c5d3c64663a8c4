"""Watching over what has a time: jobs to be tried again and, where several nodes share the index, leases and wishes."""

import logging

from hounsfield.jobs.active import Wish
from hounsfield.jobs.node import Node

_log = logging.getLogger("hounsfield.jobs")

_PAUSE_SECONDS = 1.0


def keep(node: Node, patience_seconds: float | None) -> None:
    """Do what is due, until the server stops."""
    while not node.floor.is_stopping:
        generation = node.floor.generation
        seconds = _tend(node, patience_seconds)
        node.floor.sleep(generation, seconds)


def _tend(node: Node, patience_seconds: float | None) -> float | None:
    """Do what is due; how long nothing will be, None for as long as nothing changes."""
    is_paid = _pay(node)
    try:
        seconds = node.ledger.next_retry_seconds()
        if seconds == 0.0:
            node.ledger.wake_retries()
            node.floor.notify()
        if node.options.is_shared:
            _tend_neighbours(node)
            seconds = patience_seconds
    except Exception:  # noqa: BLE001  The rim of jobs.
        _log.exception("The jobs in the index cannot be looked after")
        return _PAUSE_SECONDS
    return seconds if is_paid else _PAUSE_SECONDS


def _pay(node: Node) -> bool:
    """Write down how jobs stopped for which that was impossible then; whether all of that is done."""
    is_paid = True
    for owed in node.floor.all_owed():
        try:
            owed.write()
        except Exception as error:  # noqa: BLE001  The rim of jobs.
            _log.error("How a job stopped still cannot be written to the index: %s", error)
            is_paid = False
    return is_paid


def _tend_neighbours(node: Node) -> None:
    """Renew our leases, take over those of dead nodes, and hear what other nodes want."""
    with node.floor.taking:  # A job that is being taken would look like one that nobody runs.
        node.ledger.release_strays(node.floor.active_ids())
    node.ledger.renew_leases()
    if node.ledger.release_expired():
        node.floor.notify()
    if node.floor.active_ids():
        for job_id, wish in node.ledger.wishes().items():
            node.floor.ask(job_id, Wish(wish))
