import logging
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hounsfield.errors import ArchiveError, Cancelled, Corrupt, PeerFailure, TimedOut
from hounsfield.net.agreement import Caller
from hounsfield.net.association import AssociationAborted
from hounsfield.net.dimse import CommandField, CommandSet
from hounsfield.net.items import AsynchronousWindow, IdentityType, RoleSelection, UserIdentity
from hounsfield.net.messages import (
    Operation,
    Request,
    Response,
    Responses,
    Service,
    SubOperation,
    SubOperations,
)
from hounsfield.net.negotiation import IdentityAnswer
from hounsfield.net.options import ServerOptions
from hounsfield.net.scu import AssociationRejected, RemoteNode, Requester, associate, open_association

from .conftest import CT, FAST, PROPOSAL, World

Make = Callable[..., World]


def ct(requester: Requester) -> int:
    context = requester.find_context(CT)
    assert context is not None
    return context.id


def store(requester: Requester, data: bytes, uid: str = "1.2.3") -> int:
    context = requester.find_context(CT)
    assert context is not None
    return requester.store(context, uid, data).status


def wait_until(condition: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_echo_is_answered(world: World) -> None:
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert [requester.echo(), requester.echo()] == [0, 0]


def test_data_sets_arrive_as_they_were_sent(world: World) -> None:
    payloads = [b"", b"x", bytes(range(256)) * 100, bytes(70_000), b"y" * 262_144]
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert [store(requester, data) for data in payloads] == [0] * 5
    assert [stored.data for stored in world.stored] == payloads
    assert not any(stored.was_spooled for stored in world.stored)


def test_what_outgrows_the_buffer_is_spooled_after_its_prefix(world: World) -> None:
    payloads = [bytes([n]) * size for n, size in enumerate((262_145, 10, 1_000_000, 3_000_003))]
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert [store(requester, data) for data in payloads] == [0] * 4
    assert [stored.data for stored in world.stored] == payloads
    assert [stored.was_spooled for stored in world.stored] == [True, False, True, True]
    assert list(world.spool.iterdir()) == []


def test_without_budget_everything_is_spooled_and_nothing_is_lost(make_world: Make) -> None:
    world = make_world(ServerOptions(host="127.0.0.1", port=0, association=FAST, buffer_budget=0))
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert store(requester, b"z" * 200_000) == 0
    assert (world.stored[0].data, world.stored[0].was_spooled) == (b"z" * 200_000, True)


def test_the_buffers_go_back_to_the_budget(world: World) -> None:
    before = world.running.free_buffer_bytes
    with associate(world.node, PROPOSAL, FAST) as requester:
        store(requester, bytes(200_000))
        assert world.running.free_buffer_bytes == before - (1 << 18) + (1 << 16)
    wait_until(lambda: world.running.free_buffer_bytes == before)


def test_a_full_spool_refuses_the_instance_and_keeps_the_association(world: World) -> None:
    world.spool.chmod(0o500)
    full = world.spool / "missing"
    world.running._spool = replace(world.running._spool, folder=full)  # type: ignore[type-var]
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert store(requester, bytes(1_000_000)) == 0x0110
        assert store(requester, b"small") == 0
    world.spool.chmod(0o700)
    assert [stored.data for stored in world.stored] == [b"small"]


@pytest.mark.parametrize("ours", [4096, 16384, 131072])
@pytest.mark.parametrize("theirs", [4096, 131072])
def test_any_maximum_pdu_length_works(make_world: Make, ours: int, theirs: int) -> None:
    world = make_world(association=replace(FAST, maximum_pdu_length=ours))
    data = bytes(range(251)) * 2000
    with associate(world.node, PROPOSAL, replace(FAST, maximum_pdu_length=theirs)) as requester:
        assert requester.agreement.maximum_length == ours
        assert store(requester, data) == 0
    assert world.stored[0].data == data


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(
    sizes=st.lists(st.integers(0, 700_000), min_size=1, max_size=4),
    length=st.integers(4096, 131_072),
    seed=st.integers(0, 1 << 30),
)
def test_any_bytes_of_any_size_arrive_unchanged(
    world: World, sizes: list[int], length: int, seed: int
) -> None:
    world.stored.clear()
    world.running._options = replace(world.options, association=replace(FAST, maximum_pdu_length=length))
    random = Random(seed)
    payloads = [random.randbytes(size) for size in sizes]
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert requester.agreement.maximum_length == length
        assert [store(requester, data) for data in payloads] == [0] * len(sizes)
    assert [stored.data for stored in world.stored] == payloads


def test_the_service_learns_who_called_and_in_what_syntax(world: World) -> None:
    with associate(world.node, PROPOSAL, FAST) as requester:
        context = requester.find_context(CT, "1.2.840.10008.1.2.1")
        assert context is not None
        requester.store(context, "1.2.3", b"data", {"MoveOriginatorApplicationEntityTitle": "MOVER"})
    request = world.stored[0].request
    assert request.agreement.caller == Caller("TESTER", "HOUNSFIELD", "127.0.0.1")
    assert request.context.transfer_syntax == "1.2.840.10008.1.2.1"
    assert request.command["MoveOriginatorApplicationEntityTitle"] == "MOVER"
    assert (request.sop_class_uid, request.sop_instance_uid) == (CT, "1.2.3")


# Negotiation.


def test_a_wrong_called_ae_title_is_rejected_if_checked(world: World) -> None:
    world.change(check_called_ae_title=True, ae_title="OTHER")
    with pytest.raises(AssociationRejected, match="CALLED_AE_TITLE"):
        open_association(world.node, PROPOSAL, FAST)


def test_the_case_of_ae_titles_counts_only_if_strict(world: World) -> None:
    world.change(check_called_ae_title=True, ae_title="hounsfield")
    with associate(world.node, PROPOSAL, FAST):
        pass
    world.change(strict_ae_comparison=True)
    with pytest.raises(AssociationRejected, match="CALLED_AE_TITLE"):
        open_association(world.node, PROPOSAL, FAST)


def test_who_may_do_nothing_is_rejected(world: World) -> None:
    world.change(
        permit=lambda caller: frozenset() if caller.calling_ae_title == "TESTER" else {Operation.ECHO}
    )
    with pytest.raises(AssociationRejected, match="CALLING_AE_TITLE"):
        open_association(world.node, PROPOSAL, FAST)


def test_a_forbidden_command_aborts_the_association(world: World) -> None:
    world.change(permit=lambda caller: frozenset({Operation.ECHO}))
    with pytest.raises(AssociationAborted), associate(world.node, PROPOSAL, FAST) as requester:
        assert requester.echo() == 0
        store(requester, bytes(10_000_000))
    assert world.stored == []


def test_unsupported_classes_are_refused_one_by_one(world: World) -> None:
    proposal = replace(
        PROPOSAL, contexts=(("1.2.3", ("1.2.840.10008.1.2",)), (CT, ("1.2.9",)), *PROPOSAL.contexts)
    )
    with associate(world.node, proposal, FAST) as requester:
        assert set(requester.agreement.contexts) == {5, 7, 9}


def test_the_window_is_narrowed_to_ours(world: World) -> None:
    with associate(world.node, replace(PROPOSAL, window=AsynchronousWindow(8, 8)), FAST) as requester:
        assert requester.echo() == 0


def test_requests_may_be_sent_ahead_of_the_answers(make_world: Make) -> None:
    world = make_world()
    world.change(window=AsynchronousWindow(4, 1))
    with associate(world.node, replace(PROPOSAL, window=AsynchronousWindow(8, 8)), FAST) as requester:
        assert requester.window == 4
        context = requester.find_context(CT)
        assert context is not None
        sent = [requester.write_store(context, f"1.{n}", bytes((n,)) * 50_000) for n in range(4)]
        for outgoing in sent:
            requester.begin(outgoing)
        answers = [requester.finish() for _ in sent]
    assert [message_id for message_id, _ in answers] == [outgoing.message_id for outgoing in sent]
    assert [answer.status for _, answer in answers] == [0] * 4
    assert [each.data for each in world.stored] == [bytes((n,)) * 50_000 for n in range(4)]


def test_nothing_else_is_under_way_beside_what_sends_requests_itself(make_world: Make) -> None:
    world = make_world()
    find = world.policy.find_service

    def taking_turns(uid: str) -> Service | None:
        service = find(uid)
        return None if service is None else replace(service, takes_turns=True)

    world.change(window=AsynchronousWindow(4, 4), find_service=taking_turns)
    with associate(world.node, replace(PROPOSAL, window=AsynchronousWindow(8, 8)), FAST) as requester:
        assert (requester.agreement.invoked, requester.agreement.performed) == (1, 4)


def test_an_identity_is_asked_about_and_answered(world: World) -> None:
    seen: list[Caller] = []

    def identify(caller: Caller) -> IdentityAnswer:
        seen.append(caller)
        assert caller.identity is not None
        return IdentityAnswer(caller.identity.secondary == b"secret", b"token")

    world.change(identify=identify)
    good = UserIdentity(IdentityType.USERNAME_AND_PASSCODE, b"alice", b"secret", True)
    with associate(world.node, replace(PROPOSAL, user_identity=good), FAST) as requester:
        assert requester.echo() == 0
    with pytest.raises(AssociationRejected, match="NO_REASON"):
        open_association(world.node, replace(PROPOSAL, user_identity=replace(good, secondary=b"x")), FAST)
    assert [caller.identity.primary for caller in seen if caller.identity] == [b"alice", b"alice"]


def test_more_associations_than_allowed_are_rejected_for_the_time_being(make_world: Make) -> None:
    world = make_world(ServerOptions(host="127.0.0.1", port=0, association=FAST, maximum_associations=1))
    with associate(world.node, PROPOSAL, FAST) as requester:
        with pytest.raises(AssociationRejected, match="LOCAL_LIMIT"):
            open_association(world.node, PROPOSAL, FAST)
        assert requester.echo() == 0
    wait_until(lambda: world.running.association_count == 0)
    with associate(world.node, PROPOSAL, FAST) as requester:
        assert requester.echo() == 0


def test_a_changed_policy_holds_for_the_next_association(world: World) -> None:
    with associate(world.node, PROPOSAL, FAST) as requester:
        world.change(permit=lambda caller: frozenset())
        assert requester.echo() == 0
    with pytest.raises(AssociationRejected):
        open_association(world.node, PROPOSAL, FAST)


# Services.


def test_an_error_of_a_service_becomes_a_status_with_a_comment(world: World) -> None:
    def respond(request: Request) -> Responses:
        if request.payload:
            raise Corrupt("Instance 1.2.3 is broken")
        yield Response(0)

    world.respond = respond
    with associate(world.node, PROPOSAL, FAST) as requester:
        context = requester.find_context(CT)
        assert context is not None
        answer = requester.store(context, "1.2.3", b"x")
        assert (answer.status, answer.command["ErrorComment"]) == (0x0110, "Instance 1.2.3 is broken")
        assert requester.echo() == 0


def test_an_unexpected_error_aborts_this_association_alone(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def respond(request: Request) -> Responses:
        yield Response(1 // (request.payload is None))

    world.respond = respond
    with associate(world.node, PROPOSAL, FAST) as other:
        with pytest.raises(AssociationAborted), associate(world.node, PROPOSAL, FAST) as requester:
            store(requester, b"x")
        assert other.echo() == 0
    assert [record.exc_info is not None for record in caplog.records if record.levelno == logging.ERROR] == [
        True
    ]


def test_an_operation_that_is_not_of_the_class_is_answered_so(world: World) -> None:
    with associate(world.node, PROPOSAL, FAST) as requester:
        command: CommandSet = {"CommandField": CommandField.C_MOVE_RQ, "AffectedSOPClassUID": CT}
        assert [answer.status for answer in requester.request(ct(requester), command, b"xy")] == [0x0211]
        assert requester.echo() == 0


FIND: CommandSet = {"CommandField": CommandField.C_FIND_RQ, "AffectedSOPClassUID": CT, "Priority": 0}


def test_many_responses_arrive_in_order(world: World) -> None:
    def respond(request: Request) -> Responses:
        for number in range(500):
            yield Response(0xFF00, str(number).encode())
        yield Response(0)

    world.respond = respond
    with associate(world.node, PROPOSAL, FAST) as requester:
        answers = [
            (answer.status, bytes(answer.payload) if isinstance(answer.payload, memoryview) else None)
            for answer in requester.request(ct(requester), FIND, b"query")
        ]
    assert answers == [(0xFF00, str(number).encode()) for number in range(500)] + [(0, None)]


def test_a_cancel_stops_the_responses(world: World) -> None:
    def respond(request: Request) -> Responses:
        while True:
            yield Response(0xFF00, b"again")

    world.respond = respond
    with associate(world.node, PROPOSAL, FAST) as requester:
        answers = requester.request(ct(requester), FIND, b"query")
        assert next(answers).status == 0xFF00
        requester.cancel(ct(requester))
        *_, last = answers
        assert last.status == 0xFE00
        assert requester.echo() == 0


def test_a_service_may_answer_a_cancel_itself(world: World) -> None:
    def respond(request: Request) -> Responses:
        try:
            while True:
                yield Response(0xFF00, b"again")
        except Cancelled:
            yield Response(0xFE00, elements={"NumberOfCompletedSuboperations": 7})

    world.respond = respond
    with associate(world.node, PROPOSAL, FAST) as requester:
        answers = requester.request(ct(requester), FIND, b"query")
        next(answers)
        requester.cancel(ct(requester))
        *_, last = answers
        assert last.command["NumberOfCompletedSuboperations"] == 7


def test_a_cancel_that_comes_too_late_is_ignored(world: World) -> None:
    with associate(world.node, PROPOSAL, FAST) as requester:
        store(requester, b"x")
        requester.cancel(ct(requester))
        assert requester.echo() == 0


def store_command(number: int) -> CommandSet:
    return {
        "CommandField": CommandField.C_STORE_RQ,
        "AffectedSOPClassUID": CT,
        "AffectedSOPInstanceUID": f"1.{number}",
    }


def test_sub_operations_are_performed_on_the_association(world: World) -> None:
    """As C-GET needs them: the requester stores what comes while it waits for its final response."""
    completions: list[int] = []

    def completed(completion: CommandSet) -> Response:
        status = completion["Status"]
        assert isinstance(status, int)
        completions.append(status)
        return Response(0xFF00, elements={"NumberOfRemainingSuboperations": 3 - len(completions)})

    def respond(request: Request) -> Responses:
        yield SubOperations(
            SubOperation(request.context.id, store_command(number), bytes(100_000), completed)
            for number in range(3)
        )
        yield Response(0)

    world.respond = respond
    proposal = replace(PROPOSAL, roles=(RoleSelection(CT, True, True),))
    with associate(world.node, proposal, FAST) as requester:
        assert requester.agreement.contexts[3].requester_is_scp
        association = requester._association
        association.send_message(3, {**FIND, "MessageID": 9, "CommandDataSetType": 0}, b"query")
        statuses: list[object] = []
        while statuses[-1:] != [0]:
            received = association.read_command()
            assert received is not None
            context_id, command = received
            if command["CommandField"] == CommandField.C_STORE_RQ:
                assert len(association.read_data_set(bytes)) == 100_000  # type: ignore[arg-type]
                answer: CommandSet = {
                    "CommandField": CommandField.C_STORE_RSP,
                    "MessageIDBeingRespondedTo": command["MessageID"],
                    "CommandDataSetType": 0x0101,
                    "Status": 0xB000,
                }
                association.send_message(context_id, answer)
            else:
                statuses.append(command["Status"])
    assert completions == [0xB000] * 3
    assert statuses == [0xFF00] * 3 + [0]


def test_a_cancel_in_a_sub_operation_lets_it_be_counted_and_stops_the_next(world: World) -> None:
    completed: list[int] = []

    def note(_: CommandSet) -> Response:
        completed.append(len(completed))
        return Response(0xFF00)

    def respond(request: Request) -> Responses:
        try:
            yield SubOperations(
                SubOperation(request.context.id, store_command(number), b"data", note)
                for number in range(1000)
            )
        except Cancelled:
            yield Response(0xFE00, elements={"NumberOfCompletedSuboperations": len(completed)})

    world.respond = respond
    with associate(world.node, PROPOSAL, FAST) as requester:
        association = requester._association
        association.send_message(3, {**FIND, "MessageID": 9, "CommandDataSetType": 0}, b"query")
        received = association.read_command()
        assert received is not None
        association.read_data_set(bytes)
        cancel: CommandSet = {
            "CommandField": CommandField.C_CANCEL_RQ,
            "MessageIDBeingRespondedTo": 9,
            "CommandDataSetType": 0x0101,
        }
        association.send_message(3, cancel)
        answer: CommandSet = {
            "CommandField": CommandField.C_STORE_RSP,
            "MessageIDBeingRespondedTo": received[1]["MessageID"],
            "CommandDataSetType": 0x0101,
            "Status": 0,
        }
        association.send_message(3, answer)
        pending = association.read_command()
        assert pending is not None
        assert pending[1]["Status"] == 0xFF00
        final = association.read_command()
        assert final is not None
        assert (final[1]["Status"], final[1]["NumberOfCompletedSuboperations"]) == (0xFE00, 1)
        assert requester.echo() == 0


# Time.


def test_an_idle_association_is_aborted(make_world: Make) -> None:
    world = make_world(association=replace(FAST, idle_timeout_seconds=0.1))
    with pytest.raises((AssociationAborted, PeerFailure)), associate(world.node, PROPOSAL, FAST) as requester:
        assert requester.echo() == 0
        wait_until(lambda: world.running.association_count == 0)
        requester.echo()


def test_a_requester_does_not_wait_for_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        target = RemoteNode("127.0.0.1", silent.getsockname()[1], "SILENT")
        with pytest.raises(TimedOut):
            open_association(target, PROPOSAL, replace(FAST, idle_timeout_seconds=0.1))


def test_a_peer_that_is_not_there_is_a_peer_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(PeerFailure, match="cannot be reached"):
        open_association(RemoteNode("127.0.0.1", port, "NOBODY"), PROPOSAL, FAST)


# Stopping.


def test_a_stop_ends_idle_associations_at_once(world: World) -> None:
    requesters = [open_association(world.node, PROPOSAL, FAST) for _ in range(3)]
    assert [requester.echo() for requester in requesters] == [0, 0, 0]
    began = time.monotonic()
    world.running.stop()
    for requester in requesters:
        with pytest.raises(PeerFailure):
            requester.echo()
        requester.abort()
    assert time.monotonic() - began < 3


def test_a_stop_lets_the_instance_in_progress_be_acknowledged(world: World) -> None:
    reached, go = threading.Event(), threading.Event()

    def respond(request: Request) -> Responses:
        reached.set()
        assert go.wait(10)
        yield Response(0)

    world.respond = respond
    requester = open_association(world.node, PROPOSAL, FAST)
    statuses: list[int] = []
    sender = threading.Thread(target=lambda: statuses.append(store(requester, bytes(100_000))))
    sender.start()
    assert reached.wait(5)
    stopper = threading.Thread(target=world.running.stop)
    stopper.start()
    go.set()
    sender.join()
    assert statuses == [0]
    requester.abort()
    stopper.join()


def test_a_stop_is_bounded(world: World) -> None:
    reached, go = threading.Event(), threading.Event()

    def respond(request: Request) -> Responses:
        reached.set()
        go.wait(10)
        yield Response(0)

    world.respond = respond
    requester = open_association(world.node, PROPOSAL, FAST)
    errors: list[ArchiveError] = []

    def send() -> None:
        try:
            store(requester, b"x")
        except ArchiveError as error:
            errors.append(error)

    sender = threading.Thread(target=send)
    sender.start()
    assert reached.wait(5)
    began = time.monotonic()
    world.running.stop(timeout_seconds=0.2)
    assert time.monotonic() - began < 3
    go.set()
    sender.join()
    assert len(errors) == 1
    requester.abort()


def test_the_log_tells_of_associations_without_patients(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "hounsfield.dicom")
    with associate(world.node, PROPOSAL, FAST) as requester:
        store(requester, b"PatientName DOE^JOHN")
    wait_until(lambda: any("closed" in record.message for record in caplog.records))
    text = "\n".join(record.message for record in caplog.records)
    assert "TESTER (127.0.0.1) to HOUNSFIELD opened with 3 of 3 presentation contexts" in text
    assert "closed after 1 requests: released" in text
    assert "DOE" not in text
