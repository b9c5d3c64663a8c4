import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode as peer_decode

from hounsfield.errors import Corrupt
from hounsfield.net.dimse import ELEMENTS, CommandField, CommandValue, decode_command, encode_command

# C-STORE-RQ, PS3.7 Table 9.3-1.
STORE_RQ = bytes.fromhex(
    "00000000 04000000 72000000"
    "00000200 1a000000 312e322e3834302e31303030382e352e312e342e312e312e3200"  # Affected SOP Class UID
    "00000001 02000000 0100"  # Command Field
    "00001001 02000000 0700"  # Message ID
    "00000007 02000000 0000"  # Priority
    "00000008 02000000 0000"  # Command Data Set Type: anything but 0101H
    "00000010 0c000000 312e322e332e342e352e3637"  # Affected SOP Instance UID
)


def test_a_captured_request_is_read() -> None:
    assert decode_command(STORE_RQ) == {
        "CommandGroupLength": 0x72,
        "AffectedSOPClassUID": "1.2.840.10008.5.1.4.1.1.2",
        "CommandField": CommandField.C_STORE_RQ,
        "MessageID": 7,
        "Priority": 0,
        "CommandDataSetType": 0,
        "AffectedSOPInstanceUID": "1.2.3.4.5.67",
    }


@pytest.mark.parametrize("name", ["echoscu_c_echo_rq", "storescp_c_echo_rsp"])
def test_we_write_what_dcmtk_writes(name: str) -> None:
    lines = (Path(__file__).parent / "captures" / f"{name}.hex").read_text().splitlines()
    theirs = bytes.fromhex("".join(line.split("#")[0] for line in lines))[12:]
    command = decode_command(theirs)
    assert command.pop("CommandGroupLength") == len(theirs) - 12
    assert encode_command(command) == theirs


values: dict[str, st.SearchStrategy[CommandValue]] = {
    "US": st.integers(0, 0xFFFF),
    "UL": st.integers(0, 0xFFFFFFFF),
    "UI": st.from_regex(r"[12](\.[1-9][0-9]{0,5}){2,8}", fullmatch=True),
    "AE": st.text("ABCDEF_-", min_size=1, max_size=16),
    "LO": st.text("abc de", min_size=1).map(str.strip).filter(bool),
    "AT": st.lists(st.integers(0, 0xFFFFFFFF), min_size=1, max_size=4).map(tuple),
}
commands = st.fixed_dictionaries(
    {},
    optional={keyword: values[vr] for keyword, vr in ELEMENTS.values() if keyword != "CommandGroupLength"},
)


@given(commands)
def test_what_is_written_is_read_back(command: dict[str, CommandValue]) -> None:
    encoded = encode_command(command)
    assert decode_command(encoded) == {"CommandGroupLength": len(encoded) - 12, **command}


@given(commands)
def test_pydicom_reads_what_we_write(command: dict[str, CommandValue]) -> None:
    from io import BytesIO

    read: Dataset = peer_decode(BytesIO(encode_command(command)), True, True)
    for keyword, value in command.items():
        theirs = read[keyword].value
        if isinstance(value, tuple):
            assert [int(tag) for tag in (theirs if len(value) > 1 else [theirs])] == list(value)
        else:
            assert theirs == value


@given(st.binary(max_size=100))
def test_any_bytes_are_a_command_set_or_corrupt(data: bytes) -> None:
    with contextlib.suppress(Corrupt):
        decode_command(data)


@given(st.integers(0, len(STORE_RQ) - 1), st.integers(0, 255))
def test_a_damaged_command_set_is_one_or_corrupt(position: int, value: int) -> None:
    damaged = bytearray(STORE_RQ)
    damaged[position] = value
    with contextlib.suppress(Corrupt):
        decode_command(bytes(damaged))


@pytest.mark.parametrize(
    "data",
    [
        STORE_RQ[:-1],
        STORE_RQ[:5],
        struct.pack("<HHIH", 8, 0x100, 2, 1),
        struct.pack("<HHIB", 0, 0x100, 1, 1),
        struct.pack("<HHI3s", 0, 0x901, 3, b"abc"),
        struct.pack("<HHI4s", 0, 0x1000, 4, b"1.\n2"),
    ],
    ids=["cut value", "cut header", "another group", "number of one byte", "cut tag", "control character"],
)
def test_what_is_no_command_set_is_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_command(data)


def test_unknown_and_empty_elements_are_left_out() -> None:
    unknown = struct.pack("<HHIH", 0, 0x0860, 2, 3)
    empty = struct.pack("<HHI", 0, 0x0902, 0)
    assert decode_command(unknown + empty + struct.pack("<HHIH", 0, 0x900, 2, 0)) == {"Status": 0}
