"""Jobs `DicomGetScu`: fetching from a modality on the association that asks for it, by C-GET."""

import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, Corrupt
from hounsfield.ingest.c_store import DataSetMismatch, incoming
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Intake
from hounsfield.ingest.receive import receive
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.retrieval import Retrieval, level_of
from hounsfield.jobs.store_scu import modality_of
from hounsfield.net.dimse import Status
from hounsfield.net.messages import Request, Response
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.remote.retriever import Caller, get, storage_classes

_log = logging.getLogger("hounsfield.dicom")

GET_SCU = "DicomGetScu"
_CANNOT_UNDERSTAND = 0xC000
_OUT_OF_RESOURCES = 0xA700


def get_scu_kind(network: Network, intake: Intake) -> JobKind:
    """The kind of job."""
    return JobKind(GET_SCU, partial(run_get, network, intake))


def run_get(network: Network, intake: Intake, run: JobRun) -> Iterator[None]:
    """One C-GET after the other; what comes in is stored as if it came by C-STORE.

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
        arrived: dict[str, None] = {}
        store = partial(_store, intake, modality, parameters["LocalAet"], arrived)
        classes = storage_classes(retrieval.sop_classes)
        steps = get(modality, network.options, level, keys, store, caller, classes, intake.spool)
        yield from retrieval.follow("C-GET", steps, arrived)


def _store(
    intake: Intake, modality: Modality, ae_title: str, arrived: dict[str, None], request: Request
) -> Response:
    """Take in what the modality sends; the response of the C-STORE."""
    origin = Origin(OriginKind.DICOM_PROTOCOL, modality.ae_title, ae_title, modality.host)
    try:
        receipt = receive(intake, incoming(origin, request))
    except ArchiveError as error:
        _log.warning("Instance %s of a C-GET was not stored: %s", request.sop_instance_uid, error)
        return Response(
            _CANNOT_UNDERSTAND if isinstance(error, Corrupt | DataSetMismatch) else _OUT_OF_RESOURCES
        )
    arrived[receipt.identifiers.public_id(Level.INSTANCE)] = None
    return Response(Status.SUCCESS)
