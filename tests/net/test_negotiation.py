from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hounsfield.net.items import (
    AsynchronousWindow,
    ExtendedNegotiation,
    RoleSelection,
    UserInformation,
)
from hounsfield.net.messages import Operation, Request, Response, Responses, Service
from hounsfield.net.negotiation import Acceptance, Policy, Refusal, answer, is_same_ae_title, read_agreement
from hounsfield.net.pdu import AssociateReject, AssociateRequest, ContextResult, ProposedContext

IMPLICIT, EXPLICIT, BIG, JPEG = (f"1.2.840.10008.1.2{last}" for last in ("", ".1", ".2", ".4.70"))
STORAGE, FIND = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.2.2.1"


def respond(request: Request) -> Responses:
    yield Response(0)


SERVICES = {
    STORAGE: Service(
        {}, respond, lambda uid: uid != BIG, accepts_scp_role=True, answer_extended=lambda asked: asked[:1]
    ),
    FIND: Service({}, respond, {IMPLICIT, EXPLICIT, BIG}.__contains__, (EXPLICIT, BIG, IMPLICIT)),
}
POLICY = Policy("HERE", SERVICES.get, lambda caller: frozenset(Operation))


def propose(*contexts: ProposedContext, **information: object) -> AssociateRequest:
    return AssociateRequest("HERE", "THERE", contexts, UserInformation(**information))  # type: ignore[arg-type]


def accepted(proposal: AssociateRequest, policy: Policy = POLICY) -> Acceptance:
    outcome = answer(proposal, policy, "10.0.0.1", 16384)
    assert isinstance(outcome, Acceptance)
    return outcome


@pytest.mark.parametrize(
    ("abstract", "proposed", "result", "chosen"),
    [
        (STORAGE, (JPEG, EXPLICIT, IMPLICIT), ContextResult.ACCEPTED, JPEG),
        (STORAGE, (BIG, IMPLICIT, EXPLICIT), ContextResult.ACCEPTED, IMPLICIT),
        (STORAGE, (BIG,), ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, BIG),
        (STORAGE, (), ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, ""),
        (FIND, (IMPLICIT, BIG, EXPLICIT), ContextResult.ACCEPTED, EXPLICIT),
        (FIND, (IMPLICIT, BIG), ContextResult.ACCEPTED, BIG),
        (FIND, (JPEG,), ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, JPEG),
        ("1.2.3", (IMPLICIT,), ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, IMPLICIT),
    ],
)
def test_the_requester_decides_for_storage_and_we_decide_elsewhere(
    abstract: str, proposed: tuple[str, ...], result: ContextResult, chosen: str
) -> None:
    (context,) = accepted(propose(ProposedContext(7, abstract, proposed))).answer.contexts
    assert (context.id, context.result, context.transfer_syntax) == (7, result, chosen)


@pytest.mark.parametrize(
    ("change", "refusal"),
    [
        (lambda proposal: replace(proposal, application_context="1.2"), Refusal.APPLICATION_CONTEXT),
        (lambda proposal: replace(proposal, called_ae_title="ELSE"), Refusal.CALLED_AE_TITLE),
        (lambda proposal: replace(proposal, calling_ae_title="NOBODY"), Refusal.CALLING_AE_TITLE),
    ],
)
def test_what_is_wrong_is_named(
    change: Callable[[AssociateRequest], AssociateRequest], refusal: Refusal
) -> None:
    policy = replace(
        POLICY,
        check_called_ae_title=True,
        permit=lambda caller: frozenset() if caller.calling_ae_title == "NOBODY" else frozenset(Operation),
    )
    assert answer(change(propose()), policy, "10.0.0.1", 16384) == refusal.value
    assert isinstance(answer(propose(), policy, "10.0.0.1", 16384), Acceptance)


