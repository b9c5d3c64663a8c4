"""Peers that mean no good, or died: the server lives, its memory is bounded, others are served."""

import contextlib
import dataclasses
import os
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from hounsfield.net.dimse import encode_command
from hounsfield.net.items import UserInformation
from hounsfield.net.messages import Request, Response, Responses
from hounsfield.net.options import ServerOptions
from hounsfield.net.pdu import AssociateRequest, ProposedContext, ReleaseRequest, encode, fragment
from hounsfield.net.scu import associate
from hounsfield.store.spool import SpoolFile

from .conftest import CT, FAST, PROPOSAL, World

Make = Callable[..., World]

REQUEST = encode(
    AssociateRequest(
        "HOUNSFIELD", "ATTACKER", (ProposedContext(1, CT, ("1.2.840.10008.1.2",)),), UserInformation(16384)
    )
)
ABORT = 7


def message(payload: bytes | None, **elements: int) -> bytes:
    command = {"CommandField": 1, "MessageID": 1, "CommandDataSetType": 1, "Priority": 0, **elements}
    pdus = [*fragment(1, encode_command(command), is_command=True, maximum_length=16384)]
    if payload is not None:
        pdus += fragment(1, payload, is_command=False, maximum_length=16384)
    return b"".join(part for pdu in pdus for part in pdu)


@contextmanager
def raw(world: World, data: bytes = b"") -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", world.running.port), 10) as connection:
        connection.sendall(data)
        yield connection


@contextmanager
def opened(world: World) -> Iterator[socket.socket]:
    with raw(world, REQUEST) as connection:
        assert read_pdu(connection)[0] == 2
        yield connection


def read_pdu(connection: socket.socket) -> tuple[int, bytes]:
    head = b""
    while len(head) < 6:
        piece = connection.recv(6 - len(head))
        if not piece:
            return 0, head
        head += piece
    kind, _, length = struct.unpack(">BBI", head)
    body = b""
    while len(body) < length:
        body += connection.recv(length - len(body))
    return kind, body


def assert_alive(world: World) -> None:
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert requester.echo() == 0


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00" + bytes(512),
        b"\x01\x00\xff\xff\xff\xff" + bytes(100),
        b"\x04\x00\xff\xff\xff\xff" + bytes(100),
        b"\x01\x00\x00\x00\x00\x00",
        REQUEST[:70] + b"\xff" * (len(REQUEST) - 70),
        bytes(1000),
        b"\xff" * 1000,
    ],
)
def test_garbage_instead_of_a_request_is_aborted(world: World, garbage: bytes) -> None:
    with raw(world, garbage) as connection:
        assert read_pdu(connection)[0] == ABORT
        assert_alive(world)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 100,
        b"\x04\x00\xff\xff\xff\xff\x00\x00\x00\x08\x01\x03" + bytes(100),
        b"\x04\x00\x00\x00\x00\x00",
        b"\x04\x00\x00\x00\x00\x08\xff\xff\xff\xff\x01\x03" + bytes(100),
        b"\x07\x00\x7f\xff\xff\xff",
        REQUEST,
        message(None, CommandField=0x7777),
        message(b"data")[len(message(None)) :],
        message(None) + message(None),
        b"".join(part for pdu in fragment(1, bytes(100_000), is_command=True, maximum_length=9000) for part in pdu),
        b"".join(part for pdu in fragment(9, encode_command({"CommandField": 0x30, "MessageID": 1,
            "CommandDataSetType": 0x101}), is_command=True, maximum_length=9000) for part in pdu),
    ],
    ids=[
        "noise", "huge PDU", "empty PDU", "huge value", "huge abort", "second request", "unknown command",
        "data without command", "command in data", "endless command", "context not accepted",
    ],
)  # fmt: skip
def test_garbage_within_an_association_is_aborted(world: World, garbage: bytes) -> None:
    with associate(world.node, PROPOSAL, FAST) as other, opened(world) as connection:
        connection.sendall(garbage)
        assert read_pdu(connection)[0] == ABORT
        assert other.echo() == 0


def test_noise_never_stops_the_server(world: World) -> None:
    for size in (1, 5, 6, 7, 80, 3000):
        with raw(world, os.urandom(size)):
            pass
        with opened(world) as connection:
            connection.sendall(os.urandom(size))
    assert_alive(world)


