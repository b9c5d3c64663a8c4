"""Jobs `DicomMoveScu`: having a modality send what it has, to us or to a third party, by C-MOVE."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from hounsfield.errors import ArchiveError
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.retrieval import Retrieval, level_of
from hounsfield.jobs.store_scu import modality_of
from hounsfield.net.messages import is_pending
from hounsfield.remote.dialing import dimse_failure
from hounsfield.remote.network import Network
from hounsfield.remote.retriever import Caller, move

MOVE_SCU = "DicomMoveScu"
_SUCCESSES = (0x0000, 0xB000)


def move_scu_kind(network: Network) -> JobKind:
    """The kind of job."""
    return JobKind(MOVE_SCU, partial(run_move, network))


def run_move(network: Network, run: JobRun) -> Iterator[None]:
    """One C-MOVE after the other.

    Raises
    ------
    DimseFailure
        If the modality says that one failed, and the job is not permissive.
    PeerFailure
        If it cannot be reached.
    """
    parameters: dict[str, Any] = run.parameters
    modality, level = modality_of(parameters), level_of(parameters)
    caller = Caller(parameters["LocalAet"], parameters.get("Timeout"))
    retrieval = Retrieval(run)
    for done, keys in enumerate(retrieval.remaining(), len(retrieval.details)):
        yield
        with network.arrivals.expect() as (message_id, arrived):
            try:
                for progress in move(
                    modality, network.options, level, keys, parameters["TargetAet"], caller, message_id
                ):
                    if is_pending(progress.status):
                        run.progress = (done + progress.done) / len(retrieval.queries)
                        yield
                    elif progress.status not in _SUCCESSES:
                        raise dimse_failure("C-MOVE", modality.ae_title, progress.status)
                    else:
                        final = progress.status
            except ArchiveError as error:
                retrieval.fail(error, list(arrived))
            else:
                retrieval.note(final, list(arrived))
