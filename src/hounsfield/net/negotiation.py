"""Answering a proposed association. PS3.8 7.1, 9.3.4; PS3.7 Annex D."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain

from hounsfield.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from hounsfield.net.agreement import Agreement, Caller, PresentationContext
from hounsfield.net.items import (
    AsynchronousWindow,
    ExtendedNegotiation,
    RoleSelection,
    UserIdentity,
    UserInformation,
)
from hounsfield.net.messages import Operation, Service
from hounsfield.net.pdu import (
    APPLICATION_CONTEXT_UID,
    AnsweredContext,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ProposedContext,
)


class Refusal(Enum):
    """Ways to reject an association: result, source, reason. PS3.8 Table 9-21."""

    NO_REASON = AssociateReject(1, 1, 1)
    APPLICATION_CONTEXT = AssociateReject(1, 1, 2)
    CALLING_AE_TITLE = AssociateReject(1, 1, 3)
    CALLED_AE_TITLE = AssociateReject(1, 1, 7)
    PROTOCOL_VERSION = AssociateReject(1, 2, 2)
    TEMPORARY_CONGESTION = AssociateReject(2, 3, 1)
    LOCAL_LIMIT = AssociateReject(2, 3, 2)


@dataclass(frozen=True, slots=True)
class IdentityAnswer:
    """Whether a user identity is accepted, and the server's response for those who want one."""

    is_accepted: bool
    response: bytes = b""


_ONE_AT_A_TIME = AsynchronousWindow(1, 1)
_MOST_OUTSTANDING = 64
"""Where there is no limit."""


def _accept_identity(caller: Caller) -> IdentityAnswer:  # noqa: ARG001  # What a Policy wants.
    return IdentityAnswer(True)


@dataclass(frozen=True, slots=True)
class Policy:
    """Who may open an association, and for what. Fetched anew for each association."""

    ae_title: str
    find_service: Callable[[str], Service | None]
    """The service for an abstract syntax, None if it is not supported."""
    permit: Callable[[Caller], frozenset[Operation]]
    """What a caller may do; one that may do nothing is rejected as unknown."""
    check_called_ae_title: bool = False
    strict_ae_comparison: bool = False
    identify: Callable[[Caller], IdentityAnswer] = _accept_identity
    """Asked about callers that say who their user is."""
    window: AsynchronousWindow = _ONE_AT_A_TIME
    """The most operations that may be outstanding; they are performed one after the other all the same."""
    implementation_class_uid: str = IMPLEMENTATION_CLASS_UID
    implementation_version_name: str = IMPLEMENTATION_VERSION_NAME


@dataclass(frozen=True, slots=True)
class Acceptance:
    """An accepted association: what to answer, what was agreed, what the caller may do."""

    answer: AssociateAccept
    agreement: Agreement
    permitted: frozenset[Operation]
    find_service: Callable[[str], Service | None]


def is_same_ae_title(one: str, other: str, *, strict: bool) -> bool:
    """Whether two AE titles are the same; spaces around them never count, case only if `strict`."""
    one, other = one.strip(), other.strip()
    return one == other if strict else one.casefold() == other.casefold()


def answer(
    proposal: AssociateRequest, policy: Policy, ip: str, maximum_length: int
) -> Acceptance | AssociateReject:
    """What to say to a proposal that came from `ip`.

    `maximum_length` is that of the P-DATA-TF PDUs that we announce to take.
    """
    identity = proposal.user_information.user_identity
    caller = Caller(proposal.calling_ae_title, proposal.called_ae_title, ip, identity)
    permitted = policy.permit(caller)
    identity_answer = IdentityAnswer(True) if identity is None else policy.identify(caller)
    refusal = _refusal(proposal, policy, permitted, identity_answer)
    if refusal is not None:
        return refusal.value
    contexts = tuple(_answer_context(context, policy) for context in proposal.contexts)
    information = _user_information(
        proposal, policy, maximum_length, _identity_response(identity, identity_answer)
    )
    accept = AssociateAccept(proposal.called_ae_title, proposal.calling_ae_title, contexts, information)
    roles = {role.sop_class_uid: role for role in information.roles}
    agreement = Agreement(
        caller,
        {context.id: context for context in _agreed_contexts(proposal, contexts, roles)},
        proposal.user_information.maximum_length,
        proposal.user_information.implementation_class_uid,
        proposal.user_information.implementation_version_name,
        *_outstanding(information.asynchronous_window),
        {extended.sop_class_uid: extended.information for extended in information.extended},
    )
    return Acceptance(accept, agreement, permitted, policy.find_service)


def _refusal(
    proposal: AssociateRequest,
    policy: Policy,
    permitted: frozenset[Operation],
    identity_answer: IdentityAnswer,
) -> Refusal | None:
    if proposal.application_context != APPLICATION_CONTEXT_UID:
        return Refusal.APPLICATION_CONTEXT
    strict = policy.strict_ae_comparison
    if policy.check_called_ae_title and not is_same_ae_title(
        proposal.called_ae_title, policy.ae_title, strict=strict
    ):
        return Refusal.CALLED_AE_TITLE
    if not permitted:
        return Refusal.CALLING_AE_TITLE
    return None if identity_answer.is_accepted else Refusal.NO_REASON


