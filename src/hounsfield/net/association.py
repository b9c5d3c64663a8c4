"""An open connection that speaks the upper layer: messages out, messages in. Used by provider and requester."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain

from hounsfield.errors import Corrupt, PeerFailure, TimedOut
from hounsfield.net.buffers import BufferBudget, DataSetBuffer, Payload
from hounsfield.net.dimse import CommandSet, CommandValue, encode_command
from hounsfield.net.indications import (
    Aborted,
    Close,
    LastFragmentReceived,
    ReleaseIndicated,
    Transmit,
    UpperLayerEvent,
)
from hounsfield.net.options import AssociationOptions
from hounsfield.net.pdu import Abort, fragment
from hounsfield.net.reassembly import Reassembler
from hounsfield.net.state import State
from hounsfield.net.transport import Transport
from hounsfield.net.upper_layer import Primitive, UpperLayer
from hounsfield.store.spool import Buffer, Spool

_LONGEST_SENT_PDU = 1 << 18
"""For peers that take PDUs of any length, or say so."""

# What is handed to one system call: an object of half a megabyte goes out whole, one of gigabytes costs no memory.
_MOST_BUFFERS = 512
_MOST_BYTES = 4 << 20

Clock = Callable[[], float]


class AssociationAborted(PeerFailure):
    """The association ended abruptly, by the peer, by a lost connection or by a violation of the protocol."""


class Association:
    """Pumps one connection. Not for several threads at once, but for `Transport.wake` and `cut`."""

    def __init__(
        self,
        transport: Transport,
        options: AssociationOptions,
        budget: BufferBudget,
        spool: Spool | None,
        *,
        is_requester: bool,
        clock: Clock = time.monotonic,
    ) -> None:
        self.transport = transport
        self._options = options
        self._buffer = DataSetBuffer(options.buffer, budget, spool)
        self._sink = Reassembler(self._buffer, options.maximum_command_length)
        self._layer = UpperLayer(self._sink, options.pdu_limits, is_requester=is_requester)
        self._clock = clock
        self._pending: tuple[int, dict[str, CommandValue]] | None = None
        self._is_release_asked = False
        self._maximum_length = _LONGEST_SENT_PDU
        self._began: float | None = None
        """When the first bytes of the current message came."""
        self._last_bytes = clock()
        self._received = 0
        self._artim_deadline = clock() + options.artim_timeout_seconds
        self._tick_seconds = min(
            options.idle_timeout_seconds or 3600.0, options.message_grace_seconds or 3600.0
        )

    @property
    def state(self) -> State:
        """Where the association stands. PS3.8 9.2."""
        return self._layer.state

    @property
    def is_amid_message(self) -> bool:
        """Whether part of a message, or of another PDU, has come in."""
        return self._layer.is_amid_message or self._sink.is_amid_message or self._pending is not None

    def limit_pdus(self, maximum_length: int) -> None:
        """Send no longer P-DATA-TF PDUs than the peer takes; 0 is without limit. PS3.8 D.1."""
        if maximum_length:
            # Below 7 bytes no fragment fits; a peer that announces that cannot mean it.
            self._maximum_length = min(max(maximum_length, 7), _LONGEST_SENT_PDU)

    # Sending.

    def send(self, primitive: Primitive) -> None:
        """Send an association, release or abort PDU."""
        self.transport.send([self._layer.send(primitive)])

    def send_message(self, context_id: int, command: CommandSet, payload: Buffer | None = None) -> None:
        """Send a message in as many fragments as the peer wants, in as few system calls as possible."""
        self.transmit(self.write_message(context_id, command, payload))

    def send_messages(self, context_id: int, command: CommandSet, payloads: Sequence[Buffer | None]) -> None:
        """Send messages that differ by their data sets alone."""
        encoded = encode_command(command)
        self.transmit(
            chain.from_iterable(self._write_pdus(context_id, encoded, payload) for payload in payloads)
        )

    def write_message(
        self, context_id: int, command: CommandSet, payload: Buffer | None = None
    ) -> Iterable[Buffer]:
        """The PDUs of a message, for `transmit`: made now, or if there are very many, as they are sent."""
        pdus = self._write_pdus(context_id, encode_command(command), payload)
        return pdus if payload is not None and len(payload) > _MOST_BYTES else list(pdus)

    def _write_pdus(self, context_id: int, command: bytes, payload: Buffer | None) -> Iterator[Buffer]:
        length = self._maximum_length
        for header, body in fragment(context_id, command, is_command=True, maximum_length=length):
            yield header
            yield body
        if payload is not None:
            for header, body in fragment(context_id, payload, is_command=False, maximum_length=length):
                yield header
                yield body

    def transmit(self, pdus: Iterable[Buffer]) -> None:
        """Send P-DATA-TF PDUs that `write_message` made."""
        self._layer.check_data_may_be_sent()
        if isinstance(pdus, list):
            self.transport.send(pdus)
            return
        waiting: list[Buffer] = []
        size = 0
        for part in pdus:
            waiting.append(part)
            size += len(part)
            if len(waiting) >= _MOST_BUFFERS or size >= _MOST_BYTES:
                self.transport.send(waiting)
                waiting, size = [], 0
        if waiting:
            self.transport.send(waiting)

    def abort(self, reason: Abort | None = None) -> None:
        """Send A-ABORT if the association has not ended yet; never fails."""
        if self.state not in (State.IDLE, State.AWAITING_CLOSE, State.AWAITING_ASSOCIATE_RQ):
            try:
                self.send(reason or Abort())
            except (PeerFailure, TimedOut):
                self._layer.connection_closed()

    # Receiving.

    def next_event(self) -> UpperLayerEvent:
        """Wait for the next event but those that concern the connection alone.

        Raises
        ------
        AssociationAborted
            If the association is over.
        TimedOut
            If the peer is silent for too long, or too slow.
        """
        while True:
            event = self._layer.next_event()
            if event is None:
                self._receive()
            elif not isinstance(event, Transmit | Close | Aborted):
                return event
            else:
                self._end(event)

    def read_command(self) -> tuple[int, dict[str, CommandValue]] | None:
        """Wait for a message: its presentation context and command set, None if the peer asks for release.

        If a data set follows, `read_data_set` must be called next.
        """
        if self._pending is not None:
            pending, self._pending = self._pending, None
            return pending
        if self._is_release_asked:
            return None
        self._began = None
        self._received = 0
        self._last_bytes = self._clock()
        return self._command_of(self.next_event())

    def poll_command(self) -> tuple[int, dict[str, CommandValue]] | None:
        """A command set that can be had without waiting, if there is one."""
        while self._pending is None and not self._is_release_asked:
            event = self._layer.next_event()
            if event is None:
                if not self.transport.is_readable():
                    return None
                self._receive()
            elif isinstance(event, Transmit | Close | Aborted):
                self._end(event)
            else:
                return self._command_of(event)
        return None

    def expect_responses(self, *, is_expected: bool) -> None:
        """Say whether messages without a data set come next, which are then read with fewer system calls."""
        self._layer.expects_responses = is_expected

    def put_back(self, context_id: int, command: dict[str, CommandValue]) -> None:
        """Have the next `read_command` give what `poll_command` gave."""
        self._pending = context_id, command

    def read_data_set(self, prefix: Callable[[], bytes]) -> Payload:
        """Receive the data set of the message whose command set was just read.

        Raises
        ------
        StorageFull
            If it was received, but there was no room for it; the association can go on.
        """
        self._sink.start_data_set(prefix)
        event = self.next_event()
        if not isinstance(event, LastFragmentReceived):
            raise Corrupt("A release was asked for in the middle of a message")
        return self._sink.take_data_set()

    def drop_data_set(self) -> None:
        """Nobody needs the data set any more; a spool file that was not taken is deleted."""
        self._buffer.discard()

    def _command_of(self, event: UpperLayerEvent) -> tuple[int, dict[str, CommandValue]] | None:
        match event:
            case LastFragmentReceived(context_id, True):
                return context_id, self._sink.take_command()
            case ReleaseIndicated():
                self._is_release_asked = True
                return None
        raise Corrupt(f"{type(event).__name__} came instead of a message")

    def _end(self, event: Transmit | Close | Aborted) -> None:
        match event:
            case Transmit(data):
                self.transport.send([data])
            case Aborted(_, True, _):
                raise AssociationAborted("The peer aborted the association")
            case Aborted(_, False, detail):
                raise AssociationAborted(f"The association is aborted: {detail}")
            case Close():
                raise AssociationAborted("The association is over")

    def _receive(self) -> None:
        layer = self._layer
        if layer.state is State.ESTABLISHED or not layer.is_artim_running:
            self.transport.set_timeout(self._tick_seconds)
        else:
            self.transport.set_timeout(max(self._artim_deadline - self._clock(), 0.001))
        try:
            count = self.transport.receive(layer.wanted())
        except TimedOut:
            self._check_silence()
            return
        if count == 0:
            layer.connection_closed()
        else:
            layer.filled(count)
            self._check_pace(count)

    def _check_pace(self, count: int) -> None:
        """A peer may be slow, but not so slow that it only means to hold on to our memory."""
        now = self._last_bytes = self._clock()
        if self._layer.is_artim_running:
            if now > self._artim_deadline:
                self._expire_artim()
        elif self._began is None:
            self._began = now
        elif self._options.message_grace_seconds:
            self._received += count
            fair = (
                self._options.message_grace_seconds + self._received / self._options.minimum_bytes_per_second
            )
            if now - self._began > fair:
                raise TimedOut(
                    f"A message came too slowly: {self._received} bytes in {now - self._began:.0f} s"
                )

    def _check_silence(self) -> None:
        silence = self._clock() - self._last_bytes + 0.01
        options = self._options
        if self._layer.is_artim_running:
            self._expire_artim()
        elif self.is_amid_message:
            if options.message_grace_seconds and silence >= options.message_grace_seconds:
                raise TimedOut(f"A message stopped coming for {silence:.0f} s")
        elif options.idle_timeout_seconds and silence >= options.idle_timeout_seconds:
            raise TimedOut(f"The association was idle for {silence:.0f} s")

    def _expire_artim(self) -> None:
        self._layer.artim_expired()
        raise TimedOut("The peer did not do its part in time")

    # Ending.

    def close(self, linger_seconds: float | None = None) -> None:
        """Wait a while for the peer to close, as PS3.8 has it in Sta13, then give up socket and memory.

        Closing at once with bytes unread would reset the connection, and the peer might never see our
        last PDU.
        """
        try:
            if self.state is State.AWAITING_CLOSE:
                linger = self._options.artim_timeout_seconds if linger_seconds is None else linger_seconds
                self._artim_deadline = self._clock() + linger
                while True:
                    self.next_event()
        except (PeerFailure, TimedOut, Corrupt):
            pass
        finally:
            self.transport.close()
            self._buffer.close()
