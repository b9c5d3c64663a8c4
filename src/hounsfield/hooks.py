"""What extensions may intercept: the types of the functions in the registries of `Host`.

A hook is called on the thread of what it intercepts, and may take its time; the peer waits meanwhile.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

TagTree = Mapping[str, str | Sequence["TagTree"]]
"""Attributes by `gggg,eeee`; a sequence holds such objects."""


@dataclass(frozen=True, slots=True)
class RemoteEnd:
    """The other side of an association; what is not known is empty. `manufacturer` is that of the configuration."""

    remote_aet: str
    remote_ip: str = ""
    called_aet: str = ""
    manufacturer: str = ""


FindFilter = Callable[[TagTree, RemoteEnd], TagTree]
"""Gives the query to answer instead of the one that came, of C-FIND for resources or worklists."""

OutgoingFindFilter = Callable[[TagTree, str], TagTree]
"""Gives the query to send instead, to the modality with this AE title."""

OutgoingStoreFilter = Callable[[memoryview, RemoteEnd], bool]
"""Says whether a file (Part 10) may be sent."""
