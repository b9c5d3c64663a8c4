"""Jobs `DicomModalityStore`: sending resources to a modality by C-STORE."""

from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hounsfield.dicom.identifiers import PublicId
from hounsfield.errors import ArchiveError
from hounsfield.index.sending import StoredInstance, load_to_send
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.resources import deleted_before_sent, listed_instances
from hounsfield.net.dimse import CommandValue
from hounsfield.remote.commitment import Reference, request_commitment
from hounsfield.remote.dialing import DimseFailure
from hounsfield.remote.fleet import Fleet
from hounsfield.remote.modality import Modality, read_modality, write_modality
from hounsfield.remote.network import Network
from hounsfield.remote.shipped import Shipped, is_success

STORE_SCU = "DicomModalityStore"
_PAGE = 500


def store_scu_kind(network: Network) -> JobKind:
    """The kind of job."""
    return JobKind(STORE_SCU, partial(run_store, network))


def store_parameters(
    modality: Modality,
    ae_title: str,
    resources: Sequence[dict[str, str]],
    instances: Sequence[str],
    *,
    timeout_seconds: float | None = None,
    originator: tuple[str, int] | None = None,
    commitment_uid: str | None = None,
    keeps_association: bool = False,
) -> dict[str, object]:
    """The parameters of a job: `instances` are those of the resources now.

    `originator` is who asked for a C-MOVE, and under which Message ID. With `keeps_association` that is left open for a
    while after the job, for the next one.
    """
    parameters: dict[str, object] = {
        "Modality": modality_parameter(modality),
        "LocalAet": ae_title,
        "Resources": list(resources),
        "Instances": list(instances),
    }
    if timeout_seconds is not None:
        parameters["Timeout"] = timeout_seconds
    if originator is not None:
        parameters["MoveOriginatorAET"], parameters["MoveOriginatorID"] = originator
    if commitment_uid is not None:
        parameters["StorageCommitmentTransactionUID"] = commitment_uid
    if keeps_association:
        parameters["KeepAssociation"] = True
    return parameters


def modality_parameter(modality: Modality) -> dict[str, object]:
    """A modality as a job remembers it, whatever becomes of its definition meanwhile."""
    return {"Name": modality.name, **write_modality(modality)}


def modality_of(parameters: dict[str, object]) -> Modality:
    """The modality that a job remembers."""
    value: Any = parameters["Modality"]
    return read_modality(value["Name"], value)


def run_store(network: Network, run: JobRun) -> Iterator[None]:
    """Send the instances, on as many associations as the modality is to have; a permissive job counts those that fail.

    Raises
    ------
    ArchiveError
        As `Sender.ship`; DimseFailure if the modality refuses an instance; NotFound if one was deleted meanwhile.
    """
    parameters: dict[str, Any] = run.parameters
    instances = listed_instances(parameters)
    work = _Work(run, instances)
    work.describe(parameters)
    elements: dict[str, CommandValue] = {}
    if "MoveOriginatorAET" in parameters:
        elements["MoveOriginatorApplicationEntityTitle"] = parameters["MoveOriginatorAET"]
        elements["MoveOriginatorMessageID"] = parameters["MoveOriginatorID"]
    fleet = Fleet(
        network.shipping,
        modality_of(parameters),
        calling_ae_title=parameters["LocalAet"],
        timeout_seconds=parameters.get("Timeout"),
        keeps=bool(parameters.get("KeepAssociation")),
    )
    with fleet:
        for page in work.pages():
            yield from _send_page(network, work, fleet, page, elements)
    if "StorageCommitmentTransactionUID" in parameters:
        _commit(network, parameters, instances)


def _send_page(
    network: Network,
    work: "_Work",
    fleet: Fleet,
    page: Sequence[PublicId],
    elements: dict[str, CommandValue],
) -> Iterator[None]:
    with network.archive.database.read() as tx:
        ready = load_to_send(tx, page)
    work.skip(page, ready)
    yield
    try:
        for shipped in fleet.ship(ready, elements):
            work.note(shipped)
            yield
    finally:  # Also when the job is paused or stopped: what is under way is waited for, so that it is not sent twice.
        for shipped in fleet.drain():
            work.note_if_stored(shipped)


