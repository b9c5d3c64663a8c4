import contextlib
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import pdu as peer

from hounsfield.errors import Corrupt
from hounsfield.net.items import (
    AsynchronousWindow,
    CommonExtendedNegotiation,
    ExtendedNegotiation,
    IdentityType,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from hounsfield.net.pdu import (
    Abort,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    Pdu,
    PduType,
    ProposedContext,
    ReleaseRequest,
    ReleaseResponse,
    decode,
    encode,
    fragment,
)

CAPTURES = Path(__file__).parent / "captures"
CT = "1.2.840.10008.5.1.4.1.1.2"


def capture(name: str) -> bytes:
    lines = (CAPTURES / f"{name}.hex").read_text().splitlines()
    return bytes.fromhex("".join(line.split("#")[0] for line in lines))


def decode_whole(data: bytes) -> Pdu:
    assert struct.unpack(">I", data[2:6])[0] == len(data) - 6
    return decode(data[0], data[6:])


def test_the_request_of_dcmtk_is_read() -> None:
    request = decode_whole(capture("echoscu_associate_rq"))
    assert request == AssociateRequest(
        "ANY-SCP",
        "ECHOSCU",
        (ProposedContext(1, "1.2.840.10008.1.1", ("1.2.840.10008.1.2",)),),
        UserInformation(16384, "1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367"),
    )


def test_the_acceptance_of_dcmtk_is_read() -> None:
    assert decode_whole(capture("storescp_associate_ac")) == AssociateAccept(
        "ANY-SCP",
        "ECHOSCU",
        (AnsweredContext(1, 0, "1.2.840.10008.1.2"),),
        UserInformation(16384, "1.2.276.0.7230010.3.0.3.6.7", "OFFIS_DCMTK_367"),
    )


@pytest.mark.parametrize("name", ["echoscu_associate_rq", "storescp_associate_ac"])
def test_we_write_what_dcmtk_writes(name: str) -> None:
    theirs = bytearray(capture(name))
    if name.startswith("echoscu"):
        theirs[105] = 0  # The reserved byte of the presentation context.
    assert encode(decode_whole(bytes(theirs))) == theirs


def test_every_kind_of_user_information_is_read() -> None:
    request = decode_whole(capture("pynetdicom_associate_rq"))
    assert isinstance(request, AssociateRequest)
    assert request.user_information == UserInformation(
        maximum_length=16382,
        implementation_class_uid="1.2.826.0.1.3680043.9.3811.3.0.4",
        implementation_version_name="PYNETDICOM_304",
        asynchronous_window=AsynchronousWindow(8, 4),
        roles=(RoleSelection(CT, True, True),),
        extended=(ExtendedNegotiation(CT, bytes((2, 0, 0, 0, 0, 0))),),
        common_extended=(
            CommonExtendedNegotiation(CT, "1.2.840.10008.4.2", ("1.2.840.10008.5.1.4.1.1.88.22",)),
        ),
        user_identity=UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"secret", True),
    )


def test_a_passcode_is_not_in_the_representation() -> None:
    request = decode_whole(capture("pynetdicom_associate_rq"))
    assert "secret" not in repr(request)
    assert "alice" not in repr(request)


names = st.text(st.characters(codec="latin-1", categories=("L", "N", "P")), min_size=1, max_size=16)
uids = st.from_regex(r"[12](\.(0|[1-9][0-9]{0,5})){2,8}", fullmatch=True)
windows = st.builds(AsynchronousWindow, st.integers(0, 65535), st.integers(0, 65535))
information = st.builds(
    UserInformation,
    st.integers(0, 2**32 - 1),
    uids,
    names,
    st.none() | windows,
    st.lists(st.builds(RoleSelection, uids, st.booleans(), st.booleans()), max_size=3).map(tuple),
    st.lists(st.builds(ExtendedNegotiation, uids, st.binary(max_size=9)), max_size=3).map(tuple),
    st.lists(
        st.builds(CommonExtendedNegotiation, uids, uids, st.lists(uids, max_size=3).map(tuple)), max_size=2
    ).map(tuple),
    st.none() | st.builds(UserIdentity, st.integers(1, 5), st.binary(), st.binary(), st.booleans()),
    st.none() | st.binary(),
)
odd = st.integers(0, 127).map(lambda number: 2 * number + 1)
proposals = st.lists(
    st.builds(ProposedContext, odd, uids, st.lists(uids, max_size=4).map(tuple)),
    max_size=5,
    unique_by=lambda context: context.id,
).map(tuple)
answers = st.lists(st.builds(AnsweredContext, odd, st.integers(0, 4), uids), max_size=5).map(tuple)
octet = st.integers(0, 255)
pdus = st.one_of(
    st.builds(AssociateRequest, names, names, proposals, information),
    st.builds(AssociateAccept, names, names, answers, information),
    st.builds(AssociateReject, octet, octet, octet),
    st.builds(Abort, octet, octet),
    st.just(ReleaseRequest()),
    st.just(ReleaseResponse()),
)


