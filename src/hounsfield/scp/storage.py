"""C-STORE: from a message to an instance at the way in. PS3.4 Annex B.

The data set is not copied here: the way in gets the view of the buffer that it was received into, or the spool
file that it was written to, and the Part 10 header that makes a file of it.
"""

from collections.abc import Callable
from functools import partial

from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import Head, wrap_header
from hounsfield.dicom.tags import SOP_CLASS_UID, SOP_INSTANCE_UID
from hounsfield.errors import Corrupt
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.receive import Incoming, Receipt
from hounsfield.net.dimse import CommandField, Status
from hounsfield.net.messages import Operation, Request, Response, Responses, Service
from hounsfield.scp.status import DataSetMismatch, store_status
from hounsfield.store.spool import SpoolFile

Receive = Callable[[Incoming], Receipt]
"""The way in, with all it needs already bound."""
Arrived = Callable[[object, str], None]
"""Told the Message ID of a C-MOVE, and the public id of an instance that came because of it."""

_FULL_SUPPORT = bytes((2, 0, 0, 0, 0, 0))
"""Level 2, no digital signature support claimed, no coercion. PS3.4 Table B.3-1."""


def _nobody_waits(message_id: object, public_id: str) -> None:
    """What happens to an instance that was moved here, when nobody asked for it."""


def storage_service(
    receive: Receive, accepts_transfer_syntax: Callable[[str], bool], *, arrived: Arrived = _nobody_waits
) -> Service:
    """The service for any storage SOP class; `arrived` is told of what comes because of a C-MOVE."""
    return Service(
        {CommandField.C_STORE_RQ: Operation.STORE},
        partial(store, receive, arrived),
        accepts_transfer_syntax,
        accepts_scp_role=True,
        spool_prefix=part10_header,
        status_of=store_status,
        answer_extended=answer_extended,
    )


def answer_extended(information: bytes) -> bytes | None:
    """Say that all elements are kept, to a requester that asks. PS3.4 B.3.1."""
    return _FULL_SUPPORT if information else None


def part10_header(request: Request) -> bytes:
    """What makes a file of the data set of a C-STORE. PS3.10 7.1."""
    return wrap_header(request.sop_class_uid, request.sop_instance_uid, request.context.transfer_syntax)


def store(receive: Receive, arrived: Arrived, request: Request) -> Responses:
    """Hand an instance to the way in; it is safely stored when the response leaves.

    Raises
    ------
    Corrupt
        If there is no data set, or none that can be read.
    DataSetMismatch
        If it is not the instance that the command set says.
    ArchiveError
        As the way in has it.
    """
    if request.payload is None:
        raise Corrupt(f"C-STORE of {request.sop_instance_uid} without a data set")
    receipt = receive(incoming(request))
    if (originator := request.command.get("MoveOriginatorMessageID")) is not None:
        arrived(originator, receipt.identifiers.public_id(Level.INSTANCE))
    yield Response(Status.SUCCESS)


def incoming(request: Request) -> Incoming:
    """The instance of a C-STORE, as the way in wants it."""
    caller = request.agreement.caller
    origin = Origin(OriginKind.DICOM_PROTOCOL, caller.calling_ae_title, caller.called_ae_title, caller.ip)
    payload, check = request.payload, partial(check_uids, request.sop_class_uid, request.sop_instance_uid)
    if isinstance(payload, SpoolFile):
        return Incoming(origin, payload, check=check)
    assert payload is not None
    return Incoming(origin, payload, part10_header(request), request.context.transfer_syntax, check=check)


def check_uids(sop_class_uid: str, sop_instance_uid: str, head: Head) -> None:
    """Raise DataSetMismatch if command and data set name different instances.

    A data set without UIDs passes: what it lacks is for the way in to say.
    """
    for tag, announced in ((SOP_CLASS_UID, sop_class_uid), (SOP_INSTANCE_UID, sop_instance_uid)):
        found = head.dataset.text(tag)
        if found is not None and found.strip(" \0") != announced:
            raise DataSetMismatch(f"The data set of C-STORE of {announced} is {found[:64]!r}")
