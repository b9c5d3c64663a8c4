"""What became of an instance that was to be sent. PS3.4 Table B.2-1."""

from dataclasses import dataclass

from hounsfield.errors import ArchiveError
from hounsfield.index.sending import StoredInstance
from hounsfield.remote.dialing import dimse_failure
from hounsfield.remote.modality import Modality

_SUCCESSES = frozenset((0x0000, 0xB000, 0xB006, 0xB007, 0x0111))
"""0111H says that the modality has the instance already."""


def is_success(status: int) -> bool:
    """Whether a C-STORE with this status left the instance at the modality."""
    return status in _SUCCESSES


def is_warning(status: int) -> bool:
    """Whether it did so with a remark. PS3.7 C.3."""
    return status >> 12 == 0xB or status == 0x0111


@dataclass(frozen=True, slots=True)
class Shipped:
    """What became of an instance: the status of its C-STORE, None if a filter kept it back; or why it could not go."""

    instance: StoredInstance
    status: int | None = None
    error: ArchiveError | None = None
    sop_instance_uid: str = ""
    """As it was sent: lossy transcoding makes another instance."""

    def check(self, modality: Modality) -> None:
        """Raise the error, or DimseFailure for a status that says that the instance was not stored."""
        if self.error is not None:
            raise self.error
        if self.status is not None and not is_success(self.status):
            raise dimse_failure("C-STORE", modality.ae_title, self.status)