@given(pdus)
def test_what_is_written_is_read_back(pdu: Pdu) -> None:
    assert decode_whole(encode(pdu)) == pdu


@given(st.sampled_from([kind for kind in PduType if kind != PduType.DATA_TF]), st.binary(max_size=200))
def test_any_bytes_are_a_pdu_or_corrupt(kind: PduType, body: bytes) -> None:
    with contextlib.suppress(Corrupt):
        decode(kind, body)


@given(st.sampled_from(["echoscu", "pynetdicom"]), st.data())
def test_a_damaged_request_is_a_request_or_corrupt(name: str, data: st.DataObject) -> None:
    body = bytearray(capture(f"{name}_associate_rq")[6:])
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(64, len(body) - 1))] = data.draw(octet)
    with contextlib.suppress(Corrupt):
        decode(PduType.ASSOCIATE_RQ, bytes(body[: data.draw(st.integers(0, len(body)))]))


def test_unknown_items_are_skipped() -> None:
    plain = capture("echoscu_associate_rq")[6:]
    unknown = bytes.fromhex("99 00 0003 010203")
    assert decode(PduType.ASSOCIATE_RQ, plain + unknown) == decode(PduType.ASSOCIATE_RQ, plain)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda body: body[:60], "cut before"),
        (lambda body: body[:-1], "longer than the PDU"),
        (lambda body: body + b"\x20", "cut in its header"),
        (lambda body: body.replace(b"\x20\x00\x00\x2e\x01", b"\x20\x00\x00\x2e\x02"), "odd number"),
        (lambda body: body.replace(b"\x55\x00\x00\x0f", b"\x51\x00\x00\x0f"), "15 bytes instead of 4"),
        (lambda body: body.replace(b"ECHOSCU", b"ECHO\nCU"), "control characters"),
        (lambda body: body.replace(b"\x30\x00\x00\x11", b"\x31\x00\x00\x11"), "abstract syntaxes"),
    ],
)
def test_broken_requests_are_corrupt(damage: object, reason: str) -> None:
    assert callable(damage)
    with pytest.raises(Corrupt, match=reason):
        decode(PduType.ASSOCIATE_RQ, damage(capture("echoscu_associate_rq")[6:]))


def test_contexts_with_the_same_number_are_corrupt() -> None:
    context = ProposedContext(1, CT, ("1.2.840.10008.1.2",))
    data = encode(AssociateRequest("A", "B", (context, context), UserInformation()))
    with pytest.raises(Corrupt, match="same number"):
        decode_whole(data)


def test_pynetdicom_reads_what_we_write() -> None:
    request = decode_whole(capture("pynetdicom_associate_rq"))
    assert isinstance(request, AssociateRequest)
    read = peer.A_ASSOCIATE_RQ()
    read.decode(encode(request))
    assert read.user_information is not None
    items = {type(item).__name__ for item in read.user_information.user_data}
    assert items == {
        "MaximumLengthSubItem",
        "ImplementationClassUIDSubItem",
        "ImplementationVersionNameSubItem",
        "SCP_SCU_RoleSelectionSubItem",
        "AsynchronousOperationsWindowSubItem",
        "SOPClassExtendedNegotiationSubItem",
        "SOPClassCommonExtendedNegotiationSubItem",
        "UserIdentitySubItemRQ",
    }
    assert len(read.encode()) == len(capture("pynetdicom_associate_rq"))


@given(st.binary(max_size=300), st.integers(7, 64), st.booleans())
def test_fragments_hold_the_payload_and_obey_the_maximum(
    payload: bytes, maximum: int, is_command: bool
) -> None:
    pdus = list(fragment(5, payload, is_command=is_command, maximum_length=maximum))
    assert b"".join(body for _, body in pdus) == payload
    for index, (header, body) in enumerate(pdus):
        kind, _, length, item_length, context, control = struct.unpack(">BBIIBB", header)
        assert (kind, context, length, item_length) == (4, 5, len(body) + 6, len(body) + 2)
        assert length <= maximum
        assert control == is_command + 2 * (index == len(pdus) - 1)
