"""Modality Performed Procedure Step: N-CREATE and N-SET. PS3.4 F.7."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from hounsfield.dicom.uids import new_uid
from hounsfield.errors import ArchiveError, Conflict, Corrupt, NotFound
from hounsfield.net.dimse import CommandField, CommandValue, Status
from hounsfield.net.messages import Operation, Request, Response, Responses, Service
from hounsfield.scp.query import request_keys
from hounsfield.scp.verification import PREFERRED_TRANSFER_SYNTAXES
from hounsfield.worklist.performed import NoLongerChangeable, PerformedStep, PerformedSteps, WrongValue

PERFORMED_STEP = "1.2.840.10008.3.1.2.3.3"
_NO_LONGER_UPDATED = 0xA710
_STATUSES: dict[type[ArchiveError], int] = {
    Conflict: 0x0111,
    NotFound: 0x0112,
    WrongValue: 0x0106,
    Corrupt: 0x0115,
}

Changed = Callable[[PerformedStep], None]
"""Told of each step that begins or ends."""


def performed_service(steps: PerformedSteps, default_encoding: str, changed: Changed) -> Service:
    """The service for the Modality Performed Procedure Step SOP Class, for those who may query the worklist."""
    return Service(
        {
            CommandField.N_CREATE_RQ: Operation.FIND_WORKLIST,
            CommandField.N_SET_RQ: Operation.FIND_WORKLIST,
        },
        partial(respond, steps, default_encoding, changed),
        PREFERRED_TRANSFER_SYNTAXES.__contains__,
        PREFERRED_TRANSFER_SYNTAXES,
        status_of=performed_status,
    )


def performed_status(error: ArchiveError) -> int:
    """The status of what failed. PS3.7 10.1."""
    return next(
        (_STATUSES[kind] for kind in type(error).__mro__ if kind in _STATUSES), Status.PROCESSING_FAILURE
    )


def respond(steps: PerformedSteps, default_encoding: str, changed: Changed, request: Request) -> Responses:
    """Note what a modality tells.

    Raises
    ------
    Conflict, NotFound, WrongValue
        If it does not fit what is known.
    Corrupt
        If it cannot be read.
    """
    keys = request_keys(request, default_encoding)
    now = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    if request.field == CommandField.N_CREATE_RQ:
        uid = request.sop_instance_uid or new_uid()
        step = steps.create(uid, keys, request.agreement.caller.calling_ae_title, now)
        changed(step)
        yield Response(Status.SUCCESS, elements={"AffectedSOPInstanceUID": uid})
        return
    try:
        step = steps.change(request.sop_instance_uid, keys, now)
    except NoLongerChangeable as error:
        elements: dict[str, CommandValue] = {"ErrorID": _NO_LONGER_UPDATED, "ErrorComment": str(error)}
        yield Response(Status.PROCESSING_FAILURE, elements=elements)
        return
    changed(step)
    yield Response(Status.SUCCESS)
