"""C-STORE on several associations at a time, against a peer that does with each of them what a script says."""

import socket
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.remote.test_sender import Call, Script, accept_all, instances, shipping, uid_of

from hounsfield.errors import ArchiveError, PeerFailure
from hounsfield.remote.fleet import Fleet
from hounsfield.remote.modality import Modality
from hounsfield.remote.shipped import Shipped


@contextmanager
def crowd(*scripts: Script, wanted: int, most: int | None = None) -> Iterator[Modality]:
    """A modality that serves associations at the same time: each by the next script, further ones by the last one.

    It listens until it had `most` associations.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    failures: list[BaseException] = []

    def serve(connection: socket.socket, script: Script) -> None:
        try:
            with connection:
                script(Call(connection, 1))
        except (ArchiveError, OSError):
            pass  # The other side went away, which the test sees there.
        except AssertionError as error:
            failures.append(error)

    def listen() -> None:
        count = 0
        while most is None or count < most:
            try:
                connection = listener.accept()[0]
            except OSError:
                return
            script = scripts[min(count, len(scripts) - 1)]
            threading.Thread(target=serve, args=(connection, script), daemon=True).start()
            count += 1
        listener.close()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    port = listener.getsockname()[1]
    yield Modality("peer", "PEER", "127.0.0.1", port, store_associations=wanted)
    listener.close()
    assert not failures, failures


def ship(modality: Modality, count: int) -> list[Shipped]:
    with Fleet(shipping(), modality) as fleet:
        return list(fleet.ship(instances(count)))


def uids(shipped: Sequence[Shipped]) -> Counter[str]:
    return Counter(each.instance.sop_instance_uid for each in shipped)


def all_of(count: int) -> Counter[str]:
    return Counter(f"1.{number}" for number in range(count))


def answer_one(call: Call, taken: list[str]) -> None:
    received = call.take()
    assert received is not None
    taken.append(uid_of(received))
    call.answer(received)


def test_as_many_associations_work_at_the_same_time_as_the_modality_is_to_have() -> None:
    taken: list[str] = []
    meeting = threading.Barrier(3)

    def meets(call: Call) -> None:
        received = call.take()
        assert received is not None
        meeting.wait(20)  # Comes only if three are served at the same time.
        taken.append(uid_of(received))
        call.answer(received)
        accept_all(taken)(call)

    with crowd(meets, wanted=3) as modality:
        shipped = ship(modality, 50)
    assert uids(shipped) == Counter(taken) == all_of(50)
    assert {each.status for each in shipped} == {0}


def test_a_modality_that_takes_one_association_gets_everything_on_it() -> None:
    taken: list[str] = []

    def closes(call: Call) -> None:
        call.association.abort()

    with crowd(accept_all(taken), closes, wanted=4) as modality:
        assert {each.status for each in ship(modality, 30)} <= {0}
    assert Counter(taken) == all_of(30)


def test_what_a_modality_never_answers_keeps_nothing_from_ending() -> None:
    """As DCMTK's storescp, which serves one association after the other: further ones wait unanswered."""
    taken: list[str] = []
    listener = socket.create_server(("127.0.0.1", 0), backlog=8)

    def serve() -> None:
        connection = listener.accept()[0]
        with connection:
            accept_all(taken)(Call(connection, 1))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    modality = Modality("p", "P", "127.0.0.1", listener.getsockname()[1], store_associations=3)
    with listener, Fleet(shipping(), modality, timeout_seconds=0) as fleet:
        assert [each.status for each in fleet.ship(instances(40))] == [0] * 40
        assert [each.status for each in fleet.ship(instances(40))] == [0] * 40
    thread.join(20)
    assert Counter(taken) == all_of(40) + all_of(40)


def test_an_association_that_cannot_be_had_again_leaves_its_instances_to_the_others() -> None:
    taken: list[str] = []
    broken = threading.Event()

    def breaks(call: Call) -> None:
        answer_one(call, taken)
        call.take()
        call.association.abort()
        broken.set()

    def waits(call: Call) -> None:
        received = call.take()
        assert received is not None
        assert broken.wait(20)
        taken.append(uid_of(received))
        call.answer(received)
        accept_all(taken)(call)

    with crowd(waits, breaks, wanted=2, most=2) as modality:
        shipped = ship(modality, 40)
    assert [(each.status, each.error) for each in shipped] == [(0, None)] * 40
    assert uids(shipped) == Counter(taken) == all_of(40)


def test_the_instance_that_breaks_every_association_fails_alone() -> None:
    taken: list[str] = []

    def chokes(call: Call) -> None:
        while (received := call.take()) is not None:
            if uid_of(received) == "1.7":
                call.association.abort()
                return
            taken.append(uid_of(received))
            call.answer(received)

    with crowd(chokes, wanted=3) as modality:
        shipped = ship(modality, 30)
    assert [each.instance.sop_instance_uid for each in shipped if each.error] == ["1.7"]
    assert uids(shipped) == all_of(30)
    assert Counter(taken) == all_of(30) - Counter(["1.7"])


def test_of_a_modality_that_is_down_every_instance_fails_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    shipped = ship(Modality("gone", "GONE", "127.0.0.1", port, store_associations=4), 100)
    assert uids(shipped) == all_of(100)
    assert all(isinstance(each.error, PeerFailure) for each in shipped)


def test_statuses_are_told_of_the_instances_that_they_are_about() -> None:
    def refuses_odd_ones(call: Call) -> None:
        while (received := call.take()) is not None:
            call.answer(received, 0xA900 if int(uid_of(received)[2:]) % 2 else 0)

    with crowd(refuses_odd_ones, wanted=4) as modality:
        shipped = ship(modality, 41)
    assert uids(shipped) == all_of(41)
    assert {int(each.instance.sop_instance_uid[2:]) % 2 for each in shipped if each.status} == {1}
    assert len([each for each in shipped if each.status == 0]) == 21


def test_what_is_under_way_is_waited_for_when_nobody_listens_any_more() -> None:
    taken: list[str] = []
    with crowd(accept_all(taken), wanted=3) as modality, Fleet(shipping(), modality) as fleet:
        following = fleet.ship(instances(200))
        first = next(following)
        del following
        drained = list(fleet.drain())
        told = uids([first, *drained])
    assert told == Counter(taken)
    assert len(told) < 200


def test_with_one_association_all_goes_in_order() -> None:
    taken: list[str] = []
    with crowd(accept_all(taken), wanted=1, most=1) as modality:
        assert {each.status for each in ship(modality, 5)} == {0}
    assert taken == [f"1.{number}" for number in range(5)]
