"""The upper layer protocol without a socket: received bytes go in, events come out. PS3.8 9.

The layer says where it wants the next bytes (`wanted`), is told how many came (`filled`), and then gives what
they mean (`next_event`). The fragments of a message are thereby received at the very place where its command or
data set is put together, without a copy: the `FragmentSink` names that place. The first of the wanted buffers
is usually the rest of a fragment and the second the header that follows it, so that one `recvmsg_into` fetches
both.

The state machine is `state.TABLE`; this module performs its actions.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from hounsfield.errors import BadRequest, Corrupt
from hounsfield.net.indications import (
    Aborted,
    AssociateConfirmed,
    AssociateIndicated,
    Close,
    LastFragmentReceived,
    ReleaseConfirmed,
    ReleaseIndicated,
    Transmit,
    UpperLayerEvent,
)
from hounsfield.net.pdu import (
    HEADER,
    IS_COMMAND,
    IS_LAST,
    VALUE_HEADER,
    Abort,
    AbortReason,
    AbortSource,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Pdu,
    PduType,
    ReleaseRequest,
    ReleaseResponse,
    decode,
    encode,
)
from hounsfield.net.run_ahead import MOST_PDUS, RunAhead
from hounsfield.net.state import NEXT_STATE, TABLE, Action, Cause, State
from hounsfield.store.spool import Buffer

_DATA_HEADERS_LENGTH = HEADER.size + VALUE_HEADER.size
_SCRATCH_LENGTH = 65536
_BEYOND_LENGTH = 1024
"""What is read behind a header: all of a response, with one call."""
_FOREVER = 1 << 62

_OTHER_PROTOCOLS = {0x15: "TLS", 0x16: "TLS", 0x47: "HTTP", 0x48: "HTTP", 0x50: "HTTP", 0x53: "SSH"}
"""By what their first byte usually is: an alert, a handshake, `G`ET, `H`TTP, `P`OST, `S`SH."""

_PROTOCOL_VERSION_REFUSED = AssociateReject(result=1, source=2, reason=2)


class FragmentSink(Protocol):
    """Where the fragments of messages are put together."""

    def begin(self, context_id: int, is_command: bool, length: int) -> None:
        """Prepare for a fragment of `length` bytes. Raises Corrupt if it cannot come now."""
        ...

    def space(self, size: int) -> memoryview:
        """Where the next bytes of the fragment go: one byte at least, `size` at most."""
        ...

    def filled(self, count: int) -> None:
        """So many bytes are now in `space`."""
        ...


Primitive = AssociateRequest | AssociateAccept | AssociateReject | ReleaseRequest | ReleaseResponse | Abort


@dataclass(frozen=True, slots=True)
class PduLimits:
    """Longest PDUs that are read, in bytes.

    `maximum_data_length` may exceed what was announced to the peer: fragments are received piece by piece, so a
    peer that ignores our maximum costs no memory.
    """

    maximum_control_length: int = 1 << 20
    maximum_data_length: int = 1 << 28


class _Phase(IntEnum):
    """What the next bytes are; the numbers index the steps of `UpperLayer`."""

    HEADER = 0
    BODY = 1
    VALUE_HEADER = 2
    FRAGMENT = 3
    SKIP = 4


_PDU_CAUSES = {
    PduType.ASSOCIATE_RQ: Cause.ASSOCIATE_RQ_PDU,
    PduType.ASSOCIATE_AC: Cause.ASSOCIATE_AC_PDU,
    PduType.ASSOCIATE_RJ: Cause.ASSOCIATE_RJ_PDU,
    PduType.DATA_TF: Cause.DATA_PDU,
    PduType.RELEASE_RQ: Cause.RELEASE_RQ_PDU,
    PduType.RELEASE_RP: Cause.RELEASE_RP_PDU,
    PduType.ABORT: Cause.ABORT_PDU,
}

_PRIMITIVE_CAUSES: dict[type[Primitive], Cause] = {
    AssociateAccept: Cause.ACCEPT_RESPONSE,
    AssociateReject: Cause.REJECT_RESPONSE,
    ReleaseRequest: Cause.RELEASE_REQUEST,
    ReleaseResponse: Cause.RELEASE_RESPONSE,
    Abort: Cause.ABORT_REQUEST,
}


class UpperLayer:
    """One side of one association. Not for several threads at once."""

    def __init__(self, sink: FragmentSink, limits: PduLimits, *, is_requester: bool) -> None:
        self.state = State.IDLE
        self.expects_responses = is_requester
        """Whether messages without a data set come: what follows a header is then read along with it."""
        self._sink = sink
        self._limits = limits
        self._is_requester = is_requester
        self._events: deque[UpperLayerEvent] = deque()
        self._head = memoryview(bytearray(_DATA_HEADERS_LENGTH))
        self._head_length = 0
        self._phase = _Phase.HEADER
        self._space = self._head[:0]
        self._scratch = self._head[:0]
        self._body = bytearray()
        self._body_type = 0
        self._remaining = 0
        """Bytes still to come of the body, of the fragment, or to be skipped, whatever the phase is."""
        self._pdu_remaining = 0
        """Bytes still to come of a P-DATA-TF PDU after the current fragment."""
        self._context_id = 0
        self._control = 0
        self._length = 0
        self._header = b""
        self._is_repeating = False
        """Whether the current fragment has the same header as the one before, and is worth to run ahead from."""
        self._ahead = RunAhead()
        self._is_ahead = False
        self._beyond = memoryview(bytearray(_BEYOND_LENGTH))
        self._overrun = memoryview(b"")
        """Bytes that were received but not where they belong; they are read before any others."""
        if not is_requester:
            self._move(Cause.CONNECTION_INDICATED)

    # Sending.

    def send(self, primitive: Primitive) -> bytes:
        """The bytes that `primitive` becomes; a requester calls it first with its AssociateRequest.

        Raises
        ------
        BadRequest
            If the primitive makes no sense in the state of the association.
        """
        if isinstance(primitive, AssociateRequest):
            self._move(Cause.ASSOCIATE_REQUEST)
            self._move(Cause.CONNECTION_CONFIRMED)
        else:
            self._move(_PRIMITIVE_CAUSES[type(primitive)])
        return encode(primitive)

    def check_data_may_be_sent(self) -> None:
        """Raise BadRequest unless P-DATA may be sent now; `pdu.fragment` then makes the PDUs."""
        self._move(Cause.DATA_REQUEST)

    def connection_closed(self) -> None:
        """The transport connection is gone; what it means comes by `next_event`."""
        if self.state is not State.IDLE:
            self._apply(Cause.CONNECTION_CLOSED)

    def artim_expired(self) -> None:
        """The ARTIM timer ran out; it runs while `state` is Sta2 or Sta13."""
        self._apply(Cause.ARTIM_EXPIRED)

    @property
    def is_artim_running(self) -> bool:
        """Whether the wait is bounded by the ARTIM timer. PS3.8 9.1.5."""
        return self.state in (State.AWAITING_ASSOCIATE_RQ, State.AWAITING_CLOSE)

    @property
    def is_amid_message(self) -> bool:
        """Whether a PDU or a header has begun to come in."""
        return self._phase is not _Phase.HEADER or self._head_length > 0 or len(self._overrun) > 0

    # Receiving.

    def wanted(self) -> list[memoryview]:
        """The buffers to fill next, in this order; none of them is empty."""
        if self._phase is _Phase.FRAGMENT:
            ahead = MOST_PDUS * self._length if self._is_repeating else 0
            space = self._sink.space(self._remaining + ahead)
            self._is_ahead = len(space) > self._remaining
            if self._is_ahead:
                return self._ahead.lay_out(self._header, self._length, space, self._remaining)
            self._space = space
            if len(space) < self._remaining:
                return [space]
            return [space, self._head if self._pdu_remaining == 0 else self._head[: VALUE_HEADER.size]]
        if self._phase is _Phase.HEADER:
            head = self._head[self._head_length :]
            return [head, self._beyond] if self.expects_responses else [head]
        if self._phase is _Phase.VALUE_HEADER:
            return [self._head[self._head_length : VALUE_HEADER.size]]
        if not self._scratch:
            self._scratch = memoryview(bytearray(_SCRATCH_LENGTH))
        return [self._scratch[: min(self._remaining, _SCRATCH_LENGTH)]]

    def filled(self, count: int) -> None:
        """So many bytes have come into the buffers last `wanted`."""
        if self._is_ahead:
            self._is_ahead = False
            stored, self._remaining, overrun = self._ahead.settle(count)
            self._sink.filled(stored)
            self._overrun = memoryview(overrun)
        elif self._phase is _Phase.FRAGMENT:
            stored = min(count, len(self._space))
            self._sink.filled(stored)
            self._remaining -= stored
            self._head_length = count - stored
        elif self._phase in (_Phase.HEADER, _Phase.VALUE_HEADER):
            beyond = max(self._head_length + count - _DATA_HEADERS_LENGTH, 0)
            self._head_length += count - beyond
            self._overrun = self._beyond[:beyond]
        else:
            if self._phase is _Phase.BODY:
                self._body += self._scratch[:count]
            self._remaining -= count

    def next_event(self) -> UpperLayerEvent | None:
        """What happened next, or None when more bytes are needed.

        A last fragment must be taken from the sink before the next call, which may reuse the sink's buffers.

        Raises
        ------
        Corrupt
            If the sink refuses a fragment; the association should then be aborted.
        """
        while not self._events:
            if not self._STEPS[self._phase](self):
                if not self._overrun:
                    return None
                self._overrun = self._put(self._overrun)
        return self._events.popleft()

    def receive(self, data: Buffer) -> Iterator[UpperLayerEvent]:
        """Feed `data` and give the events one by one; each must be dealt with before the next is asked for."""
        view = memoryview(data)
        while True:
            while (event := self.next_event()) is not None:
                yield event
            if not view:
                return
            view = self._put(view)

    def _put(self, view: memoryview) -> memoryview:
        """Copy the first bytes of `view` to where they are wanted; the rest of it."""
        target = self.wanted()[0]
        count = min(len(target), len(view))
        target[:count] = view[:count]
        self.filled(count)
        return view[count:]

    def _drop_head(self, count: int) -> None:
        """Forget the first `count` bytes of the header buffer."""
        rest = self._head_length - count
        if rest:
            self._head[:rest] = self._head[count : self._head_length]
        self._head_length = rest

    def _read_header(self) -> bool:
        if self._head_length < HEADER.size:
            return False
        kind, _, length = HEADER.unpack_from(self._head)
        header = bytes(self._head) if self._head_length == _DATA_HEADERS_LENGTH else b""
        self._is_repeating = header == self._header != b""
        self._header = header
        self._drop_head(HEADER.size)
        if kind == PduType.DATA_TF:
            self._begin_data(length)
        elif kind not in _PDU_CAUSES:
            spoken = _OTHER_PROTOCOLS.get(kind)
            hint = f": the other side speaks {spoken}" if spoken else ""
            self._refuse(f"PDU type {kind:02X}H is unknown{hint}", AbortReason.UNRECOGNIZED_PDU)
        elif length > self._limits.maximum_control_length:
            self._refuse(f"A PDU of type {kind:02X}H has {length} bytes, which is too long")
        else:
            self._body_type, self._remaining = kind, length
            self._body = bytearray()
            self._phase = _Phase.BODY
        return True

    def _begin_data(self, length: int) -> None:
        if not VALUE_HEADER.size <= length <= self._limits.maximum_data_length:
            self._refuse(f"A P-DATA-TF PDU has {length} bytes, which is out of bounds")
            return
        self._pdu_remaining = length
        if (
            self.state is State.ESTABLISHED
        ):  # DT-2, by far the most frequent of all; the table would say so too.
            self._phase = _Phase.VALUE_HEADER
            return
        self._apply(Cause.DATA_PDU)
        if self.state is State.AWAITING_RELEASE_RP:
            self._phase = _Phase.VALUE_HEADER
        else:
            self._skip(length)

    def _read_body(self) -> bool:
        if self._head_length:
            count = min(self._head_length, self._remaining)
            self._body += self._head[:count]
            self._remaining -= count
            self._drop_head(count)
        if self._remaining:
            return False
        self._phase = _Phase.HEADER
        body, self._body = bytes(self._body), bytearray()
        try:
            pdu = decode(self._body_type, body)
        except Corrupt as error:
            self._refuse(str(error))
        else:
            self._apply(_PDU_CAUSES[PduType(self._body_type)], pdu)
        return True

    def _read_value_header(self) -> bool:
        if self._head_length < VALUE_HEADER.size:
            return False
        length, context_id, control = VALUE_HEADER.unpack_from(self._head)
        self._drop_head(VALUE_HEADER.size)
        self._pdu_remaining -= length + 4
        if length < 2 or self._pdu_remaining < 0 or 0 < self._pdu_remaining < VALUE_HEADER.size:
            self._refuse(f"A presentation data value of {length} bytes does not fit its PDU")
            return True
        self._context_id, self._control = context_id, control
        self._length = self._remaining = length - 2
        # Only a fragment that fills its PDU, and is neither of a command nor the last one.
        self._is_repeating &= control == 0 and self._pdu_remaining == 0 and length > 2
        self._phase = _Phase.FRAGMENT
        self._sink.begin(context_id, bool(control & IS_COMMAND), self._remaining)
        return True

    def _read_fragment(self) -> bool:
        while self._head_length and self._remaining:
            target = self._sink.space(self._remaining)
            count = min(len(target), self._head_length)
            target[:count] = self._head[:count]
            self._sink.filled(count)
            self._remaining -= count
            self._drop_head(count)
        if self._remaining:
            return False
        self._phase = _Phase.VALUE_HEADER if self._pdu_remaining else _Phase.HEADER
        if self._control & IS_LAST:
            self._events.append(LastFragmentReceived(self._context_id, bool(self._control & IS_COMMAND)))
        return True

    def _read_skipped(self) -> bool:
        count = min(self._head_length, self._remaining)
        self._drop_head(count)
        self._remaining -= count
        if self._remaining:
            return False
        self._phase = _Phase.HEADER
        return True

    def _skip(self, length: int) -> None:
        self._phase, self._remaining = _Phase.SKIP, length

    _STEPS = (_read_header, _read_body, _read_value_header, _read_fragment, _read_skipped)

    # The state machine.

    def _refuse(self, detail: str, reason: AbortReason = AbortReason.INVALID_PARAMETER_VALUE) -> None:
        """The bytes make no sense: where a next PDU would begin is no longer known."""
        self._apply(Cause.INVALID_PDU, detail=detail, reason=reason)
        self._skip(_FOREVER)

    def _apply(
        self,
        cause: Cause,
        pdu: Pdu | None = None,
        detail: str = "",
        reason: AbortReason = AbortReason.UNEXPECTED_PDU,
    ) -> None:
        """Let something that came from the other side move the machine."""
        before = self.state
        action = self._move(cause)
        if action is not Action.DT2:
            self._perform(action, pdu, detail or f"{cause.name} in state {before.name}", reason)

    def _move(self, cause: Cause) -> Action:
        action = TABLE.get((cause, self.state))
        if action is None:
            raise BadRequest(f"{cause.name} cannot happen in state {self.state.name} of an association")
        self.state = NEXT_STATE[action]
        if self.state is State.AWAITING_CLOSE and self._phase in (_Phase.VALUE_HEADER, _Phase.FRAGMENT):
            current = self._remaining if self._phase is _Phase.FRAGMENT else 0
            self._skip(current + self._pdu_remaining)
        return action

    def _perform(self, action: Action, pdu: Pdu | None, detail: str, reason: AbortReason) -> None:
        """Do what an action asks beyond moving to its next state. PS3.8 Tables 9-6 to 9-9."""
        match action, pdu:
            case Action.AE6, AssociateRequest():
                self._indicate(pdu)
            case Action.AE3, AssociateAccept():
                self._events.append(AssociateConfirmed(pdu))
            case Action.AE4, AssociateReject():
                self._events += (AssociateConfirmed(pdu), Close())
            case Action.AR2, _:
                self._events.append(ReleaseIndicated())
            case Action.AR3, _:
                self._events += (ReleaseConfirmed(), Close())
            case Action.AR8, _:
                if not self._is_requester:
                    self.state = State.COLLISION_ACCEPTOR_PEER
                self._events.append(ReleaseIndicated())
            case Action.AR10, _:
                self._events.append(ReleaseConfirmed())
            case Action.AA1, _:  # No association request, where there must be one.
                self._events += (Transmit(encode(Abort())), Aborted(Abort(), False, detail))
            case ((Action.AA2 | Action.AA5 | Action.AR5), _):
                self._events.append(Close())
            case Action.AA3, Abort():
                self._events += (Aborted(pdu, True), Close())
            case Action.AA4, _:
                lost = Abort(AbortSource.SERVICE_PROVIDER)
                self._events += (Aborted(lost, False, "the connection was lost"), Close())
            case Action.AA7, _:
                self._events.append(Transmit(encode(Abort(AbortSource.SERVICE_PROVIDER, reason))))
            case Action.AA8, _:
                abort = Abort(AbortSource.SERVICE_PROVIDER, reason)
                self._events += (Transmit(encode(abort)), Aborted(abort, False, detail))

    def _indicate(self, request: AssociateRequest) -> None:
        if request.protocol_version & 1:
            self._events.append(AssociateIndicated(request))
            return
        self.state = State.AWAITING_CLOSE
        self._events.append(Transmit(encode(_PROTOCOL_VERSION_REFUSED)))
