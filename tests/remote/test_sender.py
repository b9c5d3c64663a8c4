"""C-STORE as user, against a peer that does what a script says: windows, breaks, and associations that are kept."""

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from hounsfield.dicom.identifiers import PublicId
from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN
from hounsfield.errors import ArchiveError, PeerFailure
from hounsfield.index.attachments import Attachment, AttachmentType, Compression
from hounsfield.index.sending import StoredInstance
from hounsfield.net.association import Association
from hounsfield.net.buffers import BufferBudget
from hounsfield.net.dimse import NO_DATA_SET, CommandField, CommandValue
from hounsfield.net.indications import AssociateIndicated
from hounsfield.net.items import AsynchronousWindow
from hounsfield.net.messages import Operation, Request, Response, Responses, Service
from hounsfield.net.negotiation import Acceptance, Policy, answer
from hounsfield.net.options import AssociationOptions
from hounsfield.net.pdu import ReleaseResponse
from hounsfield.net.transport import Transport
from hounsfield.remote.dialing import ScuOptions
from hounsfield.remote.kept import KeptAssociations
from hounsfield.remote.modality import Modality
from hounsfield.remote.sender import Sender, Shipping
from hounsfield.remote.shipped import Shipped

CT = "1.2.840.10008.5.1.4.1.1.2"
_FILE = bytes(128) + b"DICM" + bytes(1000)
_OPTIONS = AssociationOptions(idle_timeout_seconds=20, artim_timeout_seconds=5)


def _never(_: Request) -> Responses:
    yield Response(0)


_SERVICE = Service({CommandField.C_STORE_RQ: Operation.STORE}, _never, lambda _: True)
_POLICY = Policy("PEER", lambda _: _SERVICE, lambda _: frozenset((Operation.STORE,)))


class Call:
    """One association, as the peer sees it."""

    def __init__(self, connection: socket.socket, window: int) -> None:
        self.association = Association(
            Transport(connection), _OPTIONS, BufferBudget(1 << 24), None, is_requester=False
        )
        event = self.association.next_event()
        assert isinstance(event, AssociateIndicated)
        policy = replace(_POLICY, window=AsynchronousWindow(window, 1))
        outcome = answer(event.request, policy, "127.0.0.1", 16384)
        assert isinstance(outcome, Acceptance)
        self.association.send(outcome.answer)

    def take(self) -> tuple[int, dict[str, CommandValue]] | None:
        """The next request with its data set; None when the association is released."""
        received = self.association.read_command()
        if received is None:
            self.association.send(ReleaseResponse())
            self.association.close()
            return None
        self.association.read_data_set(bytes)
        return received

    def answer(self, received: tuple[int, dict[str, CommandValue]], status: int = 0) -> None:
        """Respond to a request."""
        context_id, command = received
        self.association.send_message(
            context_id,
            {
                "CommandField": CommandField.C_STORE_RSP,
                "MessageIDBeingRespondedTo": command["MessageID"],
                "CommandDataSetType": NO_DATA_SET,
                "Status": status,
            },
        )


Script = Callable[[Call], None]


@contextmanager
def peer(*scripts: Script, window: int = 1) -> Iterator[Modality]:
    """A modality that does with each association what the next script says; a script may raise to fail the test."""
    listener = socket.create_server(("127.0.0.1", 0))
    failures: list[BaseException] = []

    def serve() -> None:
        for script in scripts:
            try:
                connection = listener.accept()[0]
                with connection:
                    script(Call(connection, window))
            except (AssertionError, ArchiveError, OSError) as error:
                failures.append(error)
                return
        listener.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield Modality("peer", "PEER", "127.0.0.1", listener.getsockname()[1])
    thread.join(20)
    listener.close()
    assert not failures, failures
    assert not thread.is_alive(), "there were fewer associations than expected"


def uid_of(received: tuple[int, dict[str, CommandValue]] | None) -> str:
    assert received is not None
    return str(received[1]["AffectedSOPInstanceUID"])


def instances(count: int) -> list[StoredInstance]:
    file = Attachment(AttachmentType.DICOM, "", 0, 0, Compression.NONE, None, None, 0)
    return [
        StoredInstance(PublicId(f"i{n}"), CT, f"1.{n}", EXPLICIT_VR_LITTLE_ENDIAN, file) for n in range(count)
    ]


def shipping(window: int = 8, keep_seconds: float = 0.0) -> Shipping:
    options = ScuOptions(window=window, timeout_seconds=20)
    return Shipping(lambda _: _FILE, options, (), KeptAssociations(keep_seconds))


def ship(to: Shipping, modality: Modality, count: int, *, keeps: bool = False) -> list[Shipped]:
    with Sender(to, modality, keeps=keeps) as sender:
        return list(sender.ship(instances(count)))


def accept_all(taken: list[str]) -> Script:
    """Answer every request at once."""

    def script(call: Call) -> None:
        while (received := call.take()) is not None:
            taken.append(uid_of(received))
            call.answer(received)

    return script


