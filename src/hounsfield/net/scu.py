"""Requesting associations, and the requests C-ECHO and C-STORE. PS3.7 9, PS3.8 7.1."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from hounsfield.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from hounsfield.errors import Corrupt, PeerFailure, StorageFull, TimedOut
from hounsfield.net.agreement import Agreement, PresentationContext
from hounsfield.net.association import Association
from hounsfield.net.buffers import BufferBudget, Payload
from hounsfield.net.dimse import (
    DATA_SET_FOLLOWS,
    NO_DATA_SET,
    CommandField,
    CommandSet,
    CommandValue,
    Status,
)
from hounsfield.net.indications import AssociateConfirmed, ReleaseConfirmed, ReleaseIndicated
from hounsfield.net.items import (
    AsynchronousWindow,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from hounsfield.net.messages import (
    Request,
    Response,
    is_pending,
    part10_header,
    read_request,
    response_command,
)
from hounsfield.net.negotiation import Refusal, read_agreement
from hounsfield.net.options import AssociationOptions
from hounsfield.net.pdu import (
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
)
from hounsfield.net.transport import Transport
from hounsfield.store.spool import Buffer, Spool

VERIFICATION_SOP_CLASS_UID = "1.2.840.10008.1.1"
_SUB_OPERATIONS = (CommandField.C_STORE_RQ, CommandField.N_EVENT_REPORT_RQ)
_OUT_OF_RESOURCES = 0xA700


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """Where an association is requested, and how."""

    host: str
    port: int
    ae_title: str
    tls: ssl.SSLContext | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What is asked for: abstract syntaxes, each with transfer syntaxes, one context a pair; at most 128."""

    calling_ae_title: str
    contexts: Sequence[tuple[str, Sequence[str]]]
    roles: tuple[RoleSelection, ...] = ()
    extended: tuple[ExtendedNegotiation, ...] = ()
    user_identity: UserIdentity | None = field(default=None, repr=False)
    window: AsynchronousWindow | None = None
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME


@dataclass(frozen=True, slots=True)
class Answer:
    """One response to a request of ours."""

    status: int
    command: CommandSet
    payload: Payload | None = None
    """Valid until the next response is asked for."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request that is ready to be sent."""

    message_id: int
    pdus: Iterable[Buffer] = field(repr=False)


Perform = Callable[[Request], Response]
"""Performs a request that the peer makes in the middle of one of ours, such as the C-STORE of a C-GET."""


class AssociationRejected(PeerFailure):
    """The peer does not want the association."""


