"""Jobs whose result is read while it is made: they run in the thread of the reader, and wait for no turn."""

from collections.abc import Callable, Iterator

from hounsfield.errors import ArchiveError, Cancelled
from hounsfield.index.jobs import JobState
from hounsfield.jobs.active import Active, Wish, close
from hounsfield.jobs.control import CANCELLED
from hounsfield.jobs.kinds import JobRun
from hounsfield.jobs.ledger import CANNOT_WRITE, Failure, failure_of
from hounsfield.jobs.node import Node
from hounsfield.jobs.workers import end


def drive(node: Node, active: Active, make: Callable[[JobRun], Iterator[bytes]]) -> Iterator[bytes]:
    """The pieces of a stream, which is a job as long as they are read.

    It fails with Orthanc's code of a file that cannot be written if the reader goes away.

    Raises
    ------
    Cancelled
        If the job was cancelled.
    """
    active.is_stream = True
    active.begin()
    node.floor.enter(active)
    try:
        node.ledger.add(active.snapshot(), durable=False)
    except ArchiveError:
        node.floor.depart(active)
        raise
    pieces = make(active.run)
    failure: Failure | None = CANNOT_WRITE
    try:
        for piece in pieces:
            yield piece
            _obey(node, active)
            if active.is_save_due():
                active.save(node.ledger.save)
        failure = None
    except Cancelled:
        failure = CANCELLED
        raise
    except Exception as error:
        failure = failure_of(error)
        raise
    finally:
        close(pieces)
        end(node, active, failure, active.wish)


def _obey(node: Node, active: Active) -> None:
    """Stand still as long as the stream is to pause, and end it if it is to stop.

    Raises
    ------
    Cancelled
        If it is to stop.
    """
    if active.wish is Wish.PAUSE:
        node.ledger.hold(active.snapshot(), JobState.PAUSED)
        node.floor.stand_still(active)
        node.ledger.hold(active.snapshot(), JobState.RUNNING)
    if active.wish is not None:
        raise Cancelled