def test_a_stop_lets_a_message_that_is_coming_in_be_finished(world: World) -> None:
    data = message(bytes(200_000))
    with opened(world) as connection:
        connection.sendall(data[:100_000])
        provider = next(iter(world.running._associated))
        deadline = time.monotonic() + 5
        while not provider._association.is_amid_message:
            assert time.monotonic() < deadline
            threading.Event().wait(0.005)
        stopper = threading.Thread(target=world.running.stop)
        stopper.start()
        while not provider._is_stopping:
            assert time.monotonic() < deadline
            threading.Event().wait(0.005)
        connection.sendall(data[100_000:])
        assert [read_pdu(connection)[0] for _ in range(2)] == [4, ABORT]
    stopper.join()
    assert len(world.stored[0].data) == 200_000


def test_a_connection_without_a_request_is_closed_in_time(make_world: Make) -> None:
    world = make_world(association=dataclasses.replace(FAST, artim_timeout_seconds=0.2))
    with raw(world) as silent, raw(world, REQUEST[:50]) as half:
        assert silent.recv(1) == b""
        assert half.recv(1) == b""


def test_a_request_that_trickles_is_closed_in_time(make_world: Make) -> None:
    world = make_world(association=dataclasses.replace(FAST, artim_timeout_seconds=0.3))
    began = time.monotonic()
    with raw(world) as connection, pytest.raises(OSError):
        for value in REQUEST:
            connection.sendall(bytes([value]))
            threading.Event().wait(0.02)
    assert time.monotonic() - began < 3


def test_a_message_that_trickles_is_aborted(make_world: Make) -> None:
    options = dataclasses.replace(FAST, message_grace_seconds=0.3, minimum_bytes_per_second=1e6)
    world = make_world(association=options)
    data = message(bytes(1000))
    with opened(world) as connection:
        connection.sendall(data[:-900])
        with pytest.raises(OSError):
            for value in data[-900:]:
                connection.sendall(bytes([value]))
                threading.Event().wait(0.01)


def test_a_message_that_stops_coming_is_aborted_even_without_idle_timeout(make_world: Make) -> None:
    options = dataclasses.replace(FAST, message_grace_seconds=0.2, idle_timeout_seconds=0)
    world = make_world(association=options)
    with opened(world) as connection:
        connection.sendall(message(bytes(1000))[:-1])
        assert read_pdu(connection)[0] == ABORT


def test_without_idle_timeout_an_idle_association_stays(make_world: Make) -> None:
    world = make_world(
        association=dataclasses.replace(FAST, message_grace_seconds=0.1, idle_timeout_seconds=0)
    )
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert requester.echo() == 0
        threading.Event().wait(0.35)
        assert requester.echo() == 0


def test_a_peer_that_vanishes_in_a_message_leaves_nothing(world: World) -> None:
    free = world.running.free_buffer_bytes
    for _ in range(5):
        with opened(world) as connection:
            connection.sendall(message(bytes(700_000))[:-1])
    deadline = time.monotonic() + 5
    while world.running.association_count or world.running.free_buffer_bytes != free:
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)
    assert list(world.spool.iterdir()) == []
    assert world.stored == []
    assert_alive(world)


def test_a_peer_that_does_not_read_its_responses_is_given_up(make_world: Make) -> None:
    world = make_world(association=dataclasses.replace(FAST, idle_timeout_seconds=0.3))
    big = bytes(1 << 20)

    def respond(request: Request) -> Responses:
        for _ in range(100):
            yield Response(0xFF00, big)
        yield Response(0)

    world.respond = respond
    with opened(world) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(message(b"query", CommandField=0x20))
        deadline = time.monotonic() + 5
        while world.running.association_count:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)


def test_many_silent_connections_do_not_keep_others_out(make_world: Make) -> None:
    options = ServerOptions(
        host="127.0.0.1", port=0, association=FAST, maximum_waiting=8, maximum_associations=2
    )
    world = make_world(options)
    silent = [socket.create_connection(("127.0.0.1", world.running.port)) for _ in range(40)]
    try:
        assert_alive(world)
        deadline = time.monotonic() + 5
        while sum(thread.name.startswith("DICOM-") for thread in threading.enumerate()) > 12:
            assert time.monotonic() < deadline
            threading.Event().wait(0.01)
    finally:
        for connection in silent:
            connection.close()


