"""Jobs `StorageCommitmentScp`: finding out which instances we keep, and telling the modality that wants to know."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from hounsfield.archive import Archive
from hounsfield.dicom.levels import Level
from hounsfield.dicom.tags import SOP_INSTANCE_UID
from hounsfield.errors import Corrupt, NotFound, PeerFailure
from hounsfield.index.find import find
from hounsfield.index.query import Constraint, Match, Query
from hounsfield.index.sending import load_to_send
from hounsfield.jobs.kinds import JobKind, JobRun, TryAgain
from hounsfield.jobs.store_scu import modality_of, modality_parameter
from hounsfield.remote.commitment import (
    CLASS_CONFLICT,
    NO_SUCH_INSTANCE,
    Reference,
    report_commitment,
)
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.retrieve.files import read_start

COMMITMENT_SCP = "StorageCommitmentScp"
_TRIES = 4
_PATIENCE_SECONDS = 15.0


def commitment_kind(network: Network) -> JobKind:
    """The kind of job."""
    return JobKind(COMMITMENT_SCP, partial(run_commitment, network))


def commitment_parameters(
    modality: Modality,
    transaction_uid: str,
    references: Sequence[Reference],
    *,
    remote_ip: str,
    called_ae_title: str,
) -> dict[str, object]:
    """The parameters of a job; `called_ae_title` is the name under which the modality knows us."""
    return {
        "Modality": modality_parameter(modality),
        "TransactionUid": transaction_uid,
        "References": [[each.sop_class_uid, each.sop_instance_uid] for each in references],
        "RemoteIp": remote_ip,
        "CalledAet": called_ae_title,
    }


def run_commitment(network: Network, run: JobRun) -> Iterator[None]:
    """Look at one instance after the other, then report.

    Raises
    ------
    TryAgain
        If the modality cannot be reached now; a few times.
    PeerFailure
        If it cannot be reached after that, or refuses the report.
    """
    parameters: dict[str, Any] = run.parameters
    modality = modality_of(parameters)
    run.content |= {
        "CalledAet": parameters["CalledAet"],
        "RemoteAet": modality.ae_title,
        "RemoteIp": parameters["RemoteIp"],
        "TransactionUid": parameters["TransactionUid"],
    }
    asked: list[tuple[str, str]] = parameters["References"]
    references = []
    for sop_class_uid, sop_instance_uid in asked:
        yield
        failure = look_up(network.archive, sop_class_uid, sop_instance_uid)
        references.append(Reference(sop_class_uid, sop_instance_uid, failure))
        run.progress = 0.9 * len(references) / len(asked)
    yield
    try:
        report_commitment(
            modality,
            network.options,
            parameters["TransactionUid"],
            references,
            calling_ae_title=modality.local_ae_title or parameters["CalledAet"],
        )
    except PeerFailure as error:
        tries = run.state.get("Tries", 0)
        run.state["Tries"] = tries + 1 if isinstance(tries, int) else 1
        if run.state["Tries"] == _TRIES:
            raise
        raise TryAgain(str(error), _PATIENCE_SECONDS) from error


def look_up(archive: Archive, sop_class_uid: str, sop_instance_uid: str) -> int:
    """The failure reason for an instance, 0 if it is here, of that class, once, and can be read."""
    constraint = Constraint(SOP_INSTANCE_UID, Match.EXACT, (sop_instance_uid,), is_case_sensitive=True)
    with archive.database.read() as tx:
        stored = load_to_send(tx, find(tx, Query(Level.INSTANCE, (constraint,), limit=2)))
    if len(stored) != 1:
        return NO_SUCH_INSTANCE
    try:
        read_start(archive, stored[0].file, 1)
    except (NotFound, Corrupt):
        return NO_SUCH_INSTANCE
    return 0 if stored[0].sop_class_uid == sop_class_uid else CLASS_CONFLICT