def _commit(network: Network, parameters: dict[str, Any], instances: Sequence[PublicId]) -> None:
    """Ask the modality to keep what it was sent."""
    with network.archive.database.read() as tx:
        stored = load_to_send(tx, instances)
    modality, uid = modality_of(parameters), parameters["StorageCommitmentTransactionUID"]
    references = [Reference(each.sop_class_uid, each.sop_instance_uid) for each in stored]
    network.commitments.expect(uid, modality.ae_title, references)
    request_commitment(
        modality,
        network.options,
        uid,
        references,
        calling_ae_title=parameters["LocalAet"],
        timeout_seconds=parameters.get("Timeout"),
    )


@dataclass(slots=True)
class _Work:
    """How far a job is."""

    run: JobRun
    instances: Sequence[PublicId]
    done: set[PublicId] = field(default_factory=set)
    """Those dealt with after the position."""
    missing: Set[PublicId] = frozenset()
    """Those of the page that do not exist any more."""

    @property
    def position(self) -> int:
        """How many instances are dealt with."""
        value = self.run.state.get("Position", 0)
        return value if isinstance(value, int) else 0

    def describe(self, parameters: dict[str, Any]) -> None:
        """Say in the content what is to be done."""
        content = self.run.content
        content["InstancesCount"] = len(self.instances)
        content.setdefault("FailedInstancesCount", self.run.state.get("Failed", 0))
        content["LocalAet"] = parameters["LocalAet"]
        content["RemoteAet"] = parameters["Modality"]["AET"]
        if parameters["Resources"]:
            content["Resources"] = parameters["Resources"]
            content["ParentResources"] = sorted(resource["ID"] for resource in parameters["Resources"])
        for key in ("MoveOriginatorAET", "MoveOriginatorID", "StorageCommitmentTransactionUID"):
            if key in parameters:
                content[key] = parameters[key]

    def pages(self) -> Iterator[Sequence[PublicId]]:
        """What is still to be sent, some at a time."""
        for start in range(self.position, len(self.instances), _PAGE):
            yield self.instances[start : start + _PAGE]

    def skip(self, page: Sequence[PublicId], ready: Sequence[StoredInstance]) -> None:
        """Those of a page that were deleted meanwhile: if the job is permissive they count, else it is the end."""
        self.missing = set(page) - {instance.public_id for instance in ready}
        if self.missing and not self.run.is_permissive:
            raise deleted_before_sent(min(self.missing))
        self._advance(self.missing)

    def note(self, shipped: Shipped) -> None:
        """One was sent, or could not be: if the job is permissive that is counted, else it is the end."""
        try:
            shipped.check(modality_of(self.run.parameters))
        except ArchiveError as error:
            if isinstance(error, DimseFailure):
                self.run.error_payload = dimse_payload(error)
            if not self.run.is_permissive:
                raise
            self._count_failure()
        self._advance({shipped.instance.public_id})

    def note_if_stored(self, shipped: Shipped) -> None:
        """One was under way when the job ended: if it did not arrive, it is still to be sent."""
        if shipped.status is not None and is_success(shipped.status):
            self._advance({shipped.instance.public_id})

    def _advance(self, done: Set[PublicId]) -> None:
        self.done |= done
        position = self.position
        while position < len(self.instances) and self.instances[position] in self.done:
            if self.instances[position] in self.missing:
                self._count_failure()
            self.done.discard(self.instances[position])
            position += 1
        self.run.state["Position"] = position
        self.run.progress = position / max(len(self.instances), 1)

    def _count_failure(self) -> None:
        failed = self.run.state.get("Failed", 0)
        self.run.state["Failed"] = self.run.content["FailedInstancesCount"] = (
            failed + 1 if isinstance(failed, int) else 1
        )


def dimse_payload(error: ArchiveError) -> dict[str, object]:
    """What is told beside the error of a job that spoke DICOM."""
    status = error.status if isinstance(error, DimseFailure) else 0
    return {"Type": "Dimse", "Content": {"DimseErrorStatus": status}}
