"""Which associations, SOP classes and transfer syntaxes are accepted, by the rules of the configuration."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType

from hounsfield.dicom.uids import STORAGE_SOP_CLASSES, TRANSFER_SYNTAXES
from hounsfield.net.agreement import Caller
from hounsfield.net.hosts import is_host
from hounsfield.net.items import AsynchronousWindow
from hounsfield.net.messages import Operation, Service
from hounsfield.net.negotiation import Policy, is_same_ae_title
from hounsfield.scp.verification import VERIFICATION_SOP_CLASS_UID, verification_service
from hounsfield.settings import Settings

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")
# The transfer syntaxes that each option of the kind `...TransferSyntaxAccepted` adds or removes.
_SWITCHES = {
    "DeflatedTransferSyntaxAccepted": ("1.2.840.10008.1.2.1.99",),
    "JpegTransferSyntaxAccepted": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, *range(52, 67))),
    "JpegLosslessTransferSyntaxAccepted": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (57, 58, 70, 80, 81)),
    "Jpeg2000TransferSyntaxAccepted": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (90, 91, 92, 93)),
    "JpipTransferSyntaxAccepted": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (94, 95, 204, 205)),
    "Mpeg2TransferSyntaxAccepted": ("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.101"),
    "Mpeg4TransferSyntaxAccepted": tuple(f"1.2.840.10008.1.2.4.{n}" for n in (102, 103, 104, 105, 106)),
    "H265TransferSyntaxAccepted": ("1.2.840.10008.1.2.4.107", "1.2.840.10008.1.2.4.108"),
    "RleTransferSyntaxAccepted": ("1.2.840.10008.1.2.5",),
}


@dataclass(frozen=True, slots=True)
class KnownModality:
    """Another AE that the configuration names, and what it may ask of us."""

    ae_title: str
    host: str
    permitted: frozenset[Operation]


@dataclass(frozen=True, slots=True)
class AcceptanceRules:
    """What the configuration says of associations.

    `always` may be done by anybody. Patterns of UIDs have `*` and `?`. `accepted_sop_classes` None stands for all
    storage classes that we know.
    """

    ae_title: str
    check_called_ae_title: bool = False
    is_comparison_strict: bool = False
    check_modality_host: bool = False
    always: frozenset[Operation] = frozenset({Operation.ECHO, Operation.STORE})
    accepted_transfer_syntaxes: tuple[str, ...] = ("1.2.840.10008.1.*",)
    transfer_syntax_switches: Mapping[str, bool] = field(default_factory=dict)
    unknown_sop_class_accepted: bool = False
    accepted_sop_classes: tuple[str, ...] | None = None
    rejected_sop_classes: tuple[str, ...] = ()
    window: int = 1
    """How many requests may be outstanding on an association, of the caller as of ours. PS3.7 D.3.3.3."""


def policy(
    rules: AcceptanceRules,
    storage: Callable[[Callable[[str], bool]], Service],
    services: Mapping[str, Service] = MappingProxyType({}),
    modalities: Callable[[], Sequence[KnownModality]] = tuple,
    settings: Settings | None = None,
) -> Policy:
    """The policy of associations.

    `storage` makes the storage service for a test of transfer syntaxes; `services` are the others, by SOP class UID;
    `modalities` gives those that are known now. `settings` are those that `announce` filled, and that may change.
    """
    if settings is None:
        settings = Settings()
        announce(rules, settings)
    storage_service = storage(lambda uid: uid in settings.transfer_syntaxes)
    storage_classes = settings.sop_classes
    verification = verification_service()

    def find_service(abstract_syntax: str) -> Service | None:
        if abstract_syntax == VERIFICATION_SOP_CLASS_UID:
            return verification
        if abstract_syntax in services:
            return services[abstract_syntax]
        if abstract_syntax in storage_classes or _is_unknown_but_accepted(rules, settings, abstract_syntax):
            return storage_service
        return None

    return Policy(
        rules.ae_title,
        find_service,
        lambda caller: permitted(rules, caller, modalities()),
        check_called_ae_title=rules.check_called_ae_title,
        strict_ae_comparison=rules.is_comparison_strict,
        window=AsynchronousWindow(rules.window, rules.window),
    )


def announce(rules: AcceptanceRules, settings: Settings) -> None:
    """Say in `settings` what is accepted, by which it may be changed."""
    settings.transfer_syntaxes = accepted_transfer_syntaxes(rules)
    settings.sop_classes = accepted_sop_classes(rules)
    settings.is_unknown_sop_class_accepted = rules.unknown_sop_class_accepted


def accepted_transfer_syntaxes(rules: AcceptanceRules) -> frozenset[str]:
    """The transfer syntaxes taken in storage: those of the patterns, then what the switches add or remove."""
    accepted = {uid for uid in TRANSFER_SYNTAXES if _matches(uid, rules.accepted_transfer_syntaxes)}
    accepted |= {uid for uid in rules.accepted_transfer_syntaxes if _UID.fullmatch(uid)}
    for name, is_on in rules.transfer_syntax_switches.items():
        accepted = accepted | set(_SWITCHES[name]) if is_on else accepted - set(_SWITCHES[name])
    return frozenset(accepted)


def accepted_sop_classes(rules: AcceptanceRules) -> frozenset[str]:
    """The storage SOP classes taken: patterns choose among those we know, other UIDs must be named in full."""
    if rules.accepted_sop_classes is None:
        accepted = set(STORAGE_SOP_CLASSES)
    else:
        accepted = {uid for uid in STORAGE_SOP_CLASSES if _matches(uid, rules.accepted_sop_classes)}
        accepted |= {uid for uid in rules.accepted_sop_classes if _UID.fullmatch(uid)}
    return frozenset(uid for uid in accepted if not _matches(uid, rules.rejected_sop_classes))


def permitted(
    rules: AcceptanceRules, caller: Caller, modalities: Sequence[KnownModality]
) -> frozenset[Operation]:
    """What a caller may do: what anybody may, and what the modality it is may.

    If several modalities share its AE title, the one with its address decides, or else all of them must allow.
    """
    same = [
        modality
        for modality in modalities
        if is_same_ae_title(modality.ae_title, caller.calling_ae_title, strict=rules.is_comparison_strict)
    ]
    here = [modality for modality in same if is_host(modality.host, caller.ip)]
    if rules.check_modality_host or (here and len(same) > 1):
        same = here
    if not same:
        return rules.always
    shared = same[0].permitted
    for modality in same[1:]:
        shared &= modality.permitted
    return rules.always | shared


def _is_unknown_but_accepted(rules: AcceptanceRules, settings: Settings, uid: str) -> bool:
    """Whether this may be a storage class that nobody told us of; services of the standard are not."""
    if not settings.is_unknown_sop_class_accepted or uid in STORAGE_SOP_CLASSES:
        return False
    return not _is_standard_service(uid) and not _matches(uid, rules.rejected_sop_classes)


def _is_standard_service(uid: str) -> bool:
    """Whether a UID is that of a service of the standard other than storage, such as C-FIND or printing."""
    return uid.startswith("1.2.840.10008.") and not uid.startswith("1.2.840.10008.5.1.4.1.1.")


def _matches(uid: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(uid, pattern) for pattern in patterns)
