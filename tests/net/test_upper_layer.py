import contextlib
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.errors import ArchiveError, BadRequest, Corrupt
from hounsfield.net.buffers import BufferBudget, BufferOptions, DataSetBuffer
from hounsfield.net.dimse import DATA_SET_FOLLOWS, NO_DATA_SET, CommandValue, encode_command
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
from hounsfield.net.items import UserInformation
from hounsfield.net.pdu import (
    Abort,
    AbortReason,
    AbortSource,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
    encode,
    fragment,
)
from hounsfield.net.reassembly import Reassembler
from hounsfield.net.state import TABLE, Action, Cause, State
from hounsfield.net.upper_layer import PduLimits, UpperLayer

REQUEST = AssociateRequest("B", "A", (ProposedContext(1, "1.2", ("1.2.840.10008.1.2",)),), UserInformation())
ACCEPT = AssociateAccept("B", "A", (AnsweredContext(1, 0, "1.2.840.10008.1.2"),), UserInformation())
REJECT = AssociateReject(1, 1, 1)
DATA_PDU = bytes.fromhex("04 00 00000008 00000004 01 00 abcd")
INVALID_PDU = bytes.fromhex("99 00 00000000")

Told = UpperLayerEvent | tuple[str, object]


class Side:
    """An upper layer whose messages are told as events with their content."""

    def __init__(self, *, is_requester: bool = False, limits: PduLimits | None = None) -> None:
        self.buffer = DataSetBuffer(BufferOptions(), BufferBudget(1 << 30), None)
        self.sink = Reassembler(self.buffer, 65536)
        self.layer = UpperLayer(self.sink, limits or PduLimits(), is_requester=is_requester)

    def hear(self, data: bytes) -> Iterator[Told]:
        for event in self.layer.receive(data):
            if not isinstance(event, LastFragmentReceived):
                yield event
            elif event.is_command:
                command = self.sink.take_command()
                self.sink.start_data_set(bytes)
                yield "command", command
            else:
                payload = self.sink.take_data_set()
                assert isinstance(payload, memoryview)
                yield "data set", bytes(payload)


def established() -> Side:
    side = Side()
    assert list(side.hear(encode(REQUEST))) == [AssociateIndicated(REQUEST)]
    side.layer.send(ACCEPT)
    return side


def brought_to(state: State) -> Side:
    side = Side(is_requester=state in (5, 7, 9, 11))
    layer = side.layer
    steps: dict[State, list[Callable[[], object]]] = {
        State(2): [],
        State(3): [lambda: list(side.hear(encode(REQUEST)))],
        State(5): [lambda: layer.send(REQUEST)],
        State(6): [*_opening(side)],
        State(7): [*_opening(side), lambda: layer.send(ReleaseRequest())],
        State(8): [*_opening(side), lambda: list(side.hear(encode(ReleaseRequest())))],
        State(9): [*_opening(side), lambda: layer.send(ReleaseRequest()), *_hear_release(side)],
        State(10): [*_opening(side), lambda: layer.send(ReleaseRequest()), *_hear_release(side)],
        State(11): [
            *_opening(side),
            lambda: layer.send(ReleaseRequest()),
            *_hear_release(side),
            lambda: layer.send(ReleaseResponse()),
        ],
        State(12): [
            *_opening(side),
            lambda: layer.send(ReleaseRequest()),
            *_hear_release(side),
            lambda: list(side.hear(encode(ReleaseResponse()))),
        ],
        State(13): [*_opening(side), lambda: layer.send(Abort())],
    }
    for step in steps[state]:
        step()
    assert layer.state is state
    return side


def _opening(side: Side) -> list[Callable[[], object]]:
    if side.layer.state is State.IDLE:
        return [lambda: side.layer.send(REQUEST), lambda: list(side.hear(encode(ACCEPT)))]
    return [lambda: list(side.hear(encode(REQUEST))), lambda: side.layer.send(ACCEPT)]


def _hear_release(side: Side) -> list[Callable[[], object]]:
    return [lambda: list(side.hear(encode(ReleaseRequest())))]


