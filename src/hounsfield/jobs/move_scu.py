"""Jobs `DicomMoveScu`: having a modality send what it has, to us or to a third party, by C-MOVE."""

from collections.abc import Iterator
from functools import partial
from typing import Any

from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.retrieval import Retrieval, level_of
from hounsfield.jobs.store_scu import modality_of
from hounsfield.remote.network import Network
from hounsfield.remote.retriever import Caller, move

MOVE_SCU = "DicomMoveScu"


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
    for keys in retrieval.remaining():
        yield
        with network.arrivals.expect() as (message_id, arrived):
            target = parameters["TargetAet"]
            steps = move(modality, network.options, level, keys, target, caller, message_id)
            yield from retrieval.follow("C-MOVE", steps, arrived)