class Requester:
    """An association that we asked for; made by `associate`."""

    def __init__(self, association: Association, agreement: Agreement) -> None:
        self.agreement = agreement
        self._association = association
        self._message_id = 0
        self._under_way: set[int] = set()
        """The Message IDs of requests that are not responded to yet."""
        self._contexts: dict[tuple[str, str | None], PresentationContext] = {}
        for context in agreement.contexts.values():
            self._contexts.setdefault((context.abstract_syntax, context.transfer_syntax), context)
            self._contexts.setdefault((context.abstract_syntax, None), context)

    @property
    def window(self) -> int:
        """How many requests may be under way."""
        return self.agreement.invoked

    @property
    def is_quiet(self) -> bool:
        """Whether the peer has nothing to say, not even that the association is over."""
        return not self._association.transport.is_readable()

    def find_context(
        self, abstract_syntax: str, transfer_syntax: str | None = None
    ) -> PresentationContext | None:
        """An accepted context for an abstract syntax, in a given transfer syntax or in any."""
        return self._contexts.get((abstract_syntax, transfer_syntax))

    def echo(self) -> int:
        """C-ECHO; the status of the response."""
        context = self.find_context(VERIFICATION_SOP_CLASS_UID)
        if context is None:
            raise PeerFailure(f"{self.agreement.caller.called_ae_title} does not accept verification")
        command: dict[str, CommandValue] = {
            "CommandField": CommandField.C_ECHO_RQ,
            "AffectedSOPClassUID": context.abstract_syntax,
        }
        self.begin(self._write(context.id, command, None))
        return self.finish()[1].status

    def store(
        self,
        context: PresentationContext,
        sop_instance_uid: str,
        data_set: Buffer,
        elements: CommandSet | None = None,
    ) -> Answer:
        """C-STORE of a data set that is encoded in the transfer syntax of `context`.

        `elements` are further elements of the command set, such as those of a move originator.
        """
        self.begin(self.write_store(context, sop_instance_uid, data_set, elements))
        return self.finish()[1]

    def write_store(
        self,
        context: PresentationContext,
        sop_instance_uid: str,
        data_set: Buffer,
        elements: CommandSet | None = None,
    ) -> Outgoing:
        """A C-STORE for `begin`. See `store`."""
        command: dict[str, CommandValue] = {
            "CommandField": CommandField.C_STORE_RQ,
            "AffectedSOPClassUID": context.abstract_syntax,
            "AffectedSOPInstanceUID": sop_instance_uid,
            "Priority": 0,
            **(elements or {}),
        }
        return self._write(context.id, command, data_set)

    def begin(self, outgoing: Outgoing) -> None:
        """Send a request; at most `window` may be under way. Errors as of `request`."""
        self._association.transmit(outgoing.pdus)
        self._under_way.add(outgoing.message_id)

    def finish(self) -> tuple[int, Answer]:
        """The Message ID of one of the requests under way, and its final response. Errors as of `request`."""
        while True:
            message_id, answer = self._read_answer(None)
            if not is_pending(answer.status):
                return message_id, answer

    def number_from(self, message_id: int) -> None:
        """Give the next request this Message ID, and the following ones those after it."""
        self._message_id = (message_id - 2) % 0xFFFF + 1

    def request(
        self,
        context_id: int,
        command: CommandSet,
        payload: Buffer | None = None,
        perform: Perform | None = None,
    ) -> Iterator[Answer]:
        """Send a request and give its responses, the last one being the one that is not pending.

        Message ID and Command Data Set Type are filled in. `perform` does what the peer asks meanwhile.

        Raises
        ------
        PeerFailure
            If the association ends.
        TimedOut
            If the peer is silent for too long.
        """
        self.begin(self._write(context_id, command, payload))
        while True:
            _, answer = self._read_answer(perform)
            yield answer
            if not is_pending(answer.status):
                return

    def _write(self, context_id: int, command: CommandSet, payload: Buffer | None) -> Outgoing:
        self._message_id = self._message_id % 0xFFFF + 1
        complete = {
            **command,
            "MessageID": self._message_id,
            "CommandDataSetType": NO_DATA_SET if payload is None else DATA_SET_FOLLOWS,
        }
        return Outgoing(self._message_id, self._association.write_message(context_id, complete, payload))

    def cancel(self, context_id: int) -> None:
        """C-CANCEL of the last request; its responses go on until the one that says so. PS3.7 9.3.2.3."""
        command: dict[str, CommandValue] = {
            "CommandField": CommandField.C_CANCEL_RQ,
            "MessageIDBeingRespondedTo": self._message_id,
            "CommandDataSetType": NO_DATA_SET,
        }
        self._association.send_message(context_id, command)

    def release(self) -> None:
        """End the association in good order."""
        try:
            self._association.send(ReleaseRequest())
            event = self._association.next_event()
            if isinstance(event, ReleaseIndicated):  # Both sides asked at once. PS3.8 7.2.2.
                self._association.send(ReleaseResponse())
                event = self._association.next_event()
            if not isinstance(event, ReleaseConfirmed):
                raise Corrupt(f"{type(event).__name__} came instead of the release of the association")
        finally:
            self._association.close()

    def abort(self) -> None:
        """End the association at once."""
        self._association.abort()
        self._association.close(0.1)

    def _read_answer(self, perform: Perform | None) -> tuple[int, Answer]:
        while True:
            received = self._association.read_command()
            if received is None:
                raise PeerFailure("The peer asked for release instead of responding")
            context_id, command = received
            if perform is None or command.get("CommandField") not in _SUB_OPERATIONS:
                break
            self._perform(context_id, command, perform)
        payload = None
        if command["CommandDataSetType"] != NO_DATA_SET:
            payload = self._association.read_data_set(bytes)
        status, message_id = command.get("Status"), command.get("MessageIDBeingRespondedTo")
        if (
            not isinstance(message_id, int)
            or message_id not in self._under_way
            or not isinstance(status, int)
        ):
            raise Corrupt("A message came that does not respond to our request")
        if not is_pending(status):
            self._under_way.discard(message_id)
        return message_id, Answer(status, command, payload)

    def _perform(self, context_id: int, command: CommandSet, perform: Perform) -> None:
        context = self.agreement.contexts.get(context_id)
        if context is None:
            raise Corrupt(f"A message came on presentation context {context_id}, which was not accepted")
        request = read_request(command, context, self.agreement)
        response = Response(Status.PROCESSING_FAILURE)
        if command["CommandDataSetType"] == NO_DATA_SET:
            response = perform(request)
        else:
            try:
                payload = self._association.read_data_set(lambda: part10_header(request))
            except StorageFull:
                response = Response(_OUT_OF_RESOURCES)
            else:
                response = perform(replace(request, payload=payload))
        self._association.send_message(context_id, response_command(request, response), response.payload)
        self._association.drop_data_set()


