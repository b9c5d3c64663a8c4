"""Limits and time-outs of associations, as records handed down from the configuration."""

from dataclasses import dataclass, field
from ssl import SSLContext

from hounsfield.errors import BadRequest
from hounsfield.net.buffers import BufferOptions
from hounsfield.net.upper_layer import PduLimits

SMALLEST_PDU_LENGTH = 4096
LARGEST_PDU_LENGTH = 131072


@dataclass(frozen=True, slots=True)
class AssociationOptions:
    """Bounds of one association, in bytes and seconds; a time-out of 0 is without limit."""

    maximum_pdu_length: int = 16384
    """What we announce to take, 4096 to 131072."""
    pdu_limits: PduLimits = field(default_factory=PduLimits)
    maximum_command_length: int = 65536
    buffer: BufferOptions = field(default_factory=BufferOptions)
    artim_timeout_seconds: float = 10.0
    """For the association request to come in whole, and for the peer to close at the end. PS3.8 9.1.5."""
    idle_timeout_seconds: float = 30.0
    """Without a message; DicomScpTimeout."""
    message_grace_seconds: float = 60.0
    """Head start of a message against `minimum_bytes_per_second`, and the longest silence within it."""
    minimum_bytes_per_second: float = 1024.0

    def __post_init__(self) -> None:
        if not SMALLEST_PDU_LENGTH <= self.maximum_pdu_length <= LARGEST_PDU_LENGTH:
            raise BadRequest(
                f"The maximum PDU length must be between {SMALLEST_PDU_LENGTH} and {LARGEST_PDU_LENGTH}, "
                f"not {self.maximum_pdu_length}"
            )


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where to listen, and what all associations together may take."""

    port: int = 4242
    """0 for any free port."""
    host: str = ""
    """Empty for all addresses, of IPv4 and IPv6."""
    association: AssociationOptions = field(default_factory=AssociationOptions)
    maximum_associations: int = 400
    """A thread each, which costs some tens of kilobytes; 200 busy ones and half as many bad ones were tried."""
    maximum_waiting: int = 128
    """Connections that did not yet ask for an association; beyond it the one waiting longest is closed."""
    buffer_budget: int = 512 << 20
    """Bytes for the data set buffers of all associations; without budget left, data sets go to the spool."""
    tls: SSLContext | None = field(default=None, repr=False)
