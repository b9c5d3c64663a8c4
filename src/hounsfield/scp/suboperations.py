"""Counting the C-STORE sub-operations of C-MOVE and C-GET, and telling of them. PS3.7 9.1.4.1, PS3.4 C.4.2.1.5."""

from dataclasses import dataclass, field

from hounsfield.dicom.keys import write_keys
from hounsfield.dicom.tags import Tag
from hounsfield.net.dimse import CommandSet, Status
from hounsfield.net.messages import Request, Response
from hounsfield.remote.shipped import is_success, is_warning

FAILED_SOP_INSTANCE_UID_LIST: Tag = 0x00080058
WARNING = 0xB000
ALL_FAILED = 0xA702


@dataclass(slots=True)
class SubOperationCounts:
    """How many there are, and what became of those that are done."""

    remaining: int
    completed: int = 0
    failed: int = 0
    warning: int = 0
    failed_uids: list[str] = field(default_factory=list)

    def note(self, sop_instance_uid: str, status: int | None) -> None:
        """One is done, with this status; None if it could not be sent at all."""
        self.remaining -= 1
        if status is None or not is_success(status):
            self.failed += 1
            self.failed_uids.append(sop_instance_uid)
        elif is_warning(status):
            self.warning += 1
        else:
            self.completed += 1

    def pending(self) -> Response:
        """What to say in the middle."""
        return Response(Status.PENDING, elements=self._counts(with_remaining=True))

    def cancelled(self, request: Request) -> Response:
        """What to say when the requester does not want the rest."""
        return self._final(Status.CANCEL, request, with_remaining=True)

    def final(self, request: Request) -> Response:
        """What to say at the end."""
        status: int = Status.SUCCESS
        if self.failed:
            status = WARNING if self.completed or self.warning else ALL_FAILED
        return self._final(status, request, with_remaining=False)

    def _final(self, status: int, request: Request, *, with_remaining: bool) -> Response:
        payload = None
        if self.failed_uids:
            failed = {FAILED_SOP_INSTANCE_UID_LIST: "\\".join(self.failed_uids)}
            payload = write_keys(failed, request.context.transfer_syntax)
        return Response(status, payload, self._counts(with_remaining=with_remaining))

    def _counts(self, *, with_remaining: bool) -> CommandSet:
        counts = {
            "NumberOfCompletedSuboperations": self.completed,
            "NumberOfFailedSuboperations": self.failed,
            "NumberOfWarningSuboperations": self.warning,
        }
        if with_remaining:
            counts["NumberOfRemainingSuboperations"] = self.remaining
        return {keyword: min(count, 0xFFFF) for keyword, count in counts.items()}
