"""Storage commitment: asking modalities to keep what they were sent, telling what we keep, and reports. PS3.4 J."""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

from hounsfield.dicom.keys import Keys, text_of, write_keys
from hounsfield.dicom.tags import Tag
from hounsfield.errors import Corrupt, NotFound, PeerFailure
from hounsfield.net.dimse import CommandField, CommandValue
from hounsfield.net.items import RoleSelection
from hounsfield.net.scu import Proposal
from hounsfield.remote.dialing import ScuOptions, associated, context_of, dimse_failure, local_ae_title
from hounsfield.remote.finder import TRANSFER_SYNTAXES
from hounsfield.remote.modality import Modality

PUSH_MODEL = "1.2.840.10008.1.20.1"
PUSH_MODEL_INSTANCE = "1.2.840.10008.1.20.1.1"
REQUEST_COMMITMENT = 1
"""Action Type ID. PS3.4 Table J.3-1."""
ALL_COMMITTED, FAILURES_EXIST = 1, 2
"""Event Type ID. PS3.4 Table J.3-3."""
NO_SUCH_INSTANCE = 0x0112
CLASS_CONFLICT = 0x0119
PROCESSING_FAILURE = 0x0110

TRANSACTION_UID: Tag = 0x00081195
REFERENCED_SOP_SEQUENCE: Tag = 0x00081199
FAILED_SOP_SEQUENCE: Tag = 0x00081198
FAILURE_REASON: Tag = 0x00081197
REFERENCED_SOP_CLASS_UID: Tag = 0x00081150
REFERENCED_SOP_INSTANCE_UID: Tag = 0x00081155

DESCRIPTIONS: Mapping[int, str] = MappingProxyType(
    {
        PROCESSING_FAILURE: "A general failure in processing the operation was encountered",
        NO_SUCH_INSTANCE: "One or more of the elements in the Referenced SOP Instance Sequence was not available",
        0x0213: "The SCP does not currently have enough resources to store the requested SOP Instance(s)",
        0x0122: "Storage Commitment has been requested for a SOP Instance with a SOP Class that is not supported by"
        " the SCP",
        CLASS_CONFLICT: "The SOP Class of an element in the Referenced SOP Instance Sequence did not correspond to"
        " the SOP class registered for this SOP Instance at the SCP",
        0x0131: "The Transaction UID of the Storage Commitment Request is already in use",
    }
)
"""What a Failure Reason (0008,1197) means. PS3.3 C.14.1.1."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An instance by its class and UID; `failure` says why it is not committed, 0 if it is."""

    sop_class_uid: str
    sop_instance_uid: str
    failure: int = 0


class CommitmentStatus(Enum):
    """How a request stands, in the words of the REST interface."""

    PENDING = "Pending"
    SUCCESS = "Success"
    FAILURE = "Failure"


@dataclass(frozen=True, slots=True)
class Report:
    """What is known of a request of ours: nothing, until the modality has told what it committed itself to."""

    ae_title: str
    asked: tuple[Reference, ...] = ()
    references: tuple[Reference, ...] | None = None

    @property
    def status(self) -> CommitmentStatus:
        """Whether all is well."""
        if self.references is None:
            return CommitmentStatus.PENDING
        has_failures = any(each.failure for each in self.references)
        return CommitmentStatus.FAILURE if has_failures else CommitmentStatus.SUCCESS


