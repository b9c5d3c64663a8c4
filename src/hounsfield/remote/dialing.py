"""How an association with a modality is opened: where, as whom, for how long, encrypted or not."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from ssl import SSLContext

from hounsfield.errors import BadRequest, Corrupt, PeerFailure, TimedOut
from hounsfield.http.errors import NoPresentationContext
from hounsfield.net.agreement import PresentationContext
from hounsfield.net.options import AssociationOptions
from hounsfield.net.scu import Proposal, RemoteNode, Requester, open_association
from hounsfield.remote.modality import Modality
from hounsfield.store.spool import Spool

_LONGEST_AE_TITLE = 16
_GRACE_SECONDS = 60.0
"""How long a modality without time-out may be silent within a message."""


@dataclass(frozen=True, slots=True)
class ScuOptions:
    """What the configuration says of us as user of other servers; times in seconds, 0 for no limit."""

    ae_title: str = "ORTHANC"
    timeout_seconds: float = 10.0
    maximum_pdu_length: int = 131072
    preferred_transfer_syntax: str = "1.2.840.10008.1.2.1"
    is_transcoding: bool = True
    lossy_quality: int | None = None
    default_encoding: str = "Latin1"
    retrieve_method: str = "C-MOVE"
    echo_checks_find: bool = False
    is_comparison_strict: bool = False
    logs_exports: bool = False
    window: int = 1
    """How many C-STOREs may be under way on an association, if the modality agrees. PS3.7 D.3.3.3."""
    tls: SSLContext | None = field(default=None, repr=False)


class DimseFailure(PeerFailure):
    """A modality answered a request with a status that says it failed."""

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


def dimse_failure(service: str, ae_title: str, status: int) -> DimseFailure:
    """The failure that a status of a service means."""
    reason = _REASONS.get(status)
    told = f'{service} SCU to AET "{ae_title}" has failed with DIMSE status 0x{status:04X}'
    return DimseFailure(f"{told} ({reason})" if reason else told, status)


_REASONS = {
    0xA700: "refused - out of resources",
    0xA701: "refused - out of resources",
    0xA702: "refused - out of resources",
    0xA801: "refused - move destination unknown",
    0xA900: "identifier does not match the SOP class",
    0xC000: "unable to process - resource not found ?",
    0x0110: "processing failure",
    0x0122: "SOP class not supported",
    0x0124: "not authorized",
    0x0211: "unrecognized operation",
}


def local_ae_title(modality: Modality, options: ScuOptions, given: str | None = None) -> str:
    """Whom we call as: what the caller says, else what the modality wants, else our own AE title.

    Raises
    ------
    BadRequest
        If it is no AE title. PS3.5 6.2.
    """
    title = given or modality.local_ae_title or options.ae_title
    if len(title.strip()) > _LONGEST_AE_TITLE or "\\" in title or not title.isprintable():
        raise BadRequest(f"Not an AE title: {title!r}")
    return title


def association_options(
    modality: Modality, options: ScuOptions, timeout_seconds: float | None = None
) -> AssociationOptions:
    """Limits of an association; the time-out of the caller comes before that of the modality and the global one.

    It holds within a message too: a modality that goes silent there does not come back.
    """
    timeout = timeout_seconds
    if timeout is None:
        timeout = (
            modality.timeout_seconds if modality.timeout_seconds is not None else options.timeout_seconds
        )
    return AssociationOptions(
        maximum_pdu_length=options.maximum_pdu_length,
        idle_timeout_seconds=timeout,
        artim_timeout_seconds=timeout or 3600.0,
        message_grace_seconds=timeout or _GRACE_SECONDS,
    )


def node_of(modality: Modality, options: ScuOptions) -> RemoteNode:
    """Where a modality is.

    Raises
    ------
    BadRequest
        If it wants TLS, and no certificates are configured.
    """
    if modality.use_tls and options.tls is None:
        raise BadRequest(
            "A modality with UseDicomTls needs DicomTlsTrustedCertificates or DicomTlsCertificate"
        )
    return RemoteNode(
        modality.host, modality.port, modality.ae_title, options.tls if modality.use_tls else None
    )


@contextmanager
def calling(modality: Modality) -> Iterator[None]:
    """Whatever goes wrong while we speak with a modality is its failure, not that of our own caller."""
    try:
        yield
    except (TimedOut, Corrupt) as error:
        raise PeerFailure(
            f'DicomAssociation - speaking with AET "{modality.ae_title}" at {modality.host}:{modality.port}: {error}'
        ) from error


@contextmanager
def associated(
    modality: Modality,
    options: ScuOptions,
    proposal: Proposal,
    *,
    timeout_seconds: float | None = None,
    spool: Spool | None = None,
) -> Iterator[Requester]:
    """An association with a modality for the length of a block.

    Raises
    ------
    PeerFailure
        If it cannot be reached, refuses, or breaks the protocol.
    """
    limits = association_options(modality, options, timeout_seconds)
    with calling(modality):
        requester = open_association(node_of(modality, options), proposal, limits, spool)
        try:
            yield requester
        except BaseException:
            requester.abort()
            raise
    # All was answered: how the modality says good-bye does not matter.
    with suppress(PeerFailure, TimedOut, Corrupt):
        requester.release()


def context_of(requester: Requester, *abstract_syntaxes: str) -> PresentationContext:
    """The first accepted context of some SOP classes.

    Raises
    ------
    NoPresentationContext
        If the modality accepted none.
    """
    for abstract_syntax in abstract_syntaxes:
        found = requester.find_context(abstract_syntax)
        if found is not None:
            return found
    raise NoPresentationContext(
        f'No presentation context was accepted by AET "{requester.agreement.caller.called_ae_title}"'
        f" for {abstract_syntaxes[0]}"
    )


def override(
    modality: Modality, *, ae_title: str | None = None, host: str | None = None, port: int | None = None
) -> Modality:
    """The same modality under another title or at another address."""
    return replace(
        modality,
        ae_title=ae_title or modality.ae_title,
        host=host or modality.host,
        port=port or modality.port,
    )
