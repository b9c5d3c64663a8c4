import pytest

from hounsfield.dicom.uids import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES
from hounsfield.net.agreement import Caller
from hounsfield.net.messages import Operation, Request, Response, Responses, Service
from hounsfield.scp.acceptance import (
    AcceptanceRules,
    KnownModality,
    accepted_sop_classes,
    accepted_transfer_syntaxes,
    permitted,
    policy,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
MR = "1.2.840.10008.5.1.4.1.1.4"
ALWAYS = frozenset({Operation.ECHO})
FIND = frozenset({Operation.FIND})
MOVE = frozenset({Operation.MOVE})


def find_service(rules: AcceptanceRules, uid: str) -> Service | None:
    def respond(request: Request) -> Responses:
        yield Response(0)

    return policy(rules, lambda accepts: Service({}, respond, accepts)).find_service(uid)


def test_all_known_storage_classes_and_verification_are_accepted() -> None:
    rules = AcceptanceRules("HERE")
    assert all(find_service(rules, uid) is not None for uid in (*STORAGE_SOP_CLASSES, "1.2.840.10008.1.1"))


@pytest.mark.parametrize(
    "uid", ["1.2.3.4", "1.2.840.10008.5.1.4.1.1.999", "1.2.840.10008.5.1.4.1.2.2.1", "junk"]
)
def test_other_classes_are_not(uid: str) -> None:
    assert find_service(AcceptanceRules("HERE"), uid) is None


def test_unknown_classes_are_accepted_if_asked_for_but_never_services() -> None:
    rules = AcceptanceRules("HERE", unknown_sop_class_accepted=True, rejected_sop_classes=("1.2.9.*", CT))
    assert find_service(rules, "1.2.3.4") is not None
    assert find_service(rules, "1.2.840.10008.5.1.4.1.1.999") is not None
    assert find_service(rules, "1.2.840.10008.5.1.4.1.2.2.1") is None
    assert find_service(rules, "1.2.9.4") is None
    assert find_service(rules, CT) is None


def test_patterns_choose_among_known_classes_and_full_uids_add() -> None:
    rules = AcceptanceRules("HERE", accepted_sop_classes=("1.2.840.10008.5.1.4.1.1.2*", "1.2.3"))
    accepted = accepted_sop_classes(rules)
    assert {CT, "1.2.3"} <= accepted
    assert MR not in accepted
    assert accepted_sop_classes(AcceptanceRules("HERE", rejected_sop_classes=(MR,))) >= {CT}
    assert MR not in accepted_sop_classes(AcceptanceRules("HERE", rejected_sop_classes=(MR,)))


def test_transfer_syntaxes_follow_patterns_then_switches() -> None:
    rle = "1.2.840.10008.1.2.5"
    assert accepted_transfer_syntaxes(AcceptanceRules("HERE")) >= {
        uid for uid in TRANSFER_SYNTAXES if uid.startswith("1.2.840.10008.1.")
    }
    without = AcceptanceRules("HERE", transfer_syntax_switches={"RleTransferSyntaxAccepted": False})
    assert rle not in accepted_transfer_syntaxes(without)
    only = AcceptanceRules(
        "HERE",
        accepted_transfer_syntaxes=("1.2.840.10008.1.2",),
        transfer_syntax_switches={"RleTransferSyntaxAccepted": True},
    )
    assert accepted_transfer_syntaxes(only) == {"1.2.840.10008.1.2", rle}


def allowed(
    title: str, ip: str, *modalities: KnownModality, check_host: bool = False
) -> frozenset[Operation]:
    rules = AcceptanceRules("HERE", always=ALWAYS, check_modality_host=check_host)
    return permitted(rules, Caller(title, "HERE", ip), modalities)


def test_a_stranger_may_do_what_anybody_may() -> None:
    assert allowed("STRANGER", "10.0.0.1", KnownModality("CT1", "10.0.0.1", FIND)) == ALWAYS


def test_a_known_modality_may_do_more_whatever_the_case_of_its_title() -> None:
    assert allowed("ct1", "10.9.9.9", KnownModality("CT1", "10.0.0.1", FIND)) == ALWAYS | FIND


def test_its_host_counts_only_if_checked() -> None:
    modality = KnownModality("CT1", "10.0.0.1", FIND)
    assert allowed("CT1", "10.9.9.9", modality, check_host=True) == ALWAYS
    assert allowed("CT1", "10.0.0.1", modality, check_host=True) == ALWAYS | FIND


def test_among_modalities_with_the_same_title_the_one_with_the_address_decides() -> None:
    both = (KnownModality("X", "10.0.0.1", FIND), KnownModality("X", "10.0.0.2", MOVE | FIND))
    assert allowed("X", "10.0.0.2", *both) == ALWAYS | FIND | MOVE
    assert allowed("X", "10.0.0.3", *both) == ALWAYS | FIND


def test_a_host_may_be_given_by_its_name() -> None:
    modality = KnownModality("CT1", "localhost", FIND)
    assert allowed("CT1", "127.0.0.1", modality, check_host=True) == ALWAYS | FIND
    assert allowed("CT1", "10.0.0.1", modality, check_host=True) == ALWAYS
    nowhere = KnownModality("CT1", "no such host.invalid", FIND)
    assert allowed("CT1", "127.0.0.1", nowhere, check_host=True) == ALWAYS
