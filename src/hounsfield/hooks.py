"""What extensions may intercept: the types of the functions in the registries of `Host`.

A hook is called on the thread of what it intercepts, and may take its time; the peer waits meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass

from hounsfield.dicom.keys import Keys
from hounsfield.net.agreement import Caller


@dataclass(frozen=True, slots=True)
class Destination:
    """Where an instance is to be sent."""

    ae_title: str
    ip: str


FindFilter = Callable[[Keys, Caller], Keys]
"""May rewrite the identifier of a C-FIND before it is answered."""

OutgoingFindFilter = Callable[[Keys, str], Keys]
"""May rewrite the identifier of a C-FIND before it is sent to the modality with this AE title."""

OutgoingStoreFilter = Callable[[memoryview, Destination], bool]
"""Says whether a file (Part 10) may be sent."""
