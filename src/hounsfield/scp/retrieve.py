"""C-MOVE and C-GET. PS3.4 C.4.2 and C.4.3."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

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
from hounsfield.net.dimse import CommandField, CommandValue, Status
from hounsfield.net.messages import Operation, Request, Response, Responses, Service, SubOperation
from hounsfield.net.negotiation import is_same_ae_title
from hounsfield.remote.dialing import local_ae_title
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.remote.sender import Sender, data_set_offset
from hounsfield.retrieve.read_ahead import read_ahead
from hounsfield.scp.query import query_status, request_keys
from hounsfield.scp.selection import level_of, select
from hounsfield.scp.suboperations import SubOperations
from hounsfield.scp.verification import PREFERRED_TRANSFER_SYNTAXES
from hounsfield.store.spool import Buffer

PATIENT_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
STUDY_ROOT_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
PATIENT_STUDY_ONLY_MOVE = "1.2.840.10008.5.1.4.1.2.3.2"
PATIENT_ROOT_GET = "1.2.840.10008.5.1.4.1.2.1.3"
STUDY_ROOT_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_STUDY_ONLY_GET = "1.2.840.10008.5.1.4.1.2.3.3"

_log = logging.getLogger("hounsfield.dicom")

_AHEAD = 200
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
    return _service(CommandField.C_GET_RQ, Operation.GET, partial(get, network, options))


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
    counts = SubOperations(len(instances))
    with Sender(network.shipping, modality) as sender:
        try:
            sender.begin(instances[:_AHEAD])
            # movescu looks for our connection only when it hears from us, or once a second.
            yield counts.pending()
            for position, instance in enumerate(instances):
                coming = instances[position + 1 : position + _AHEAD]
                counts.note(instance.sop_instance_uid, _send(sender, instance, coming, elements))
                yield counts.pending()
        except Cancelled:
            yield counts.cancelled(request)
            return
    yield counts.final(request)


def _destination(network: Network, ae_title: str) -> Modality:
    strict = network.options.is_comparison_strict
    for modality in network.modalities.all().values():
        if is_same_ae_title(modality.ae_title, ae_title, strict=strict):
            return modality
    raise NotFound(f"The move destination {ae_title!r} is not among the modalities")


def _send(
    sender: Sender,
    instance: StoredInstance,
    coming: Sequence[StoredInstance],
    elements: dict[str, CommandValue],
) -> int | None:
    """The status of a C-STORE, None if the instance could not be sent. Who cannot be reached at all is an error."""
    was_open = sender.is_open
    try:
        status = sender.send(instance, coming, elements)
    except ArchiveError as error:
        if isinstance(error, PeerFailure) and not was_open and not sender.is_open:
            raise
        _log.warning("The instance %s cannot be moved: %s", instance.public_id, error)
        return None
    return Status.SUCCESS if status is None else status


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
    counts = SubOperations(len(instances))
    contexts = _storage_contexts(request.agreement)
    try:
        files = read_ahead(network.archive, [instance.file for instance in instances])
        for instance, file in zip(instances, files, strict=True):
            operation = _store(network, instance, file, contexts.get(instance.sop_class_uid, ()))
            status: object = None
            if operation is not None:
                completion = yield operation
                status = None if completion is None else completion.get("Status")
            counts.note(instance.sop_instance_uid, status if isinstance(status, int) else None)
            yield counts.pending()
    except Cancelled:
        yield counts.cancelled(request)
        return
    yield counts.final(request)


def _storage_contexts(agreement: Agreement) -> dict[str, list[PresentationContext]]:
    """The contexts in which the requester takes instances, by SOP class."""
    found: dict[str, list[PresentationContext]] = {}
    for context in agreement.contexts.values():
        if context.requester_is_scp:
            found.setdefault(context.abstract_syntax, []).append(context)
    return found


def _store(
    network: Network,
    instance: StoredInstance,
    file: Callable[[], Buffer],
    contexts: Sequence[PresentationContext],
) -> SubOperation | None:
    """The C-STORE of an instance, as it is stored if the requester takes that; None if it cannot be sent."""
    try:
        whole = file()
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


def _operation(context: PresentationContext, sop_instance_uid: str, data_set: Buffer) -> SubOperation:
    command: dict[str, CommandValue] = {
        "CommandField": CommandField.C_STORE_RQ,
        "AffectedSOPClassUID": context.abstract_syntax,
        "AffectedSOPInstanceUID": sop_instance_uid,
        "Priority": 0,
    }
    return SubOperation(context.id, command, data_set)
