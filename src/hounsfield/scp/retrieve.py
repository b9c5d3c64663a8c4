"""C-MOVE and C-GET. PS3.4 C.4.2 and C.4.3."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from hounsfield.dicom.file_meta import data_set_offset
from hounsfield.dicom.part10 import read_head
from hounsfield.dicom.uids import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)
from hounsfield.errors import ArchiveError, Cancelled, NotFound, PeerFailure, Unsupported
from hounsfield.imaging.transcode import transcode
from hounsfield.index.sending import StoredInstance
from hounsfield.net.agreement import Agreement, PresentationContext
from hounsfield.net.dimse import CommandField, CommandSet, CommandValue, Status
from hounsfield.net.messages import (
    Operation,
    Request,
    Response,
    Responses,
    Service,
    SubOperation,
    SubOperations,
)
from hounsfield.net.negotiation import is_same_ae_title
from hounsfield.remote.dialing import local_ae_title
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.remote.sender import Sender
from hounsfield.remote.shipped import Shipped
from hounsfield.scp.query import query_status, request_keys
from hounsfield.scp.selection import level_of, select
from hounsfield.scp.suboperations import SubOperationCounts
from hounsfield.scp.verification import PREFERRED_TRANSFER_SYNTAXES
from hounsfield.store.spool import Buffer

PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_STUDY_ONLY_MOVE = "1.2.840.10008.5.1.4.1.2.3.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_STUDY_ONLY_GET = "1.2.840.10008.5.1.4.1.2.3.3"

_log = logging.getLogger("hounsfield.dicom")

_UNCOMPRESSED = (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)

SubmitStore = Callable[[Modality, str, Sequence[StoredInstance], tuple[str, int]], None]
"""Has instances sent later: to a modality, as an AE title, because of who asked and under which Message ID."""


@dataclass(frozen=True, slots=True)
class RetrieveOptions:
    """What the configuration says of retrieval. `submit` is None if a C-MOVE is finished before it is answered."""

    default_encoding: str = "Latin1"
    submit: SubmitStore | None = None


def move_service(network: Network, options: RetrieveOptions) -> Service:
    """The service for the C-MOVE SOP classes."""
    return _service(CommandField.C_MOVE_RQ, Operation.MOVE, partial(move, network, options))


def get_service(network: Network, options: RetrieveOptions) -> Service:
    """The service for the C-GET SOP classes."""
    service = _service(CommandField.C_GET_RQ, Operation.GET, partial(get, network, options))
    return replace(service, takes_turns=True)


def _service(field: CommandField, operation: Operation, respond: Callable[[Request], Responses]) -> Service:
    return Service(
        {field: operation},
        respond,
        PREFERRED_TRANSFER_SYNTAXES.__contains__,
        PREFERRED_TRANSFER_SYNTAXES,
        status_of=query_status,
    )


def move(network: Network, options: RetrieveOptions, request: Request) -> Responses:
    """Send what is asked for to a modality that is known by its AE title, and tell after each how far we are.

    Raises
    ------
    NotFound
        If the destination is not known, or there is nothing to send.
    BadRequest
        If the identifier makes no sense.
    PeerFailure
        If the destination cannot be reached.
    """
    keys = request_keys(request, options.default_encoding)
    modality = _destination(network, str(request.command.get("MoveDestination", "")))
    instances = select(network.archive, keys, level_of(keys, is_mandatory=False))
    originator = (request.agreement.caller.calling_ae_title, request.message_id)
    if options.submit is not None:
        options.submit(modality, local_ae_title(modality, network.options), instances, originator)
        yield Response(Status.SUCCESS)
        return
    elements: dict[str, CommandValue] = {
        "MoveOriginatorApplicationEntityTitle": originator[0],
        "MoveOriginatorMessageID": originator[1],
    }
    counts = SubOperationCounts(len(instances))
    with Sender(network.shipping, modality) as sender:
        try:
            sender.begin(instances)
            # movescu looks for our connection only when it hears from us, or once a second.
            yield counts.pending()
            for shipped in sender.ship(instances, elements):
                counts.note(shipped.instance.sop_instance_uid, _status_of(sender, shipped))
                yield counts.pending()
        except Cancelled:
            for shipped in sender.drain():
                counts.note(shipped.instance.sop_instance_uid, _status_of(sender, shipped))
            yield counts.cancelled(request)
            return
    yield counts.final(request)


def _destination(network: Network, ae_title: str) -> Modality:
    strict = network.options.is_comparison_strict
    for modality in network.modalities.all().values():
        if is_same_ae_title(modality.ae_title, ae_title, strict=strict):
            return modality
    raise NotFound(f"The move destination {ae_title!r} is not among the modalities")


def _status_of(sender: Sender, shipped: Shipped) -> int | None:
    """The status of a C-STORE, None if the instance could not be sent. Who cannot be reached at all is an error."""
    if shipped.error is None:
        return Status.SUCCESS if shipped.status is None else shipped.status
    if isinstance(shipped.error, PeerFailure) and not sender.has_served and not sender.is_open:
        raise shipped.error
    _log.warning("The instance %s cannot be moved: %s", shipped.instance.public_id, shipped.error)
    return None


def get(network: Network, options: RetrieveOptions, request: Request) -> Responses:
    """Send what is asked for on the association that asks for it.

    Raises
    ------
    NotFound
        If there is nothing to send.
    BadRequest
        If the identifier makes no sense, or does not name a level.
    """
    keys = request_keys(request, options.default_encoding)
    instances = select(network.archive, keys, level_of(keys, is_mandatory=True))
    counts = SubOperationCounts(len(instances))
    contexts = _storage_contexts(request.agreement)
    try:
        yield SubOperations(_stores(network, instances, counts, contexts))
    except Cancelled:
        yield counts.cancelled(request)
        return
    yield counts.final(request)


def _stores(
    network: Network,
    instances: Sequence[StoredInstance],
    counts: SubOperationCounts,
    contexts: Mapping[str, Sequence[PresentationContext]],
) -> Iterator[SubOperation]:
    """The C-STOREs of instances; those that cannot be sent are counted."""
    for instance in instances:
        uid = instance.sop_instance_uid
        found = _choose(network, instance, contexts.get(instance.sop_class_uid, ()))
        if found is None:
            counts.note(uid, None)
        else:
            yield SubOperation(*found, partial(_completed, counts, uid))


def _completed(counts: SubOperationCounts, sop_instance_uid: str, completion: CommandSet) -> Response:
    status = completion.get("Status")
    counts.note(sop_instance_uid, status if isinstance(status, int) else None)
    return counts.pending()


def _storage_contexts(agreement: Agreement) -> dict[str, list[PresentationContext]]:
    """The contexts in which the requester takes instances, by SOP class."""
    found: dict[str, list[PresentationContext]] = {}
    for context in agreement.contexts.values():
        if context.requester_is_scp:
            found.setdefault(context.abstract_syntax, []).append(context)
    return found


def _choose(
    network: Network, instance: StoredInstance, contexts: Sequence[PresentationContext]
) -> tuple[int, CommandSet, Buffer] | None:
    """The C-STORE of an instance, as it is stored if the requester takes that; None if it cannot be sent."""
    try:
        whole = network.shipping.read(instance)
        for context in contexts:
            if context.transfer_syntax == instance.transfer_syntax_uid:
                data_set = memoryview(whole)[data_set_offset(whole) :]
                return _operation(context, instance.sop_instance_uid, data_set)
        for context in _by_preference(network, contexts):
            made = _transcoded(network, whole, context.transfer_syntax)
            if made is not None:
                head = read_head(made)
                uid = head.dataset.get("SOPInstanceUID") or instance.sop_instance_uid
                return _operation(context, uid, memoryview(made)[head.dataset_offset :])
    except ArchiveError as error:
        _log.warning("The instance %s cannot be given: %s", instance.public_id, error)
        return None
    _log.warning("The instance %s fits no presentation context", instance.public_id)
    return None


def _by_preference(
    network: Network, contexts: Sequence[PresentationContext]
) -> Iterator[PresentationContext]:
    """Contexts to transcode for: the uncompressed ones first."""
    if not network.options.is_transcoding:
        return
    order = {uid: place for place, uid in enumerate(_UNCOMPRESSED)}
    yield from sorted(contexts, key=lambda context: order.get(context.transfer_syntax, len(order)))


def _transcoded(network: Network, file: Buffer, transfer_syntax_uid: str) -> bytes | None:
    try:
        return transcode(file, transfer_syntax_uid, lossy_quality=network.options.lossy_quality)
    except Unsupported:
        return None


def _operation(
    context: PresentationContext, sop_instance_uid: str, data_set: Buffer
) -> tuple[int, CommandSet, Buffer]:
    command: dict[str, CommandValue] = {
        "CommandField": CommandField.C_STORE_RQ,
        "AffectedSOPClassUID": context.abstract_syntax,
        "AffectedSOPInstanceUID": sop_instance_uid,
        "Priority": 0,
    }
    return context.id, command, data_set