@contextlib.contextmanager
def associate(
    node: RemoteNode, proposal: Proposal, options: AssociationOptions, spool: Spool | None = None
) -> Iterator[Requester]:
    """An association for the length of a block: released at its end, aborted if the block raises.

    Raises
    ------
    PeerFailure
        If the peer cannot be reached, or rejects the association.
    TimedOut
        If it does not answer.
    """
    requester = open_association(node, proposal, options, spool)
    try:
        yield requester
    except BaseException:
        requester.abort()
        raise
    requester.release()


def open_association(
    node: RemoteNode, proposal: Proposal, options: AssociationOptions, spool: Spool | None = None
) -> Requester:
    """As `associate`, for those who release or abort themselves."""
    return Opening(node, proposal, options, spool).finish()


class Opening:
    """An association that was asked for; `finish` or `abort` must follow. Errors as of `associate`."""

    def __init__(
        self, node: RemoteNode, proposal: Proposal, options: AssociationOptions, spool: Spool | None = None
    ) -> None:
        transport = _connect(node, options)
        budget = BufferBudget(options.buffer.maximum)
        self._node = node
        self._association = Association(transport, options, budget, spool, is_requester=True)
        self._request = _associate_request(node, proposal, options)
        try:
            transport.handshake()
            self._association.send(self._request)
        except BaseException:
            self.abort()
            raise

    def finish(self) -> Requester:
        """Wait for the answer, and give the association."""
        association = self._association
        try:
            event = association.next_event()
            if not isinstance(event, AssociateConfirmed):
                raise Corrupt(f"{type(event).__name__} came instead of an answer to our association request")
        except BaseException:
            self.abort()
            raise
        if isinstance(event.answer, AssociateReject):
            association.close()
            raise AssociationRejected(f"{self._node.ae_title} rejects the association: {_name(event.answer)}")
        return Requester(association, _agree(association, self._request, event.answer, self._node))

    def cut(self) -> None:
        """Make a `finish` that waits on another thread fail."""
        self._association.transport.cut()

    def abort(self) -> None:
        """Give up."""
        self._association.abort()
        self._association.close(0)


def _agree(
    association: Association, request: AssociateRequest, accept: AssociateAccept, node: RemoteNode
) -> Agreement:
    agreement = read_agreement(request, accept, node.host)
    association.limit_pdus(agreement.maximum_length)
    return agreement


def _name(reject: AssociateReject) -> str:
    try:
        return Refusal(reject).name
    except ValueError:
        return f"result {reject.result}, source {reject.source}, reason {reject.reason}"


def _connect(node: RemoteNode, options: AssociationOptions) -> Transport:
    timeout = options.idle_timeout_seconds or None
    try:
        connection = socket.create_connection((node.host, node.port), timeout)
    except TimeoutError as error:
        raise TimedOut(f"{node.ae_title} at {node.host}:{node.port} cannot be reached in time") from error
    except OSError as error:
        raise PeerFailure(f"{node.ae_title} at {node.host}:{node.port} cannot be reached: {error}") from error
    if node.tls is not None:
        connection = node.tls.wrap_socket(
            connection, server_hostname=node.host, do_handshake_on_connect=False
        )
    transport = Transport(connection)
    transport.set_timeout(options.idle_timeout_seconds)
    return transport


def _associate_request(node: RemoteNode, proposal: Proposal, options: AssociationOptions) -> AssociateRequest:
    contexts = tuple(
        ProposedContext(2 * index + 1, abstract, tuple(transfer))
        for index, (abstract, transfer) in enumerate(proposal.contexts)
    )
    information = UserInformation(
        maximum_length=options.maximum_pdu_length,
        implementation_class_uid=proposal.implementation_class_uid,
        implementation_version_name=proposal.implementation_version_name,
        asynchronous_window=proposal.window,
        roles=proposal.roles,
        extended=proposal.extended,
        user_identity=proposal.user_identity,
    )
    return AssociateRequest(node.ae_title, proposal.calling_ae_title, contexts, information)