@pytest.mark.parametrize("step", [1, 2, 3])
def test_fragments_of_a_byte_or_two_are_put_together(world: World, step: int) -> None:
    command = encode_command({"CommandField": 1, "MessageID": 1, "CommandDataSetType": 0, "Priority": 0})
    data = bytes(range(200))
    values = b""
    for content, is_command in ((command, 1), (data, 0)):
        for start in range(0, len(content), step):
            piece = content[start : start + step]
            control = is_command + 2 * (start + step >= len(content))
            values += struct.pack(">IBB", len(piece) + 2, 1, control) + piece
    with opened(world) as connection:
        connection.sendall(struct.pack(">BBI", 4, 0, len(values)) + values + encode(ReleaseRequest()))
        assert [read_pdu(connection)[0] for _ in range(2)] == [4, 6]
    assert world.stored[0].data == data


def test_a_pipelining_peer_gets_its_responses_in_order(world: World) -> None:
    count = 20
    with opened(world) as connection:
        connection.sendall(
            b"".join(message(bytes([n]) * 1000, MessageID=n + 1) for n in range(count))
            + encode(ReleaseRequest())
        )
        kinds = [read_pdu(connection)[0] for _ in range(count + 1)]
    assert kinds == [4] * count + [6]
    assert [stored.data[0] for stored in world.stored] == list(range(count))


def test_a_pdu_above_our_maximum_is_tolerated(world: World) -> None:
    data = bytes(500_000)
    pdus = [*fragment(1, encode_command({"CommandField": 1, "MessageID": 1, "CommandDataSetType": 0}),
                      is_command=True, maximum_length=4096)]  # fmt: skip
    pdus += fragment(1, data, is_command=False, maximum_length=1 << 20)
    with opened(world) as connection:
        connection.sendall(b"".join(part for pdu in pdus for part in pdu))
        assert read_pdu(connection)[0] == 4
    assert len(world.stored[0].data) == len(data)


def test_a_huge_instance_takes_no_more_memory_than_a_buffer(world: World) -> None:
    """The whole is spooled; only what the process holds is looked at."""
    size = 100 << 20
    piece = struct.pack(">BBIIBB", 4, 0, 65536 + 6, 65536 + 2, 1, 0) + bytes(65536)
    last = struct.pack(">BBIIBB", 4, 0, 6, 2, 1, 2)

    sizes: list[int] = []

    def respond(request: Request) -> Responses:
        assert isinstance(request.payload, SpoolFile)
        sizes.append(request.payload.size)
        yield Response(0)

    world.respond = respond
    command = encode_command({"CommandField": 1, "MessageID": 1, "CommandDataSetType": 0})
    before = _resident()
    with opened(world) as connection:
        for pdu in fragment(1, command, is_command=True, maximum_length=4096):
            connection.sendall(b"".join(pdu))
        for _ in range(size // 65536):
            connection.sendall(piece)
        assert _resident() - before < 16 << 20
        connection.sendall(last)
        assert read_pdu(connection)[0] == 4
    assert sizes == [size + len(b"PREFIX")]


def _resident() -> int:
    with open("/proc/self/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_a_peer_that_wants_tiny_pdus_gets_them_without_much_memory(world: World) -> None:
    def respond(request: Request) -> Responses:
        yield Response(0xFF00, bytes(200_000))
        yield Response(0)

    world.respond = respond
    request = AssociateRequest(
        "HOUNSFIELD", "TINY", (ProposedContext(1, CT, ("1.2.840.10008.1.2",)),), UserInformation(1)
    )
    with raw(world, encode(request)) as connection:
        assert read_pdu(connection)[0] == 2
        connection.sendall(message(b"query", CommandField=0x20))
        total = 0
        while total < 200_000:
            kind, body = read_pdu(connection)
            assert (kind, len(body)) == (4, 7)
            total += not body[5] & 1


def test_plain_text_to_a_tls_server_is_refused(make_world: Make) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    world = make_world(ServerOptions(host="127.0.0.1", port=0, association=FAST, tls=context))
    with raw(world, REQUEST) as connection, contextlib.suppress(ConnectionResetError):
        assert connection.recv(100)[:1] in (b"", b"\x15")  # A TLS alert.
