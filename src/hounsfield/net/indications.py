"""What the upper layer tells the association it serves. PS3.8 7: indications and confirmations of its services."""

from dataclasses import dataclass

from hounsfield.net.pdu import Abort, AssociateAccept, AssociateReject, AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociateIndicated:
    """A peer asks for an association."""

    request: AssociateRequest


@dataclass(frozen=True, slots=True)
class AssociateConfirmed:
    """The peer answered our request."""

    answer: AssociateAccept | AssociateReject


@dataclass(frozen=True, slots=True)
class LastFragmentReceived:
    """A whole command, or a whole data set, is now in the sink."""

    context_id: int
    is_command: bool


@dataclass(frozen=True, slots=True)
class ReleaseIndicated:
    """The peer asks for the release of the association."""


@dataclass(frozen=True, slots=True)
class ReleaseConfirmed:
    """The peer released the association as we asked."""


@dataclass(frozen=True, slots=True)
class Aborted:
    """The association ended abruptly, by the peer or by our own side of the protocol."""

    abort: Abort
    by_peer: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Transmit:
    """The protocol itself answers: these bytes must be sent."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The transport connection must be closed, if it is not yet."""


UpperLayerEvent = (
    AssociateIndicated
    | AssociateConfirmed
    | LastFragmentReceived
    | ReleaseIndicated
    | ReleaseConfirmed
    | Aborted
    | Transmit
    | Close
)
