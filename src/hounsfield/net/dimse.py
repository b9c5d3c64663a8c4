"""Command sets of DIMSE messages. PS3.7 6.3, 9.3, 10.3 and Annex E.

A command set is always in Implicit VR Little Endian and holds group 0000 alone. Here it is a mapping from the
keyword of an element to its value: a number for US and UL, a text for UI, AE and LO, a tuple of tags
for AT.
"""

import struct
from collections.abc import Mapping
from enum import IntEnum

from hounsfield.errors import Corrupt

CommandValue = int | str | tuple[int, ...]
CommandSet = Mapping[str, CommandValue]

NO_DATA_SET = 0x0101
DATA_SET_FOLLOWS = 0x0001

_ELEMENT = struct.Struct("<HHI")
_NUMBERS = {"US": struct.Struct("<H"), "UL": struct.Struct("<I")}


class CommandField(IntEnum):
    """(0000,0100), which says what a message is. PS3.7 Table E.1-1."""

    C_STORE_RQ = 0x0001
    C_STORE_RSP = 0x8001
    C_GET_RQ = 0x0010
    C_GET_RSP = 0x8010
    C_FIND_RQ = 0x0020
    C_FIND_RSP = 0x8020
    C_MOVE_RQ = 0x0021
    C_MOVE_RSP = 0x8021
    C_ECHO_RQ = 0x0030
    C_ECHO_RSP = 0x8030
    N_EVENT_REPORT_RQ = 0x0100
    N_EVENT_REPORT_RSP = 0x8100
    N_GET_RQ = 0x0110
    N_GET_RSP = 0x8110
    N_SET_RQ = 0x0120
    N_SET_RSP = 0x8120
    N_ACTION_RQ = 0x0130
    N_ACTION_RSP = 0x8130
    N_CREATE_RQ = 0x0140
    N_CREATE_RSP = 0x8140
    N_DELETE_RQ = 0x0150
    N_DELETE_RSP = 0x8150
    C_CANCEL_RQ = 0x0FFF

    @property
    def response(self) -> "CommandField":
        """The field of the responses to a request."""
        return CommandField(self | 0x8000)


class Status(IntEnum):
    """Statuses that any service may give. PS3.7 Annex C."""

    SUCCESS = 0x0000
    PROCESSING_FAILURE = 0x0110
    SOP_CLASS_NOT_SUPPORTED = 0x0122
    NOT_AUTHORIZED = 0x0124
    UNRECOGNIZED_OPERATION = 0x0211
    PENDING = 0xFF00
    PENDING_WITH_WARNING = 0xFF01
    CANCEL = 0xFE00


ELEMENTS: dict[int, tuple[str, str]] = {
    0x0000: ("CommandGroupLength", "UL"),
    0x0002: ("AffectedSOPClassUID", "UI"),
    0x0003: ("RequestedSOPClassUID", "UI"),
    0x0100: ("CommandField", "US"),
    0x0110: ("MessageID", "US"),
    0x0120: ("MessageIDBeingRespondedTo", "US"),
    0x0600: ("MoveDestination", "AE"),
    0x0700: ("Priority", "US"),
    0x0800: ("CommandDataSetType", "US"),
    0x0900: ("Status", "US"),
    0x0901: ("OffendingElement", "AT"),
    0x0902: ("ErrorComment", "LO"),
    0x0903: ("ErrorID", "US"),
    0x1000: ("AffectedSOPInstanceUID", "UI"),
    0x1001: ("RequestedSOPInstanceUID", "UI"),
    0x1002: ("EventTypeID", "US"),
    0x1005: ("AttributeIdentifierList", "AT"),
    0x1008: ("ActionTypeID", "US"),
    0x1020: ("NumberOfRemainingSuboperations", "US"),
    0x1021: ("NumberOfCompletedSuboperations", "US"),
    0x1022: ("NumberOfFailedSuboperations", "US"),
    0x1023: ("NumberOfWarningSuboperations", "US"),
    0x1030: ("MoveOriginatorApplicationEntityTitle", "AE"),
    0x1031: ("MoveOriginatorMessageID", "US"),
}
"""Element number, keyword and VR. PS3.7 Table E.1-1; retired elements (Table E.2-1) are skipped."""

_NUMBER_OF = {keyword: (number, vr) for number, (keyword, vr) in ELEMENTS.items()}
_ORDER = {keyword: number for number, (keyword, _) in ELEMENTS.items()}


def decode_command(data: bytes) -> dict[str, CommandValue]:
    """Read a command set; elements that are empty or not of this edition are left out.

    Raises
    ------
    Corrupt
        If it is cut, leaves group 0000, or holds a value that its VR forbids.

    >>> decode_command(bytes.fromhex("00000001 02000000 3000"))
    {'CommandField': 48}
    """
    command: dict[str, CommandValue] = {}
    position = 0
    while position < len(data):
        if len(data) - position < _ELEMENT.size:
            raise Corrupt("A command set is cut in an element")
        group, number, length = _ELEMENT.unpack_from(data, position)
        position += _ELEMENT.size
        if group != 0 or length > len(data) - position:
            raise Corrupt(f"Element ({group:04X},{number:04X}) of {length} bytes does not fit a command set")
        known = ELEMENTS.get(number)
        if known is not None and length:
            command[known[0]] = _read_value(known[1], data[position : position + length])
        position += length
    return command


def encode_command(command: CommandSet) -> bytes:
    """Write a command set, group length first; the order of `command` does not matter.

    >>> encode_command({"CommandField": 48}).hex(" ", -4)
    '00000000 04000000 0a000000 00000001 02000000 3000'
    """
    parts: list[bytes] = []
    for keyword in sorted(command, key=_ORDER.__getitem__):
        number, vr = _NUMBER_OF[keyword]
        value = _write_value(vr, command[keyword])
        parts += (_ELEMENT.pack(0, number, len(value)), value)
    body = b"".join(parts)
    return struct.pack("<HHII", 0, 0, 4, len(body)) + body


def _read_value(vr: str, value: bytes) -> CommandValue:
    if (number := _NUMBERS.get(vr)) is not None:
        if len(value) != number.size:
            raise Corrupt(f"A number of {len(value)} bytes in a command set")
        return int(number.unpack(value)[0])
    if vr == "AT":
        if len(value) % 4:
            raise Corrupt("A list of tags in a command set is cut")
        return tuple(group << 16 | element for group, element in struct.iter_unpack("<HH", value))
    text = value.decode("latin-1").strip(" \0")
    if not text.isprintable():
        raise Corrupt("A text in a command set holds control characters")
    return text


def _write_value(vr: str, value: CommandValue) -> bytes:
    if isinstance(value, int):
        return _NUMBERS[vr].pack(value)
    if isinstance(value, tuple):
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)
    encoded = value.encode("latin-1", "replace")
    if len(encoded) % 2:
        encoded += b"\0" if vr == "UI" else b" "
    return encoded