CONNECTED = [state for state in State if state not in (State.IDLE, State.AWAITING_CONNECTION)]
PDUS = {
    Cause.ASSOCIATE_AC_PDU: encode(ACCEPT),
    Cause.ASSOCIATE_RJ_PDU: encode(REJECT),
    Cause.ASSOCIATE_RQ_PDU: encode(REQUEST),
    Cause.DATA_PDU: DATA_PDU,
    Cause.RELEASE_RQ_PDU: encode(ReleaseRequest()),
    Cause.RELEASE_RP_PDU: encode(ReleaseResponse()),
    Cause.ABORT_PDU: encode(Abort()),
    Cause.INVALID_PDU: INVALID_PDU,
}


@pytest.mark.parametrize("state", CONNECTED)
@pytest.mark.parametrize("cause", PDUS)
def test_every_pdu_in_every_state_does_what_the_standard_says(cause: Cause, state: State) -> None:
    side = brought_to(state)
    action = TABLE[cause, state]
    if action in (Action.DT2, Action.AR6):
        side.buffer.start(bytes)
        with pytest.raises(ArchiveError):  # A data set without a command set.
            list(side.hear(PDUS[cause]))
        return
    events = list(side.hear(PDUS[cause]))
    kinds = [type(event) for event in events]
    expected: dict[Action, list[type]] = {
        Action.AE3: [AssociateConfirmed],
        Action.AE4: [AssociateConfirmed, Close],
        Action.AE6: [AssociateIndicated],
        Action.AR2: [ReleaseIndicated],
        Action.AR3: [ReleaseConfirmed, Close],
        Action.AR8: [ReleaseIndicated],
        Action.AR10: [ReleaseConfirmed],
        Action.AA1: [Transmit, Aborted],
        Action.AA2: [Close],
        Action.AA3: [Aborted, Close],
        Action.AA6: [],
        Action.AA7: [Transmit],
        Action.AA8: [Transmit, Aborted],
    }
    assert kinds == expected[action]


@pytest.mark.parametrize("state", CONNECTED)
def test_a_lost_connection_is_told_once_in_every_state(state: State) -> None:
    side = brought_to(state)
    side.layer.connection_closed()
    events = list(side.hear(b""))
    assert side.layer.state is State.IDLE
    assert [type(event) for event in events] == ([Close] if state in (2, 13) else [Aborted, Close])
    side.layer.connection_closed()
    assert list(side.hear(b"")) == []


def test_the_timer_runs_only_where_the_peer_must_act_at_once() -> None:
    assert {state for state in CONNECTED if brought_to(state).layer.is_artim_running} == {2, 13}


def test_an_abort_of_the_provider_says_why() -> None:
    side = established()
    transmit, aborted = side.hear(INVALID_PDU)
    abort = Abort(AbortSource.SERVICE_PROVIDER, AbortReason.UNRECOGNIZED_PDU)
    assert transmit == Transmit(encode(abort))
    assert isinstance(aborted, Aborted)
    assert (aborted.abort, aborted.by_peer) == (abort, False)
    assert "99H" in aborted.detail


def test_another_protocol_version_is_rejected_by_the_provider_itself() -> None:
    request = AssociateRequest("B", "A", (), UserInformation(), protocol_version=2)
    side = Side()
    assert list(side.hear(encode(request))) == [Transmit(encode(AssociateReject(1, 2, 2)))]
    assert side.layer.state is State.AWAITING_CLOSE


def test_what_makes_no_sense_cannot_be_sent() -> None:
    with pytest.raises(BadRequest):
        Side().layer.send(ReleaseRequest())
    with pytest.raises(BadRequest):
        Side().layer.check_data_may_be_sent()


