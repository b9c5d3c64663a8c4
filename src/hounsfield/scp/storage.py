"""C-STORE: from a message to an instance at the way in. PS3.4 Annex B.

The data set is not copied here: the way in gets the view of the buffer that it was received into, or the spool
file that it was written to, and the Part 10 header that makes a file of it.
"""

from collections.abc import Callable
from functools import partial

from hounsfield.dicom.levels import Level
from hounsfield.ingest.c_store import incoming
from hounsfield.ingest.instance import Origin, OriginKind
from hounsfield.ingest.intake import Incoming, Receipt
from hounsfield.net.dimse import CommandField, Status
from hounsfield.net.messages import Operation, Request, Response, Responses, Service, part10_header
from hounsfield.scp.status import store_status

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
    caller = request.agreement.caller
    origin = Origin(OriginKind.DICOM_PROTOCOL, caller.calling_ae_title, caller.called_ae_title, caller.ip)
    receipt = receive(incoming(origin, request))
    if (originator := request.command.get("MoveOriginatorMessageID")) is not None:
        arrived(originator, receipt.identifiers.public_id(Level.INSTANCE))
    yield Response(Status.SUCCESS)
