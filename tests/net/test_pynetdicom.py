"""An implementation that shares nothing with ours, on the other end in both directions."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom import AE, build_role, evt
from pynetdicom.dsutils import encode
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)

from hounsfield.net.items import AsynchronousWindow
from hounsfield.net.messages import Operation
from hounsfield.net.negotiation import IdentityAnswer
from hounsfield.net.scu import RemoteNode, associate

from .conftest import CT, FAST, PROPOSAL, VERIFICATION, World

pytestmark = pytest.mark.filterwarnings(
    "ignore::pytest.PytestUnraisableExceptionWarning", "ignore::UserWarning"
)


def instance(number: int = 1, size: int = 1000) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CT
    dataset.SOPInstanceUID = f"1.2.3.{number}"
    dataset.PatientName = "Nobody^Real"
    dataset.PixelData = bytes(range(256)) * (size // 256 + 1)
    dataset["PixelData"].VR = "OW"
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@contextmanager
def associated(world: World, *, maximum: int = 16382, ext_neg: list[Any] | None = None) -> Iterator[Any]:
    ae = AE("PEER")
    ae.add_requested_context(VERIFICATION)
    ae.add_requested_context(CT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    association = ae.associate(
        "127.0.0.1", world.running.port, ae_title="HOUNSFIELD", max_pdu=maximum, ext_neg=ext_neg or []
    )
    try:
        yield association
    finally:
        if association.is_established:
            association.release()
        ae.shutdown()


def test_it_may_echo_and_store(world: World) -> None:
    with associated(world) as association:
        assert association.is_established
        assert association.send_c_echo().Status == 0
        assert [association.send_c_store(instance(n, 400_000)).Status for n in range(3)] == [0] * 3
    assert [stored.request.sop_instance_uid for stored in world.stored] == ["1.2.3.0", "1.2.3.1", "1.2.3.2"]
    assert {stored.was_spooled for stored in world.stored} == {True}
    assert all(bytes(range(256)) * 1563 in stored.data for stored in world.stored)


@pytest.mark.parametrize("maximum", [0, 256, 65536])
def test_its_maximum_pdu_length_is_kept(world: World, maximum: int) -> None:
    with associated(world, maximum=maximum) as association:
        assert association.send_c_store(instance(1, 70_000)).Status == 0


def test_it_may_abort_at_any_moment(world: World) -> None:
    with associated(world) as association:
        association.send_c_store(instance())
        association.abort()
    with associated(world) as association:
        assert association.send_c_echo().Status == 0


def test_it_reads_all_our_answers_to_its_extensions(world: World) -> None:
    world.change(identify=lambda caller: IdentityAnswer(True, b"welcome"))
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field, identity.secondary_field = b"alice", b"secret"
    identity.positive_response_requested = True
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 5
    window.maximum_number_operations_performed = 5
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid, extended.service_class_application_information = CT, b"\x02\x00"
    items = [identity, window, extended, build_role(CT, scu_role=True, scp_role=True)]
    with associated(world, ext_neg=items) as association:
        assert association.is_established
        acceptor = association.acceptor
        assert acceptor.user_identity.server_response == b"welcome"
        assert acceptor.asynchronous_operations == (1, 1)
        assert [role.scp_role for role in acceptor.role_selection.values()] == [True]
        assert association.send_c_echo().Status == 0


def test_it_is_told_why_it_is_rejected(world: World) -> None:
    world.change(permit=lambda caller: frozenset())
    with associated(world) as association:
        assert association.is_rejected
        primitive = association.acceptor.primitive
        assert (primitive.result, primitive.result_source, primitive.diagnostic) == (1, 1, 3)


def test_a_command_it_may_not_give_is_aborted(world: World) -> None:
    world.change(permit=lambda caller: frozenset({Operation.STORE}))
    with associated(world) as association:
        association.send_c_echo()
        association.join(5)
        assert association.is_aborted


@contextmanager
def their_server(**options: Any) -> Iterator[tuple[RemoteNode, list[Dataset]]]:
    received: list[Dataset] = []

    def store(event: Any) -> int:
        received.append(event.dataset)
        return 0xB007 if len(received) == 2 else 0

    ae = AE("PEER")
    ae.maximum_pdu_size = options.get("maximum", 16382)
    ae.require_called_aet = options.get("strict", False)
    ae.add_supported_context(VERIFICATION)
    ae.add_supported_context(CT, [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
    handlers: list[Any] = [(evt.EVT_C_STORE, store)]
    if options.get("answers_window"):
        handlers.append((evt.EVT_ASYNC_OPS, lambda _: (5, 5)))
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    try:
        yield RemoteNode("127.0.0.1", server.server_address[1], "PEER"), received
    finally:
        server.shutdown()


@pytest.mark.parametrize("maximum", [0, 300, 16382, 1_000_000])
def test_we_may_echo_and_store(maximum: int) -> None:
    implicit = instance(7, 300_000)
    data = encode(implicit, True, True)
    assert data is not None
    with their_server(maximum=maximum) as (node, received):
        with associate(node, PROPOSAL, FAST) as requester:
            assert requester.echo() == 0
            context = requester.find_context(CT, ImplicitVRLittleEndian)
            assert context is not None
            assert requester.store(context, "1.2.3.7", data).status == 0
            assert requester.store(context, "1.2.3.7", data).status == 0xB007
        assert [dataset.SOPInstanceUID for dataset in received] == ["1.2.3.7"] * 2
        assert received[0].PixelData == implicit.PixelData


@pytest.mark.parametrize("options", [{}, {"answers_window": True}])
def test_one_store_at_a_time_is_under_way_as_it_never_agrees_to_more(options: dict[str, bool]) -> None:
    proposal = replace(PROPOSAL, window=AsynchronousWindow(8, 8))
    with their_server(**options) as (node, _), associate(node, proposal, FAST) as requester:
        assert (requester.agreement.invoked, requester.agreement.performed) == (1, 1)
        assert requester.echo() == 0
