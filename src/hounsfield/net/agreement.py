"""What two AEs agreed upon when they opened an association. PS3.7 Annex D."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from hounsfield.net.items import UserIdentity


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks for an association, as far as we know."""

    calling_ae_title: str
    called_ae_title: str
    ip: str
    identity: UserIdentity | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class PresentationContext:
    """An accepted presentation context, and the roles of the requester in it."""

    id: int
    abstract_syntax: str
    transfer_syntax: str
    requester_is_scu: bool = True
    requester_is_scp: bool = False


@dataclass(frozen=True, slots=True)
class Agreement:
    """The outcome of a negotiation.

    `maximum_length` is the longest P-DATA-TF PDU that the other side takes, 0 without limit.
    """

    caller: Caller
    contexts: Mapping[int, PresentationContext]
    maximum_length: int
    peer_implementation_class_uid: str = ""
    peer_implementation_version_name: str = ""
    invoked: int = 1
    """How many requests the requester may have outstanding. PS3.7 D.3.3.3."""
    performed: int = 1
    """How many the acceptor may, such as the C-STOREs of a C-GET."""
    extended: Mapping[str, bytes] = field(default_factory=dict)
    """Service-class application information agreed upon, by SOP class UID."""