def test_permission_may_depend_on_the_address() -> None:
    policy = replace(
        POLICY, permit=lambda caller: {"10.0.0.1": frozenset({Operation.ECHO})}.get(caller.ip, frozenset())
    )
    assert accepted(propose(), policy).permitted == {Operation.ECHO}
    assert isinstance(answer(propose(), policy, "10.0.0.2", 16384), AssociateReject)


def test_roles_are_granted_where_the_service_allows() -> None:
    roles = (
        RoleSelection(STORAGE, True, True),
        RoleSelection(FIND, True, True),
        RoleSelection("1.2", True, True),
    )
    contexts = (ProposedContext(1, STORAGE, (IMPLICIT,)), ProposedContext(3, FIND, (IMPLICIT,)))
    outcome = accepted(propose(*contexts, roles=roles))
    assert outcome.answer.user_information.roles == (
        RoleSelection(STORAGE, True, True),
        RoleSelection(FIND, True, False),
    )
    assert [context.requester_is_scp for context in outcome.agreement.contexts.values()] == [True, False]


def test_without_role_selection_the_requester_is_user() -> None:
    outcome = accepted(propose(ProposedContext(1, STORAGE, (IMPLICIT,))))
    context = outcome.agreement.contexts[1]
    assert (context.requester_is_scu, context.requester_is_scp) == (True, False)


@pytest.mark.parametrize(
    ("proposed", "ours", "agreed"),
    [((8, 8), (1, 1), (1, 1)), ((0, 0), (1, 1), (1, 1)), ((2, 3), (0, 0), (2, 3)), ((0, 4), (0, 9), (0, 4))],
)
def test_the_smaller_window_counts_and_zero_is_the_largest(
    proposed: tuple[int, int], ours: tuple[int, int], agreed: tuple[int, int]
) -> None:
    policy = replace(POLICY, window=AsynchronousWindow(*ours))
    outcome = accepted(propose(asynchronous_window=AsynchronousWindow(*proposed)), policy)
    assert outcome.answer.user_information.asynchronous_window == AsynchronousWindow(*agreed)


def test_what_was_not_proposed_is_not_answered() -> None:
    information = accepted(propose()).answer.user_information
    assert information.asynchronous_window is None
    assert information.user_identity_answer is None
    assert (information.roles, information.extended) == ((), ())
    assert information.maximum_length == 16384


def test_extended_negotiation_is_answered_by_the_service() -> None:
    extended = (
        ExtendedNegotiation(STORAGE, b"\2\0"),
        ExtendedNegotiation(FIND, b"\1"),
        ExtendedNegotiation("1", b""),
    )
    outcome = accepted(propose(extended=extended))
    assert outcome.answer.user_information.extended == (ExtendedNegotiation(STORAGE, b"\2"),)


syntaxes = st.lists(st.sampled_from([IMPLICIT, EXPLICIT, BIG, JPEG]), max_size=4, unique=True).map(tuple)
contexts = st.lists(
    st.builds(
        ProposedContext,
        st.integers(0, 127).map(lambda number: 2 * number + 1),
        st.sampled_from([STORAGE, FIND, "1.2.3"]),
        syntaxes,
    ),
    max_size=128,
    unique_by=lambda context: context.id,
)


@given(contexts)
def test_both_sides_agree_on_what_was_agreed(proposed: list[ProposedContext]) -> None:
    proposal = propose(*proposed, maximum_length=5000)
    outcome = accepted(proposal)
    assert [context.id for context in outcome.answer.contexts] == [context.id for context in proposed]
    theirs = read_agreement(proposal, outcome.answer, "10.0.0.1")
    assert theirs.contexts == outcome.agreement.contexts
    assert (theirs.maximum_length, outcome.agreement.maximum_length) == (16384, 5000)


def test_ae_titles_are_compared_without_spaces_and_case() -> None:
    assert is_same_ae_title(" ct1 ", "CT1", strict=False)
    assert is_same_ae_title(" CT1 ", "CT1", strict=True)
    assert not is_same_ae_title("ct1", "CT1", strict=True)
