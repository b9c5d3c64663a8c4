"""Requests and responses as services see them. PS3.7 9 and 10.

A `Service` says all there is to say of one SOP class as provider: which requests it takes, in which transfer
syntaxes, and how it responds. Its responses are a generator, so that C-FIND can give thousands of them and
C-GET can have its C-STORE sub-operations performed on the same association:

- `yield Response(...)` sends a response; the last one has a status that is not pending;
- `yield Burst(...)` sends several pending responses at once, where there are many;
- `yield SubOperations(...)` sends requests of our own, and pending responses as they are done;
- a C-CANCEL arrives as `errors.Cancelled` raised at the `yield` of a pending response, or of sub-operations, those
  that were begun being completed first: the generator may answer with its counters and status FE00H, or let it
  pass, which sends that status for it.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

from hounsfield.dicom.part10 import wrap_header
from hounsfield.errors import ArchiveError, Corrupt
from hounsfield.net.agreement import Agreement, PresentationContext
from hounsfield.net.buffers import Payload
from hounsfield.net.dimse import DATA_SET_FOLLOWS, NO_DATA_SET, CommandField, CommandSet, CommandValue, Status
from hounsfield.store.spool import Buffer


class Operation(Enum):
    """What an AE may be allowed to do."""

    ECHO = "C-ECHO"
    STORE = "C-STORE"
    FIND = "C-FIND"
    FIND_WORKLIST = "C-FIND of the worklist"
    MOVE = "C-MOVE"
    GET = "C-GET"
    ACTION = "N-ACTION"
    EVENT_REPORT = "N-EVENT-REPORT"


@dataclass(frozen=True, slots=True)
class Request:
    """A DIMSE request.

    The payload is the encoded data set in the transfer syntax of the context. It is valid until the service
    gave its last response: the memory is then reused, and a spool file that was not taken is deleted.
    """

    field: CommandField
    message_id: int
    sop_class_uid: str
    sop_instance_uid: str
    command: CommandSet
    context: PresentationContext
    agreement: Agreement
    payload: Payload | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """One response: its status, an encoded data set, and further elements of the command set."""

    status: int
    payload: Buffer | None = None
    elements: CommandSet = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Burst:
    """Pending responses that differ by their data sets alone."""

    payloads: Sequence[Buffer]
    status: int = Status.PENDING


@dataclass(frozen=True, slots=True)
class SubOperation:
    """A request of our own on the association of a request, such as the C-STORE of a C-GET.

    `command` lacks Message ID and Command Data Set Type, which are filled in. `completed` is told the command set of
    the response, and gives the pending response to send then.
    """

    context_id: int
    command: CommandSet
    payload: Buffer | None
    completed: Callable[[CommandSet], Response]


@dataclass(frozen=True, slots=True)
class SubOperations:
    """Requests of our own, as many of them outstanding as the requester agreed to.

    The next one is asked for while the requester is busy with the one before, so that making it costs no time; that
    must not raise `ArchiveError`.
    """

    operations: Iterator[SubOperation]


Step = Response | Burst | SubOperations
Responses = Generator[Step, None, None]


def _no_prefix(request: Request) -> bytes:  # noqa: ARG001  # What a Service wants.
    return b""


def _processing_failure(error: ArchiveError) -> int:  # noqa: ARG001
    return Status.PROCESSING_FAILURE


def _no_extended_negotiation(information: bytes) -> bytes | None:  # noqa: ARG001
    return None


@dataclass(frozen=True, slots=True)
class Service:
    """A SOP class as provider."""

    operations: Mapping[CommandField, Operation]
    """The requests it takes, and what a caller must be allowed to do for each."""
    respond: Callable[[Request], Responses]
    accepts_transfer_syntax: Callable[[str], bool]
    preferred_transfer_syntaxes: tuple[str, ...] = ()
    """The first of these that was proposed is taken; if empty, the order of the requester decides."""
    takes_turns: bool = False
    """Whether no other request may be outstanding beside one of its own, as with C-GET, which sends requests itself."""
    accepts_scp_role: bool = False
    """Whether the requester may be provider, as it must be to receive by C-GET."""
    spool_prefix: Callable[[Request], bytes] = _no_prefix
    """What comes before a data set in a spool file, such as the Part 10 header."""
    status_of: Callable[[ArchiveError], int] = _processing_failure
    """The status for an error that `respond` raised, or that kept the data set from being received."""
    answer_extended: Callable[[bytes], bytes | None] = _no_extended_negotiation
    """The answer to SOP class extended negotiation, None for no answer. PS3.7 D.3.3.5."""


def read_request(
    command: CommandSet, context: PresentationContext, agreement: Agreement, payload: Payload | None = None
) -> Request:
    """The request that a command set makes.

    Raises
    ------
    Corrupt
        If it is no request, or has no number.
    """
    number, message_id = command["CommandField"], command.get("MessageID")
    if number not in _REQUESTS or not isinstance(message_id, int):
        raise Corrupt(f"A command set with Command Field (0000,0100) {number} is not a numbered request")
    return Request(
        _REQUESTS[number],
        message_id,
        str(command.get("AffectedSOPClassUID") or command.get("RequestedSOPClassUID") or ""),
        str(command.get("AffectedSOPInstanceUID") or command.get("RequestedSOPInstanceUID") or ""),
        command,
        context,
        agreement,
        payload,
    )


def part10_header(request: Request) -> bytes:
    """What makes a file of the data set of a C-STORE. PS3.10 7.1."""
    return wrap_header(request.sop_class_uid, request.sop_instance_uid, request.context.transfer_syntax)


def response_command(request: Request, response: Response) -> CommandSet:
    """The command set of `response` to `request`."""
    command: dict[str, CommandValue] = {
        "CommandField": request.field.response,
        "MessageIDBeingRespondedTo": request.message_id,
        "CommandDataSetType": NO_DATA_SET if response.payload is None else DATA_SET_FOLLOWS,
        "Status": response.status,
    }
    if request.sop_class_uid:
        command["AffectedSOPClassUID"] = request.sop_class_uid
    if request.sop_instance_uid:
        command["AffectedSOPInstanceUID"] = request.sop_instance_uid
    command.update(response.elements)
    return command


_REQUESTS: dict[CommandValue, CommandField] = {
    value.value: value
    for value in CommandField
    if not value & 0x8000 and value is not CommandField.C_CANCEL_RQ
}


def is_pending(status: int) -> bool:
    """Whether more responses follow one with this status. PS3.7 C.1.4."""
    return status in (Status.PENDING, Status.PENDING_WITH_WARNING)
