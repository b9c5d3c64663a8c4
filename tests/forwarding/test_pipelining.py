"""A queue sends like a job: several instances under way where the modality agrees, on an association that is kept."""

from pathlib import Path

from tests.conformance.peers import make_file, upload
from tests.forwarding.test_queues import define, is_done, queue, state, until
from tests.remote.test_sender import Call, accept_all, peer, uid_of
from tests.servers import RunningServer, running

_COUNT = 9


def _fill(server: RunningServer) -> None:
    series = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"}
    files = (make_file(**series, SOPInstanceUID=f"1.1.1.{n}", InstanceNumber=n) for n in range(_COUNT))
    upload(server, *files)


def test_a_queue_has_as_many_under_way_as_the_modality_agreed_to(tmp_path: Path) -> None:
    order: list[str] = []

    def script(call: Call) -> None:
        for _ in range(_COUNT // 3):
            three = [call.take() for _ in range(3)]  # Comes only if nobody waits for an answer before.
            order.extend(uid_of(received) for received in three)
            for received in reversed(three):
                assert received is not None
                call.answer(received, 0xB007)
        assert call.take() is None

    with running(tmp_path, {"DicomAssociationCloseDelay": 0}) as server:
        _fill(server)
        with peer(script, window=3) as modality:
            define(server, modality.port)
            queue(server)
            until(lambda: is_done(server))
        assert state(server)["Sent"] == _COUNT
    assert order == [f"1.1.1.{n}" for n in range(_COUNT)]


def test_after_a_break_a_queue_sends_one_at_a_time_and_loses_nothing(tmp_path: Path) -> None:
    taken: list[str] = []

    def breaks(call: Call) -> None:
        for _ in range(3):
            call.take()
        call.association.abort()

    def slow(call: Call) -> None:
        received = call.take()
        assert received is not None
        assert call.association.poll_command() is None
        taken.append(uid_of(received))
        call.answer(received)
        accept_all(taken)(call)

    options = {"DicomAssociationCloseDelay": 0, "StoreAndForward": {"FirstDelay": 1, "MaximumDelay": 1}}
    with running(tmp_path, options) as server:
        _fill(server)
        with peer(breaks, slow, window=3) as modality:
            define(server, modality.port)
            queue(server)
            until(lambda: is_done(server))
        assert state(server)["Sent"] == _COUNT
    assert sorted(taken) == [f"1.1.1.{n}" for n in range(_COUNT)]


def test_the_association_of_a_queue_is_kept_for_what_is_queued_next(tmp_path: Path) -> None:
    taken: list[str] = []
    with peer(accept_all(taken)) as modality, running(tmp_path, {"DicomAssociationCloseDelay": 60}) as server:
        _fill(server)
        define(server, modality.port)
        for number in (1, 2):
            queue(server)
            until(lambda wanted=number * _COUNT: len(taken) == wanted and is_done(server))  # type: ignore[misc]
    assert len(taken) == 2 * _COUNT