@pytest.mark.parametrize(
    "pdu",
    [
        "04 00 00000005 00000001 01",
        "04 00 7fffffff",
        "04 00 00000006 00000001 01 00",
        "04 00 00000008 00000005 01 00 abcd",
        "04 00 0000000a 00000004 01 00 abcd 0000",
        "05 00 00000005 0000000000",
        "07 00 00200000",
    ],
    ids=[
        "too short",
        "too long",
        "no control",
        "value too long",
        "rest too short",
        "long release",
        "huge abort",
    ],
)
def test_lengths_that_contradict_each_other_abort(pdu: str) -> None:
    side = established()
    side.sink.begin = lambda *args: None  # type: ignore[method-assign]
    events = list(side.hear(bytes.fromhex(pdu)))
    assert [type(event) for event in events] == [Transmit, Aborted]


# Fragmentation.

StreamPart = tuple[bytes, list[Told]]


def _message(
    context_id: int, command: dict[str, CommandValue], payload: bytes | None, sizes: list[int]
) -> bytes:
    command["CommandDataSetType"] = NO_DATA_SET if payload is None else DATA_SET_FOLLOWS
    stream = b""
    values = [(encode_command(command), True)] + ([(payload, False)] if payload is not None else [])
    items = []
    for data, is_command in values:
        rest, step = data, sizes[0]
        while True:
            piece, rest = rest[:step], rest[step:]
            control = is_command + 2 * (not rest)
            items.append((len(piece) + 2).to_bytes(4, "big") + bytes((context_id, control)) + piece)
            step = sizes[len(items) % len(sizes)]
            if not rest:
                break
    per_pdu = sizes[-1] % 3 + 1
    for start in range(0, len(items), per_pdu):
        body = b"".join(items[start : start + per_pdu])
        stream += b"\x04\x00" + len(body).to_bytes(4, "big") + body
    return stream


@st.composite
def conversations(draw: st.DrawFn) -> StreamPart:
    """A request, messages fragmented in any way, and a release; with the events they are."""
    stream, told = encode(REQUEST), [AssociateIndicated(REQUEST)]
    events: list[Told] = [*told]
    for number in range(draw(st.integers(0, 4))):
        payload = draw(st.none() | st.binary(max_size=200))
        command: dict[str, CommandValue] = {"CommandField": 1, "MessageID": number}
        sizes = draw(st.lists(st.integers(0, 60), min_size=1, max_size=4).filter(any))
        stream += _message(1, command, payload, sizes)
        events.append(("command", {"CommandGroupLength": len(encode_command(command)) - 12, **command}))
        if payload is not None:
            events.append(("data set", payload))
    return stream + encode(ReleaseRequest()), [*events, ReleaseIndicated()]


def _hear_all(side: Side, piece: bytes) -> Iterator[Told]:
    for event in side.hear(piece):
        if isinstance(event, AssociateIndicated):
            side.layer.send(ACCEPT)
        yield event


@given(conversations(), st.lists(st.integers(1, 40), min_size=1, max_size=10))
def test_any_split_of_the_stream_gives_the_same_events(conversation: StreamPart, lengths: list[int]) -> None:
    stream, expected = conversation
    side, events, position, index = Side(), list[Told](), 0, 0
    while position < len(stream):
        step = lengths[index % len(lengths)]
        events += _hear_all(side, stream[position : position + step])
        position, index = position + step, index + 1
    assert events == expected
    assert list(_hear_all(Side(), stream)) == expected


@given(conversations(), st.data())
def test_filling_the_wanted_buffers_gives_the_same_events(
    conversation: StreamPart, data: st.DataObject
) -> None:
    """As `recvmsg_into` does it: several buffers at once, and any number of bytes."""
    stream, expected = conversation
    side, events = Side(), list[Told]()
    most = data.draw(st.integers(1, 100))
    while True:
        events += _hear_all(side, b"")
        if not stream:
            break
        rest = stream[:most]
        count = 0
        for view in side.layer.wanted():
            piece = rest[: len(view)]
            view[: len(piece)] = piece
            count += len(piece)
            rest = rest[len(piece) :]
        side.layer.filled(count)
        stream = stream[count:]
    assert events == expected