def test_as_many_are_under_way_as_the_modality_agreed_to_and_answers_come_in_any_order() -> None:
    def script(call: Call) -> None:
        for _ in range(2):
            three = [call.take() for _ in range(3)]  # Comes only if nobody waits for an answer before.
            for received in reversed(three):
                assert received is not None
                call.answer(received, 0xB007 if uid_of(received) == "1.1" else 0)
        assert call.take() is None

    with peer(script, window=3) as modality:
        shipped = ship(shipping(), modality, 6)
    assert [each.instance.sop_instance_uid for each in shipped] == [f"1.{n}" for n in (2, 1, 0, 5, 4, 3)]
    assert [each.status for each in shipped] == [0, 0xB007, 0, 0, 0, 0]


def test_one_goes_after_the_other_where_no_window_was_agreed_upon() -> None:
    def script(call: Call) -> None:
        for _ in range(4):
            received = call.take()
            assert received is not None
            assert call.association.poll_command() is None
            call.answer(received)
        assert call.take() is None

    for ours, theirs in ((1, 8), (8, 1)):
        with peer(script, window=theirs) as modality:
            assert [each.status for each in ship(shipping(ours), modality, 4)] == [0] * 4


def test_after_a_break_only_what_was_not_answered_is_sent_again() -> None:
    taken: list[str] = []

    def breaks(call: Call) -> None:
        received = [call.take() for _ in range(3)]
        assert received[0] is not None
        call.answer(received[0])
        call.association.abort()

    with peer(breaks, accept_all(taken), window=3) as modality:
        shipped = ship(shipping(), modality, 5)
    assert [(each.status, each.error) for each in shipped] == [(0, None)] * 5
    assert taken == ["1.1", "1.2", "1.3", "1.4"]


def test_the_instance_that_breaks_every_association_fails_alone() -> None:
    taken: list[str] = []

    def chokes(call: Call) -> None:
        while (received := call.take()) is not None:
            if uid_of(received) == "1.2":
                call.association.abort()
                return
            taken.append(uid_of(received))
            call.answer(received)

    with peer(chokes, chokes, chokes, window=4) as modality:
        shipped = ship(shipping(), modality, 5)
    assert [each.instance.sop_instance_uid for each in shipped if each.error] == ["1.2"]
    assert set(taken) == {"1.0", "1.1", "1.3", "1.4"}


def test_who_cannot_be_reached_is_called_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    shipped = ship(shipping(), Modality("gone", "GONE", "127.0.0.1", port), 100)
    assert len(shipped) == 100
    assert all(isinstance(each.error, PeerFailure) for each in shipped)


def test_what_is_under_way_is_waited_for_when_nobody_listens_any_more() -> None:
    taken: list[str] = []
    with peer(accept_all(taken), window=3) as modality, Sender(shipping(), modality) as sender:
        following = sender.ship(instances(9))
        next(following)
        drained = list(sender.drain())
    assert [each.status for each in drained] == [0] * len(drained)
    assert len(taken) == 1 + len(drained)


def test_an_association_is_kept_for_the_next_sender_to_the_same_modality() -> None:
    taken: list[str] = []
    to = shipping(keep_seconds=60)
    with peer(accept_all(taken)) as modality:
        for _ in range(3):
            assert [each.status for each in ship(to, modality, 2, keeps=True)] == [0, 0]
        to.kept.close()
    assert taken == ["1.0", "1.1"] * 3


def test_an_association_that_is_not_asked_to_be_kept_is_released() -> None:
    one: list[str] = []
    two: list[str] = []
    with peer(accept_all(one), accept_all(two)) as modality:
        to = shipping(keep_seconds=60)
        ship(to, modality, 1)
        ship(to, modality, 1)
    assert one == two == ["1.0"]


def test_a_kept_association_is_released_when_its_time_is_over() -> None:
    taken: list[str] = []
    with peer(accept_all(taken)) as modality:
        ship(shipping(keep_seconds=0.05), modality, 1, keeps=True)
    assert taken == ["1.0"]


def _serve_then(end: Callable[[Call], None], gone: threading.Event) -> Script:
    def script(call: Call) -> None:
        received = call.take()
        assert received is not None
        call.answer(received)
        end(call)
        gone.set()

    return script


def test_a_kept_association_that_the_modality_ended_is_not_used() -> None:
    ends: Sequence[Callable[[Call], None]] = (
        lambda call: call.association.abort(),
        lambda call: call.association.transport.close(),
    )
    for end in ends:
        taken: list[str] = []
        gone = threading.Event()
        to = shipping(keep_seconds=60)
        with peer(_serve_then(end, gone), accept_all(taken)) as modality:
            assert [each.status for each in ship(to, modality, 1, keeps=True)] == [0]
            assert gone.wait(10)
            assert [(each.status, each.error) for each in ship(to, modality, 2)] == [(0, None)] * 2
        assert taken == ["1.0", "1.1"]


def test_a_kept_association_that_breaks_when_it_is_used_is_opened_anew_and_nothing_is_lost() -> None:
    taken: list[str] = []
    to = shipping(keep_seconds=60)

    def ends_at_the_second(call: Call) -> None:
        received = call.take()
        assert received is not None
        call.answer(received)
        call.take()
        call.association.abort()

    with peer(ends_at_the_second, accept_all(taken)) as modality:
        ship(to, modality, 1, keeps=True)
        assert [(each.status, each.error) for each in ship(to, modality, 2)] == [(0, None)] * 2
    assert taken == ["1.0", "1.1"]
