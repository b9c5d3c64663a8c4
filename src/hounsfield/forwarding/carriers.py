"""How one instance gets to a modality or to a peer."""

from collections.abc import Sequence
from types import TracebackType
from typing import Any, Protocol

import orjson

from hounsfield.archive import Archive
from hounsfield.errors import ArchiveError, DatabaseUnavailable, PeerFailure
from hounsfield.forwarding.destinations import Destination
from hounsfield.http.errors import NoPresentationContext
from hounsfield.index.deliveries import Delivery
from hounsfield.index.sending import StoredInstance
from hounsfield.remote.dialing import DimseFailure, dimse_failure
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.remote.peer import Peer
from hounsfield.remote.posting import post_instance
from hounsfield.remote.sender import Sender
from hounsfield.remote.shipped import is_success
from hounsfield.remote.web_client import WebClient, WebFailure
from hounsfield.retrieve.files import map_attachment

_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_NOT_AUTHORIZED = 0x0124
_ABOUT_THE_INSTANCE = frozenset((400, 406, 409, 411, 413, 415, 422, 500))
"""HTTP statuses that say something of what was sent; Orthanc answers 500 to some files that it does not like."""


class Carrier(Protocol):
    """Brings instances to one destination; to be used as a context."""

    def __enter__(self) -> "Carrier": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def connect(self, delivery: Delivery, instance: StoredInstance, coming: Sequence[StoredInstance]) -> None:
        """Make sure that the destination is there. Any `ArchiveError` if it is not, or not for us."""
        ...

    def carry(self, delivery: Delivery, instance: StoredInstance, coming: Sequence[StoredInstance]) -> bool:
        """Send an instance; False if a filter keeps it back.

        Raises
        ------
        ArchiveError
            If it did not arrive; `is_refusal` tells whose fault that is.
        """
        ...


def carrier(network: Network, destination: Destination) -> Carrier:
    """The carrier to a destination."""
    if isinstance(destination.node, Modality):
        return _ModalityCarrier(network, destination.node)
    return _PeerCarrier(network, destination.node)


def is_refusal(error: ArchiveError) -> bool:
    """Whether an error concerns one instance, so that others may go on; otherwise it concerns the destination."""
    if isinstance(error, DimseFailure):
        return error.status not in _OUT_OF_RESOURCES and error.status != _NOT_AUTHORIZED
    if isinstance(error, WebFailure):
        return error.status in _ABOUT_THE_INSTANCE
    if isinstance(error, NoPresentationContext):
        return True
    return not isinstance(error, PeerFailure | DatabaseUnavailable)


class _ModalityCarrier:
    """By C-STORE, on one association as long as it goes."""

    def __init__(self, network: Network, modality: Modality) -> None:
        self._network, self._modality = network, modality
        self._sender: Sender | None = None
        self._asked: tuple[object, object] = (None, None)

    def __enter__(self) -> "_ModalityCarrier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close(is_orderly=error is None)

    def _close(self, *, is_orderly: bool = True) -> None:
        sender, self._sender = self._sender, None
        if sender is not None:
            sender.close(is_orderly=is_orderly)

    def connect(self, delivery: Delivery, instance: StoredInstance, coming: Sequence[StoredInstance]) -> None:
        """See `Carrier`."""
        self._sender_of(delivery).connect(instance, coming)

    def carry(self, delivery: Delivery, instance: StoredInstance, coming: Sequence[StoredInstance]) -> bool:
        """See `Carrier`."""
        status = self._sender_of(delivery).send(instance, coming)
        if status is not None and not is_success(status):
            raise dimse_failure("C-STORE", self._modality.ae_title, status)
        return status is not None

    def _sender_of(self, delivery: Delivery) -> Sender:
        """The sender, or a new one if the delivery is to be made under another name."""
        parameters: dict[str, Any] = orjson.loads(delivery.parameters)
        asked = parameters.get("LocalAet"), parameters.get("Timeout")
        if self._sender is None or asked != self._asked:
            self._close()
            self._sender = Sender(
                self._network.shipping,
                self._modality,
                calling_ae_title=parameters.get("LocalAet"),
                timeout_seconds=parameters.get("Timeout"),
            )
            self._asked = asked
        return self._sender


class _PeerCarrier:
    """By POST, on one connection as long as it goes."""

    def __init__(self, network: Network, peer: Peer) -> None:
        self._archive: Archive = network.archive
        self._client = WebClient(peer, network.web)
        self._is_known = False

    def __enter__(self) -> "_PeerCarrier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()

    def connect(self, delivery: Delivery, instance: StoredInstance, coming: Sequence[StoredInstance]) -> None:
        """See `Carrier`."""
        del delivery, instance, coming
        if not self._is_known:
            self._client.request("GET", "system")
            self._is_known = True

    def carry(self, delivery: Delivery, instance: StoredInstance, coming: Sequence[StoredInstance]) -> bool:
        """See `Carrier`."""
        del coming
        parameters: dict[str, Any] = orjson.loads(delivery.parameters)
        file = map_attachment(self._archive, instance.file)
        post_instance(
            self._client,
            file,
            is_compressed=parameters.get("Compress") is True,
            transfer_syntax_uid=parameters.get("Transcode"),
        )
        return True
