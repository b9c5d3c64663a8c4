from hounsfield.net.agreement import Agreement, Caller, PresentationContext
from hounsfield.net.dimse import CommandField
from hounsfield.net.messages import Request, Response
from hounsfield.scp.verification import VERIFICATION_SOP_CLASS_UID, verification_service


def test_an_echo_succeeds() -> None:
    context = PresentationContext(1, VERIFICATION_SOP_CLASS_UID, "1.2.840.10008.1.2")
    agreement = Agreement(Caller("A", "B", "::1"), {1: context}, 0)
    request = Request(CommandField.C_ECHO_RQ, 1, VERIFICATION_SOP_CLASS_UID, "", {}, context, agreement)
    assert list(verification_service().respond(request)) == [Response(0)]


def test_explicit_little_endian_is_preferred() -> None:
    service = verification_service()
    assert service.preferred_transfer_syntaxes[0] == "1.2.840.10008.1.2.1"
    assert not service.accepts_transfer_syntax("1.2.840.10008.1.2.4.70")