@given(
    st.lists(st.tuples(st.integers(1, 50), st.integers(0, 900)), min_size=1, max_size=4),
    st.lists(st.integers(1, 700), min_size=1, max_size=5),
    st.sampled_from([0, 7]),
)
def test_equal_pdus_received_many_at_once_are_put_together(
    messages: list[tuple[int, int]], lengths: list[int], reserved: int
) -> None:
    """Fragments of one length, messages following each other without a pause."""
    stream, expected = encode(REQUEST), list[Told]()
    for number, (step, size) in enumerate(messages):
        command: dict[str, CommandValue] = {"CommandField": 1, "MessageID": number, "CommandDataSetType": 0}
        payload = bytes((number * 7 + index) % 251 for index in range(size))
        pdus = [*fragment(1, encode_command(command), is_command=True, maximum_length=200)]
        pdus += fragment(1, payload, is_command=False, maximum_length=step + 6)
        stream += b"".join(header[:1] + bytes([reserved]) + header[2:] + bytes(body) for header, body in pdus)
        expected += [("command", {"CommandGroupLength": 30, **command}), ("data set", payload)]
    stream += encode(ReleaseRequest())
    side, events, index = Side(), list[Told](), 0
    while True:
        events += _hear_all(side, b"")
        if not stream:
            break
        rest = stream[: lengths[index % len(lengths)]]
        count = 0
        for view in side.layer.wanted():
            piece = rest[: len(view)]
            view[: len(piece)] = piece
            count += len(piece)
            rest = rest[len(piece) :]
        side.layer.filled(count)
        stream, index = stream[count:], index + 1
    assert events == [AssociateIndicated(REQUEST), *expected, ReleaseIndicated()]


@pytest.mark.parametrize("what", ["context", "kind", "length", "type"])
def test_a_wrong_pdu_amid_equal_ones_is_noticed_wherever_it_comes(what: str) -> None:
    command: dict[str, CommandValue] = {"CommandField": 1, "MessageID": 1, "CommandDataSetType": 0}
    pdus = [
        b"".join(pdu) for pdu in fragment(1, encode_command(command), is_command=True, maximum_length=200)
    ]
    good = bytes.fromhex("04 00 00000010 0000000c 01 00") + bytes(range(10))
    changes = {"context": (10, 3), "kind": (11, 1), "length": (9, 99), "type": (0, 0x44)}
    position, value = changes[what]
    bad = good[:position] + bytes([value]) + good[position + 1 :]
    for before in range(2, 14):
        side = established()
        stream = b"".join((*pdus, *[good] * before, bad, *[good] * 9))
        with pytest.raises(ArchiveError):
            for event in _feed_all(side, stream):
                if isinstance(event, Aborted):
                    raise Corrupt(event.detail)


def _feed_all(side: Side, stream: bytes) -> Iterator[Told]:
    """As much at once as the layer wants."""
    while stream:
        yield from side.hear(b"")
        count = 0
        for view in side.layer.wanted():
            piece = stream[count : count + len(view)]
            view[: len(piece)] = piece
            count += len(piece)
        side.layer.filled(count)
        stream = stream[count:]
    yield from side.hear(b"")


@given(st.binary(max_size=400), st.booleans())
def test_any_bytes_give_events_or_an_error_of_ours(data: bytes, is_established: bool) -> None:
    side = established() if is_established else Side()
    with contextlib.suppress(ArchiveError):
        list(_hear_all(side, data))


def test_data_after_an_abort_are_skipped_whatever_they_are() -> None:
    side = established()
    command: dict[str, CommandValue] = {"CommandField": 1, "CommandDataSetType": DATA_SET_FOLLOWS}
    pdus = [*fragment(1, encode_command(command), is_command=True, maximum_length=4096)]
    pdus += fragment(1, bytes(5000), is_command=False, maximum_length=4096)
    stream = b"".join(part for pdu in pdus for part in pdu)
    assert [event[0] for event in side.hear(stream[:3000]) if isinstance(event, tuple)] == ["command"]
    side.layer.send(Abort())
    assert list(side.hear(stream[3000:] + DATA_PDU + encode(Abort()))) == [Close()]
