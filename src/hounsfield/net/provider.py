"""The provider of one association: negotiates, then has services respond to requests until the release."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from enum import Enum, auto

from hounsfield.errors import ArchiveError, Cancelled, Corrupt, PeerFailure, Refused, StorageFull, TimedOut
from hounsfield.net.association import Association, AssociationAborted
from hounsfield.net.dimse import (
    DATA_SET_FOLLOWS,
    NO_DATA_SET,
    CommandField,
    CommandSet,
    CommandValue,
    Status,
)
from hounsfield.net.indications import AssociateIndicated
from hounsfield.net.messages import (
    Burst,
    Request,
    Response,
    Responses,
    Service,
    Step,
    SubOperation,
    SubOperations,
    is_pending,
    read_request,
    response_command,
)
from hounsfield.net.negotiation import Acceptance, Policy, Refusal, answer
from hounsfield.net.pdu import Abort, AbortReason, AbortSource, AssociateReject, ReleaseResponse
from hounsfield.store.spool import Buffer

_log = logging.getLogger("hounsfield.dicom")

_ERROR_COMMENT_LENGTH = 64
_LINGER_WHEN_STOPPING_SECONDS = 0.5


class _Stage(Enum):
    """What the thread of an association is doing, which decides how it is stopped."""

    OPENING = auto()
    WAITING = auto()
    WORKING = auto()
    ENDING = auto()


class Provider:
    """Serves one connection on one thread, by `run`; `stop` and `cut` are for other threads."""

    def __init__(
        self,
        association: Association,
        ip: str,
        number: int,
        policy: Callable[[], Policy],
        maximum_pdu_length: int,
        admit: Callable[["Provider"], bool],
    ) -> None:
        self._association = association
        self._ip = ip
        self._number = number
        self._policy = policy
        self._maximum_pdu_length = maximum_pdu_length
        self._admit = admit
        self._lock = threading.Lock()
        self._stage = _Stage.OPENING
        self._is_stopping = False
        self._served = 0
        self._message_id = 0
        self._is_cancelled = False

    # For other threads.

    def stop(self) -> None:
        """Finish the message in progress, then end; nothing is waited for here."""
        with self._lock:
            self._is_stopping = True
            if self._stage is _Stage.WAITING and not self._association.is_amid_message:
                self._association.transport.wake()
            elif self._stage in (_Stage.OPENING, _Stage.ENDING):
                self._association.transport.cut()

    def cut(self) -> None:
        """End at once."""
        self._association.transport.cut()

    # The thread of the association.

    def run(self) -> None:
        """Serve the connection until it ends; raises nothing."""
        association = self._association
        outcome, level = "released", logging.INFO
        try:
            association.transport.handshake()
            acceptance = self._open()
            if acceptance is None:
                outcome = "rejected"
            elif not self._serve(acceptance):
                outcome = "stopped with the server"
        except (AssociationAborted, TimedOut) as error:
            outcome = str(error)
            association.abort()
        except ArchiveError as error:
            outcome, level = str(error), logging.WARNING
            is_protocol = isinstance(error, Corrupt)
            reason = Abort(AbortSource.SERVICE_PROVIDER, AbortReason.INVALID_PARAMETER_VALUE)
            association.abort(reason if is_protocol else None)
        except Exception:  # noqa: BLE001  # The rim of every association.
            _log.exception("Association %d: unexpected error", self._number)
            outcome = "an unexpected error"
            association.abort()
        finally:
            self._enter(_Stage.ENDING)
            association.close(_LINGER_WHEN_STOPPING_SECONDS if self._is_stopping else None)
            _log.log(
                level,
                "Association %d from %s closed after %d requests: %s",
                self._number,
                self._ip,
                self._served,
                outcome,
            )

    def _enter(self, stage: _Stage) -> bool:
        """Say what comes now; False if the server is being stopped."""
        with self._lock:
            self._stage = stage
            return not self._is_stopping

    def _open(self) -> Acceptance | None:
        association = self._association
        event = association.next_event()
        if not isinstance(event, AssociateIndicated):
            raise Corrupt(f"{type(event).__name__} came instead of an association request")
        proposal = event.request
        titles = proposal.calling_ae_title, proposal.called_ae_title
        outcome: Acceptance | AssociateReject = Refusal.LOCAL_LIMIT.value
        if self._admit(self):
            outcome = answer(proposal, self._policy(), self._ip, self._maximum_pdu_length)
        if isinstance(outcome, AssociateReject):
            _log.warning(
                "Association %d from %s (%s) to %s rejected: %s",
                *(self._number, titles[0], self._ip, titles[1], Refusal(outcome).name),
            )
            association.send(outcome)
            return None
        association.limit_pdus(proposal.user_information.maximum_length)
        association.send(outcome.answer)
        _log.info(
            "Association %d from %s (%s) to %s opened with %d of %d presentation contexts",
            *(self._number, titles[0], self._ip, titles[1]),
            *(len(outcome.agreement.contexts), len(proposal.contexts)),
        )
        return outcome

    def _serve(self, acceptance: Acceptance) -> bool:
        """Handle messages until the release; False if the server was stopped before."""
        association = self._association
        find_service = acceptance.find_service
        services = {
            context.id: find_service(context.abstract_syntax)
            for context in acceptance.agreement.contexts.values()
        }
        while self._enter(_Stage.WAITING):
            try:
                received = association.read_command()
            except AssociationAborted:
                if self._is_stopping:
                    return False
                raise
            self._enter(_Stage.WORKING)
            if received is None:
                association.send(ReleaseResponse())
                return True
            self._handle(*received, acceptance, services)
        association.abort()
        return False

    def _handle(
        self,
        context_id: int,
        command: dict[str, CommandValue],
        acceptance: Acceptance,
        services: dict[int, Service | None],
    ) -> None:
        agreement = acceptance.agreement
        context = agreement.contexts.get(context_id)
        service = services.get(context_id)
        if context is None or service is None:
            raise Corrupt(f"A message came on presentation context {context_id}, which was not accepted")
        if command["CommandField"] == CommandField.C_CANCEL_RQ:
            return  # It crossed our last response.
        request = read_request(command, context, agreement)
        operation = service.operations.get(request.field)
        if operation is not None and operation not in acceptance.permitted:
            raise Refused(f"{agreement.caller.calling_ae_title} may not do {operation.value}")
        failure: StorageFull | None = None
        if command["CommandDataSetType"] != NO_DATA_SET:
            try:
                payload = self._association.read_data_set(lambda: service.spool_prefix(request))
                request = read_request(command, context, agreement, payload)
            except StorageFull as error:
                failure = error
        self._served += 1
        if operation is None:
            self._reply(request, Response(Status.UNRECOGNIZED_OPERATION))
        elif failure is not None:
            self._reply(request, self._failure(service, failure))
        else:
            self._respond(request, service)
        self._association.drop_data_set()

    def _respond(self, request: Request, service: Service) -> None:
        responses = service.respond(request)
        self._is_cancelled = False
        try:
            while True:
                step = self._next_step(responses, service)
                if isinstance(step, SubOperations):
                    self._perform_all(step, request)
                    continue
                if isinstance(step, Burst):
                    self._reply_often(request, step)
                else:
                    self._reply(request, step)
                    if not is_pending(step.status):
                        return
                self._look_for_cancel(request)
        finally:
            responses.close()

    def _next_step(self, responses: Responses, service: Service) -> Step:
        try:
            if self._is_cancelled:
                self._is_cancelled = False
                return responses.throw(Cancelled("The requester cancelled the operation"))
            return next(responses)
        except Cancelled:
            return Response(Status.CANCEL)
        except StopIteration:
            return Response(Status.PROCESSING_FAILURE, elements={"ErrorComment": "No final response"})
        except ArchiveError as error:
            return self._failure(service, error)

    def _failure(self, service: Service, error: ArchiveError) -> Response:
        status = service.status_of(error)
        _log.warning("Association %d: status %04XH: %s", self._number, status, error)
        return Response(status, elements={"ErrorComment": str(error)[:_ERROR_COMMENT_LENGTH]})

    def _reply(self, request: Request, response: Response) -> None:
        command = response_command(request, response)
        self._association.send_message(request.context.id, command, response.payload)

    def _reply_often(self, request: Request, burst: Burst) -> None:
        if burst.payloads:
            command = response_command(request, Response(burst.status, burst.payloads[0]))
            self._association.send_messages(request.context.id, command, burst.payloads)

    def _look_for_cancel(self, request: Request) -> None:
        """See whether a C-CANCEL of `request` came in the meantime. PS3.7 9.3.2.3."""
        received = self._association.poll_command()
        if received is not None and not self._note_cancel(received[1], request):
            self._association.put_back(*received)

    def _note_cancel(self, command: CommandSet, request: Request) -> bool:
        """Whether this is a C-CANCEL; one of an earlier request means nothing any more."""
        if command["CommandField"] != CommandField.C_CANCEL_RQ:
            return False
        if command.get("MessageIDBeingRespondedTo") == request.message_id:
            self._is_cancelled = True
        return True

    def _perform_all(self, work: SubOperations, request: Request) -> None:
        """Send requests of our own, and pending responses as they are done.

        The requester waits for nothing that can be done while it works: when it answers, the next request leaves at
        once, and only then the pending response. After a C-CANCEL those that were begun are completed, and no others
        begun.
        """
        association, window = self._association, request.agreement.performed
        under_way: dict[int, SubOperation] = {}
        operations = work.operations
        association.expect_responses(is_expected=True)
        ready = self._write_next(operations)
        while ready is not None or under_way:
            answered = None
            if ready is None or len(under_way) >= window:
                answered = self._read_completion(under_way, request)
            if ready is not None:
                self._look_for_cancel(request)
                if self._is_cancelled:
                    operations = iter(())
                else:
                    message_id, operation, pdus = ready
                    association.transmit(pdus)
                    under_way[message_id] = operation
            if answered is not None:
                operation, completion = answered
                self._reply(request, operation.completed(completion))
            ready = self._write_next(operations)
        association.expect_responses(is_expected=False)

    def _write_next(
        self, operations: Iterator[SubOperation]
    ) -> tuple[int, SubOperation, Iterable[Buffer]] | None:
        operation = next(operations, None)
        if operation is None:
            return None
        self._message_id = self._message_id % 0xFFFF + 1
        command = {
            **operation.command,
            "MessageID": self._message_id,
            "CommandDataSetType": NO_DATA_SET if operation.payload is None else DATA_SET_FOLLOWS,
        }
        pdus = self._association.write_message(operation.context_id, command, operation.payload)
        return self._message_id, operation, pdus

    def _read_completion(
        self, under_way: dict[int, SubOperation], request: Request
    ) -> tuple[SubOperation, CommandSet]:
        """The next response to one of those under way, which it then is no more."""
        while True:
            received = self._association.read_command()
            if received is None:
                raise PeerFailure("A release was asked for in the middle of an operation")
            answer = received[1]
            message_id = answer.get("MessageIDBeingRespondedTo")
            if isinstance(message_id, int) and message_id in under_way and "Status" in answer:
                return under_way.pop(message_id), answer
            if not self._note_cancel(answer, request):
                raise Corrupt("A message came that does not respond to our request")
