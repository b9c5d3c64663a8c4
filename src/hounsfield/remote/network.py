"""What jobs and doors need to speak with other servers, in one record."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hounsfield.archive import Archive
from hounsfield.hooks import OutgoingFindFilter
from hounsfield.remote.arrivals import Arrivals
from hounsfield.remote.commitment import CommitmentReports
from hounsfield.remote.dialing import ScuOptions
from hounsfield.remote.directory import Directory
from hounsfield.remote.modality import Modality
from hounsfield.remote.peer import Peer
from hounsfield.remote.sender import Shipping
from hounsfield.remote.web_client import WebOptions


@dataclass(frozen=True, slots=True)
class Network:
    """The other servers, and how they are spoken with."""

    archive: Archive
    shipping: Shipping
    modalities: Directory[Modality]
    peers: Directory[Peer]
    web: WebOptions
    find_filters: Sequence[OutgoingFindFilter] = ()
    commitments: CommitmentReports = field(default_factory=lambda: CommitmentReports(100))
    arrivals: Arrivals = field(default_factory=Arrivals)

    @property
    def options(self) -> ScuOptions:
        """The options of us as user."""
        return self.shipping.options
