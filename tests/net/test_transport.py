import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from hounsfield.errors import PeerFailure, TimedOut
from hounsfield.net.scu import associate
from hounsfield.net.transport import Transport

from .conftest import CT, FAST, PROPOSAL, World

Pair = tuple[Transport, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        theirs = socket.create_connection(listener.getsockname(), 10)
        ours, _ = listener.accept()
    transport = Transport(ours)
    yield transport, theirs
    transport.close()
    theirs.close()


def test_several_buffers_are_filled_at_once(pair: Pair) -> None:
    transport, theirs = pair
    theirs.sendall(b"abcdefgh")
    first, second = bytearray(3), bytearray(12)
    count = 0
    while count < 8:  # The first call may see a part of it.
        views = [memoryview(first)[count:], memoryview(second)[max(count - 3, 0) :]]
        count += transport.receive([view for view in views if view])
    assert (bytes(first), bytes(second[:5])) == (b"abc", b"defgh")


def test_the_end_of_the_connection_is_nothing_received(pair: Pair) -> None:
    transport, theirs = pair
    theirs.close()
    assert transport.receive([memoryview(bytearray(1))]) == 0


def test_a_reset_is_nothing_received_and_a_failure_to_send(pair: Pair) -> None:
    transport, theirs = pair
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    theirs.close()
    assert transport.receive([memoryview(bytearray(1))]) == 0
    with pytest.raises(PeerFailure):
        for _ in range(3):
            transport.send([bytes(100)])


@pytest.mark.parametrize("has_kernel_timeout", [True, False])
def test_a_wait_is_bounded(pair: Pair, has_kernel_timeout: bool) -> None:
    transport, theirs = pair
    transport._has_kernel_timeout = has_kernel_timeout
    transport.set_timeout(0.05)
    began = time.monotonic()
    with pytest.raises(TimedOut):
        transport.receive([memoryview(bytearray(1))])
    assert 0.04 < time.monotonic() - began < 2
    with pytest.raises(TimedOut):
        transport.send([bytes(100 << 20)])
    transport.set_timeout(5)
    theirs.setblocking(False)
    theirs.send(b"x")
    assert transport.receive([memoryview(bytearray(1))]) == 1


@pytest.mark.parametrize("can_scatter", [True, False])
def test_thousands_of_buffers_are_sent_in_order(pair: Pair, can_scatter: bool) -> None:
    transport, theirs = pair
    transport._can_scatter = can_scatter
    buffers = [bytes([index % 251]) * (index % 700) for index in range(3000)]
    received = bytearray()

    def read() -> None:
        while piece := theirs.recv(10_000):
            received.extend(piece)

    reader = threading.Thread(target=read)
    reader.start()
    transport.send(buffers)
    transport.cut()
    reader.join()
    assert received == b"".join(buffers)


def test_readable_means_without_waiting(pair: Pair) -> None:
    transport, theirs = pair
    assert not transport.is_readable()
    theirs.sendall(b"x")
    deadline = time.monotonic() + 5
    while not transport.is_readable():
        assert time.monotonic() < deadline


def test_a_waiting_thread_can_be_woken_and_still_send(pair: Pair) -> None:
    transport, theirs = pair
    counts: list[int] = []
    waiter = threading.Thread(target=lambda: counts.append(transport.receive([memoryview(bytearray(1))])))
    waiter.start()
    transport.wake()
    waiter.join(5)
    assert counts == [0]
    transport.send([b"goodbye"])
    assert theirs.recv(7) == b"goodbye"


def test_without_scattered_reads_all_works_the_same(
    make_world: Callable[..., World], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on Windows."""
    init = Transport.__init__

    def plain(self: Transport, connection: socket.socket) -> None:
        init(self, connection)
        self._can_scatter = self._has_kernel_timeout = False

    monkeypatch.setattr(Transport, "__init__", plain)
    world = make_world(association=replace(FAST, idle_timeout_seconds=5))
    payloads = [bytes(range(256)) * 700, b"", bytes(1_000_000)]
    with associate(world.node, PROPOSAL, FAST) as requester:
        context = requester.find_context(CT)
        assert context is not None
        assert [requester.store(context, "1.2", data).status for data in payloads] == [0] * 3
    assert [stored.data for stored in world.stored] == payloads
