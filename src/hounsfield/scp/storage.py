"""C-STORE: from a message to an instance at the way in. PS3.4 Annex B.

The data set is not copied here: the way in gets the view of the buffer that it was received into, or the spool
file that it was written to, and the Part 10 header that makes a file of it.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from hounsfield.dicom.levels import Level
from hounsfield.dicom.part10 import inflate, read_head, wrap_header
from hounsfield.dicom.scan import EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE, scan
from hounsfield.dicom.tags import SOP_CLASS_UID, SOP_INSTANCE_UID
from hounsfield.dicom.uids import transfer_syntax
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

_BEGINNING = 4096
"""The SOP UIDs are among the first elements of a data set."""

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
    check_uids(request)
    receipt = receive(incoming(request))
    if (originator := request.command.get("MoveOriginatorMessageID")) is not None:
        arrived(originator, receipt.identifiers.public_id(Level.INSTANCE))
    yield Response(Status.SUCCESS)


def incoming(request: Request) -> Incoming:
    """The instance of a C-STORE, as the way in wants it."""
    caller = request.agreement.caller
    origin = Origin(OriginKind.DICOM_PROTOCOL, caller.calling_ae_title, caller.called_ae_title, caller.ip)
    payload = request.payload
    if isinstance(payload, SpoolFile):
        return Incoming(origin, payload)
    assert payload is not None
    return Incoming(origin, payload, part10_header(request), request.context.transfer_syntax)


class _SopUids(NamedTuple):
    sop_class_uid: str | None
    sop_instance_uid: str | None


def check_uids(request: Request) -> None:
    """Raise DataSetMismatch if command and data set name different instances.

    A data set without UIDs passes: what it lacks is for the way in to say.
    """
    found = _read_uids(request)
    announced = _SopUids(request.sop_class_uid, request.sop_instance_uid)
    for in_data_set, in_command in zip(found, announced, strict=True):
        if in_data_set is not None and in_data_set != in_command:
            raise DataSetMismatch(f"The data set of C-STORE of {in_command} is {in_data_set[:64]!r}")


def _read_uids(request: Request) -> _SopUids:
    """The SOP UIDs of the data set, looked for in its first bytes before all of its head is read."""
    syntax = transfer_syntax(request.context.transfer_syntax)
    data = _data_set(request)
    if syntax.is_deflated:
        data = memoryview(inflate(data, 0, _BEGINNING)[0])
    encoding = EXPLICIT_LITTLE if syntax.is_explicit else IMPLICIT_LITTLE
    if syntax.is_big_endian:
        encoding = EXPLICIT_BIG
    end = min(len(data), _BEGINNING)
    elements = scan(data, 0, end, encoding, {}, stops_at_pixels=True, last_group=0x0008).elements
    if SOP_CLASS_UID in elements and SOP_INSTANCE_UID in elements:
        return _SopUids(*(_text(data, elements[tag]) for tag in (SOP_CLASS_UID, SOP_INSTANCE_UID)))
    # They are further on, or the data set is not in the syntax that was agreed upon.
    dataset = read_head(_data_set(request), transfer_syntax_uid=request.context.transfer_syntax).dataset
    return _SopUids(dataset.text(SOP_CLASS_UID), dataset.text(SOP_INSTANCE_UID))


def _data_set(request: Request) -> memoryview:
    payload = request.payload
    if isinstance(payload, SpoolFile):
        return payload.view()[len(part10_header(request)) :]
    assert payload is not None
    return payload


def _text(data: memoryview, place: tuple[str, int, int]) -> str:
    _, offset, length = place
    return bytes(data[offset : offset + length]).decode("latin-1").strip(" \0")