class CommitmentReports:
    """The last requests of ours, by Transaction UID."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._lock = threading.Lock()
        self._reports: OrderedDict[str, Report] = OrderedDict()

    def expect(self, transaction_uid: str, ae_title: str, references: Sequence[Reference]) -> None:
        """A request for these instances goes out to this AE title."""
        with self._lock:
            self._reports[transaction_uid] = Report(ae_title, tuple(references))
            while len(self._reports) > self._size:
                self._reports.popitem(last=False)

    def note(self, transaction_uid: str, references: Sequence[Reference]) -> None:
        """The modality told what it did. Only what was asked counts, and what is not mentioned is not committed.

        Raises
        ------
        NotFound
            If nothing was asked under this UID, or it is forgotten.
        """
        with self._lock:
            report = self._get(transaction_uid)
            told = {(each.sop_class_uid, each.sop_instance_uid): each for each in references}
            answered = tuple(
                told.get(
                    (each.sop_class_uid, each.sop_instance_uid), replace(each, failure=PROCESSING_FAILURE)
                )
                for each in report.asked
            )
            self._reports[transaction_uid] = replace(report, references=answered)

    def forget(self, transaction_uid: str) -> None:
        """The request could not be made."""
        with self._lock:
            self._reports.pop(transaction_uid, None)

    def get(self, transaction_uid: str) -> Report:
        """What is known. Errors as of `note`."""
        with self._lock:
            return self._get(transaction_uid)

    def _get(self, transaction_uid: str) -> Report:
        report = self._reports.get(transaction_uid)
        if report is None:
            raise NotFound("No storage commitment transaction of this UID")
        return report


def request_commitment(
    modality: Modality,
    options: ScuOptions,
    transaction_uid: str,
    references: Sequence[Reference],
    *,
    calling_ae_title: str | None = None,
    timeout_seconds: float | None = None,
) -> None:
    """N-ACTION: ask a modality to keep instances. It tells later, on an association of its own, whether it does.

    Raises
    ------
    DimseFailure
        If the modality refuses.
    NoPresentationContext, PeerFailure
        If it offers no storage commitment, or cannot be reached.
    """
    title = local_ae_title(modality, options, calling_ae_title)
    proposal = Proposal(title, [(PUSH_MODEL, TRANSFER_SYNTAXES)])
    keys: Keys = {TRANSACTION_UID: transaction_uid, REFERENCED_SOP_SEQUENCE: _write(references)}
    command: dict[str, CommandValue] = {
        "CommandField": CommandField.N_ACTION_RQ,
        "RequestedSOPClassUID": PUSH_MODEL,
        "RequestedSOPInstanceUID": PUSH_MODEL_INSTANCE,
        "ActionTypeID": REQUEST_COMMITMENT,
    }
    _send(modality, options, proposal, command, keys, "N-ACTION", timeout_seconds)


def report_commitment(
    modality: Modality,
    options: ScuOptions,
    transaction_uid: str,
    references: Sequence[Reference],
    *,
    calling_ae_title: str | None = None,
) -> None:
    """N-EVENT-REPORT: tell a modality which of its instances we keep. Errors as of `request_commitment`."""
    title = local_ae_title(modality, options, calling_ae_title)
    # We are the provider of the service on an association that we ask for. PS3.4 J.3.3.
    roles = (RoleSelection(PUSH_MODEL, False, True),)
    proposal = Proposal(title, [(PUSH_MODEL, TRANSFER_SYNTAXES)], roles)
    failures = [each for each in references if each.failure]
    keys: dict[Tag, str | Sequence[Keys]] = {TRANSACTION_UID: transaction_uid}
    successes = [each for each in references if not each.failure]
    if successes:
        keys[REFERENCED_SOP_SEQUENCE] = _write(successes)
    if failures:
        keys[FAILED_SOP_SEQUENCE] = _write(failures)
    command: dict[str, CommandValue] = {
        "CommandField": CommandField.N_EVENT_REPORT_RQ,
        "AffectedSOPClassUID": PUSH_MODEL,
        "AffectedSOPInstanceUID": PUSH_MODEL_INSTANCE,
        "EventTypeID": FAILURES_EXIST if failures else ALL_COMMITTED,
    }
    _send(modality, options, proposal, command, keys, "N-EVENT-REPORT", None)


def _send(
    modality: Modality,
    options: ScuOptions,
    proposal: Proposal,
    command: dict[str, CommandValue],
    keys: Keys,
    service: str,
    timeout_seconds: float | None,
) -> None:
    with associated(modality, options, proposal, timeout_seconds=timeout_seconds) as requester:
        context = context_of(requester, PUSH_MODEL)
        payload = write_keys(keys, context.transfer_syntax)
        answer = next(requester.request(context.id, command, payload), None)
        if answer is None:
            raise PeerFailure(f"{modality.ae_title} does not answer")
        if answer.status:
            raise dimse_failure(service, modality.ae_title, answer.status)


def _write(references: Sequence[Reference]) -> list[Keys]:
    return [
        {
            REFERENCED_SOP_CLASS_UID: each.sop_class_uid,
            REFERENCED_SOP_INSTANCE_UID: each.sop_instance_uid,
            **({FAILURE_REASON: str(each.failure)} if each.failure else {}),
        }
        for each in references
    ]


def read_references(keys: Keys, *, is_report: bool) -> tuple[str, list[Reference]]:
    """The Transaction UID and the instances of a request, or of a report.

    Raises
    ------
    Corrupt
        If the UID or an instance is missing.
    """
    transaction_uid = text_of(keys, TRANSACTION_UID)
    if not transaction_uid:
        raise Corrupt("A storage commitment without Transaction UID (0008,1195)")
    found = [_reference(item, 0) for item in _items(keys, REFERENCED_SOP_SEQUENCE)]
    if is_report:
        for item in _items(keys, FAILED_SOP_SEQUENCE):
            reason = text_of(item, FAILURE_REASON)
            is_number = reason.isascii() and reason.isdigit() and 0 < int(reason[:6]) <= 0xFFFF
            found.append(_reference(item, int(reason) if is_number else PROCESSING_FAILURE))
    return transaction_uid, found


def _items(keys: Keys, tag: Tag) -> Sequence[Keys]:
    value = keys.get(tag, ())
    return () if isinstance(value, str) else value


def _reference(item: Keys, failure: int) -> Reference:
    sop_class, uid = text_of(item, REFERENCED_SOP_CLASS_UID), text_of(item, REFERENCED_SOP_INSTANCE_UID)
    if not sop_class or not uid:
        raise Corrupt("A storage commitment refers to an instance without class or UID")
    return Reference(sop_class, uid, failure)