def _answer_context(context: ProposedContext, policy: Policy) -> AnsweredContext:
    service = policy.find_service(context.abstract_syntax)
    if service is None:
        return AnsweredContext(context.id, ContextResult.ABSTRACT_SYNTAX_NOT_SUPPORTED, _any_syntax(context))
    chosen = choose_transfer_syntax(context.transfer_syntaxes, service)
    if chosen is None:
        return AnsweredContext(
            context.id, ContextResult.TRANSFER_SYNTAXES_NOT_SUPPORTED, _any_syntax(context)
        )
    return AnsweredContext(context.id, ContextResult.ACCEPTED, chosen)


def _any_syntax(context: ProposedContext) -> str:
    """PS3.8 9.3.3.2 wants a transfer syntax even in a refusal, where it is not significant."""
    return context.transfer_syntaxes[0] if context.transfer_syntaxes else ""


def choose_transfer_syntax(proposed: tuple[str, ...], service: Service) -> str | None:
    """The transfer syntax to accept: by preference of the service, else the first acceptable one."""
    acceptable = filter(service.accepts_transfer_syntax, proposed)
    if not service.preferred_transfer_syntaxes:
        return next(acceptable, None)
    found = tuple(acceptable)
    preferred = (uid for uid in service.preferred_transfer_syntaxes if uid in found)
    return next(chain(preferred, found), None)


def _user_information(
    proposal: AssociateRequest, policy: Policy, maximum_length: int, identity_answer: bytes | None
) -> UserInformation:
    proposed = proposal.user_information
    window = proposed.asynchronous_window
    return UserInformation(
        maximum_length=maximum_length,
        implementation_class_uid=policy.implementation_class_uid,
        implementation_version_name=policy.implementation_version_name,
        asynchronous_window=None if window is None else _answer_window(window, proposal, policy),
        roles=tuple(_answer_roles(proposed.roles, policy)),
        extended=tuple(_answer_extended(proposed.extended, policy)),
        user_identity_answer=identity_answer,
    )


def _outstanding(agreed: AsynchronousWindow | None) -> tuple[int, int]:
    if agreed is None:
        return 1, 1
    return agreed.invoked or _MOST_OUTSTANDING, agreed.performed or _MOST_OUTSTANDING


def _answer_window(
    proposed: AsynchronousWindow, proposal: AssociateRequest, policy: Policy
) -> AsynchronousWindow:
    services = map(policy.find_service, {context.abstract_syntax for context in proposal.contexts})
    takes_turns = any(service is not None and service.takes_turns for service in services)
    return _narrow(proposed, replace(policy.window, invoked=1) if takes_turns else policy.window)


def _narrow(proposed: AsynchronousWindow, ours: AsynchronousWindow) -> AsynchronousWindow:
    """The smaller of two windows, where 0 is without limit. PS3.7 D.3.3.3."""

    def smaller(one: int, other: int) -> int:
        return min(one, other) if one and other else one or other

    return AsynchronousWindow(
        smaller(proposed.invoked, ours.invoked), smaller(proposed.performed, ours.performed)
    )


def _answer_roles(proposed: tuple[RoleSelection, ...], policy: Policy) -> Iterator[RoleSelection]:
    for role in proposed:
        service = policy.find_service(role.sop_class_uid)
        if service is not None:
            yield RoleSelection(role.sop_class_uid, role.scu, role.scp and service.accepts_scp_role)


def _answer_extended(
    proposed: tuple[ExtendedNegotiation, ...], policy: Policy
) -> Iterator[ExtendedNegotiation]:
    for extended in proposed:
        service = policy.find_service(extended.sop_class_uid)
        answered = None if service is None else service.answer_extended(extended.information)
        if answered is not None:
            yield ExtendedNegotiation(extended.sop_class_uid, answered)


def _identity_response(identity: UserIdentity | None, identity_answer: IdentityAnswer) -> bytes | None:
    return identity_answer.response if identity is not None and identity.wants_answer else None


def _agreed_contexts(
    proposal: AssociateRequest, answered: tuple[AnsweredContext, ...], roles: dict[str, RoleSelection]
) -> Iterator[PresentationContext]:
    results = {context.id: context for context in answered}
    for proposed in proposal.contexts:
        result = results.get(proposed.id)
        if result is not None and result.result == ContextResult.ACCEPTED:
            role = roles.get(proposed.abstract_syntax, RoleSelection(proposed.abstract_syntax, True, False))
            yield PresentationContext(
                proposed.id, proposed.abstract_syntax, result.transfer_syntax, role.scu, role.scp
            )


def read_agreement(proposal: AssociateRequest, accept: AssociateAccept, ip: str) -> Agreement:
    """What was agreed, as the requester reads it from the answer."""
    information = accept.user_information
    proposed, agreed = proposal.user_information.asynchronous_window, information.asynchronous_window
    caller = Caller(proposal.calling_ae_title, proposal.called_ae_title, ip)
    contexts = _agreed_contexts(
        proposal, accept.contexts, {role.sop_class_uid: role for role in information.roles}
    )
    return Agreement(
        caller,
        {context.id: context for context in contexts},
        information.maximum_length,
        information.implementation_class_uid,
        information.implementation_version_name,
        # Who answers what was not asked, or more than was, is not believed.
        *_outstanding(_narrow(proposed, agreed) if proposed and agreed else None),
        {extended.sop_class_uid: extended.information for extended in information.extended},
    )
