"""Storage commitment: N-ACTION from those who want to know, N-EVENT-REPORT from those we asked. PS3.4 Annex J."""

from collections.abc import Callable, Sequence
from functools import partial

from hounsfield.errors import ArchiveError, Corrupt, NotFound
from hounsfield.net.agreement import Caller
from hounsfield.net.dimse import CommandField, Status
from hounsfield.net.hosts import is_host
from hounsfield.net.messages import Operation, Request, Response, Responses, Service
from hounsfield.net.negotiation import is_same_ae_title
from hounsfield.remote.commitment import PROCESSING_FAILURE, REQUEST_COMMITMENT, Reference, read_references
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.scp.query import request_keys
from hounsfield.scp.verification import PREFERRED_TRANSFER_SYNTAXES

_NO_SUCH_ACTION = 0x0123
_INVALID_ARGUMENT = 0x0115

SubmitCommitment = Callable[[Modality, str, Sequence[Reference], Caller], None]
"""Has instances looked up, and the modality told later."""


def commitment_service(network: Network, submit: SubmitCommitment) -> Service:
    """The service for the Storage Commitment Push Model."""
    return Service(
        {
            CommandField.N_ACTION_RQ: Operation.ACTION,
            CommandField.N_EVENT_REPORT_RQ: Operation.EVENT_REPORT,
        },
        partial(respond, network, submit),
        PREFERRED_TRANSFER_SYNTAXES.__contains__,
        PREFERRED_TRANSFER_SYNTAXES,
        accepts_scp_role=True,
        status_of=commitment_status,
    )


def commitment_status(error: ArchiveError) -> int:
    """The status of what failed. PS3.7 10.1."""
    return _INVALID_ARGUMENT if isinstance(error, Corrupt) else PROCESSING_FAILURE


def respond(network: Network, submit: SubmitCommitment, request: Request) -> Responses:
    """Take a request or a report.

    Raises
    ------
    Corrupt
        If it cannot be understood.
    NotFound
        If the caller is none of our modalities, or reports what was never asked.
    """
    keys = request_keys(request, network.options.default_encoding)
    if request.field == CommandField.N_EVENT_REPORT_RQ:
        transaction_uid, references = read_references(keys, is_report=True)
        network.commitments.note(transaction_uid, references)
        yield _success(request, "EventTypeID")
        return
    if request.command.get("ActionTypeID") != REQUEST_COMMITMENT:
        yield Response(_NO_SUCH_ACTION)
        return
    transaction_uid, references = read_references(keys, is_report=False)
    caller = request.agreement.caller
    submit(_modality(network, caller), transaction_uid, references, caller)
    yield _success(request, "ActionTypeID")


def _success(request: Request, number: str) -> Response:
    value = request.command.get(number)
    return Response(Status.SUCCESS, elements={number: value} if isinstance(value, int) else {})


def _modality(network: Network, caller: Caller) -> Modality:
    """The modality that calls; of several with its AE title, the one with its address."""
    strict = network.options.is_comparison_strict
    same = [
        modality
        for modality in network.modalities.all().values()
        if is_same_ae_title(modality.ae_title, caller.calling_ae_title, strict=strict)
    ]
    if not same:
        raise NotFound("Storage commitment is only for modalities that are known")
    return next((modality for modality in same if is_host(modality.host, caller.ip)), same[0])
