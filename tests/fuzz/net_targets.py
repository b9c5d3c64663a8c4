"""Any bytes for the parsers of the network."""

from collections.abc import Callable, Iterator
from pathlib import Path

from hounsfield.net.buffers import BufferBudget, BufferOptions, DataSetBuffer
from hounsfield.net.dimse import CommandValue, decode_command, encode_command
from hounsfield.net.indications import AssociateIndicated, LastFragmentReceived, UpperLayerEvent
from hounsfield.net.items import UserInformation, read_user_information, write_user_information
from hounsfield.net.pdu import (
    AnsweredContext,
    AssociateAccept,
    AssociateRequest,
    ProposedContext,
    ReleaseRequest,
    decode,
    encode,
    fragment,
)
from hounsfield.net.reassembly import Reassembler
from hounsfield.net.upper_layer import PduLimits, UpperLayer

_REQUEST = AssociateRequest(
    "B", "A", (ProposedContext(1, "1.2", ("1.2.840.10008.1.2",)),), UserInformation(16384)
)
_ACCEPT = AssociateAccept("B", "A", (AnsweredContext(1, 0, "1.2.840.10008.1.2"),), UserInformation(16384))
_COMMAND: dict[str, CommandValue] = {
    "CommandField": 1,
    "MessageID": 1,
    "CommandDataSetType": 0,
    "Priority": 0,
    "AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
    "AffectedSOPInstanceUID": "1.2.3",
}
_CAPTURES = Path(__file__).parent.parent / "net" / "captures"


def read_pdu(data: bytes) -> None:
    """First byte: the type of the PDU."""
    if data:
        decode(data[0], data[1:])


def hear_association(data: bytes) -> None:
    """What a peer may send, from the first byte of its connection on."""
    _hear(lambda layer: layer.receive(data))


def hear_at_once(data: bytes) -> None:
    """First byte: how many bytes come at a time; they are put wherever the layer wants them."""
    _hear(lambda layer: _fill(layer, memoryview(data)[1:], data[0] + 1 if data else 1))


def _fill(layer: UpperLayer, data: memoryview, most: int) -> Iterator[UpperLayerEvent]:
    while True:
        while (event := layer.next_event()) is not None:
            yield event
        if not data:
            return
        rest, count = data[:most], 0
        for view in layer.wanted():
            piece = rest[count : count + len(view)]
            view[: len(piece)] = piece
            count += len(piece)
        layer.filled(count)
        data = data[count:]


def _hear(listen: Callable[[UpperLayer], Iterator[UpperLayerEvent]]) -> None:
    budget = BufferBudget(1 << 20)
    buffer = DataSetBuffer(BufferOptions(1 << 16, 1 << 16), budget, None)
    sink = Reassembler(buffer, 65536)
    layer = UpperLayer(sink, PduLimits(), is_requester=False)
    try:
        for event in listen(layer):
            if isinstance(event, AssociateIndicated):
                layer.send(_ACCEPT)
            elif isinstance(event, LastFragmentReceived) and event.is_command:
                sink.take_command()
                sink.start_data_set(bytes)
            elif isinstance(event, LastFragmentReceived):
                sink.take_data_set()
    finally:
        buffer.close()
        assert budget.available == 1 << 20


def read_command(data: bytes) -> None:
    decode_command(data)


def read_information(data: bytes) -> None:
    read_user_information(data)


def _capture(path: Path) -> bytes:
    return bytes.fromhex("".join(line.split("#")[0] for line in path.read_text().splitlines()))


def _conversation() -> bytes:
    parts = [encode(_REQUEST)]
    for value, is_command in ((encode_command(_COMMAND), True), (bytes(300), False)):
        for pdu in fragment(1, value, is_command=is_command, maximum_length=100):
            parts += map(bytes, pdu)
    return b"".join((*parts, encode(ReleaseRequest())))


_PDUS = [_capture(path) for path in sorted(_CAPTURES.glob("*.hex"))] + [
    encode(_ACCEPT),
    encode(ReleaseRequest()),
]

TARGETS: dict[str, Callable[[bytes], None]] = {
    "pdu": read_pdu,
    "association": hear_association,
    "association_at_once": hear_at_once,
    "command_set": read_command,
    "user_information": read_information,
}
SEEDS: dict[str, list[bytes]] = {
    "pdu": [pdu[:1] + pdu[6:] for pdu in _PDUS],
    "association": [_conversation(), *_PDUS],
    "association_at_once": [bytes([most]) + _conversation() for most in (11, 100, 255)],
    "command_set": [
        encode_command(_COMMAND),
        encode_command({"AttributeIdentifierList": (1, 2), "Status": 0}),
    ],
    "user_information": [
        write_user_information(UserInformation(1, "1.2", "NAME", user_identity_answer=b"x"))[4:]
    ],
}
