"""How instances get to a modality or to a peer."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import TracebackType
from typing import Any, Protocol

import orjson

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import PublicId
from hounsfield.errors import ArchiveError, DatabaseUnavailable, PeerFailure
from hounsfield.forwarding.destinations import Destination
from hounsfield.http.errors import NoPresentationContext
from hounsfield.index.deliveries import Delivery
from hounsfield.index.sending import StoredInstance
from hounsfield.remote.dialing import DimseFailure
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.remote.peer import Peer
from hounsfield.remote.posting import post_instance
from hounsfield.remote.sender import Sender
from hounsfield.remote.shipped import Shipped
from hounsfield.remote.web_client import WebClient, WebFailure
from hounsfield.retrieve.files import map_attachment

_OUT_OF_RESOURCES = range(0xA700, 0xA800)
_NOT_AUTHORIZED = 0x0124
_ABOUT_THE_INSTANCE = frozenset((400, 406, 409, 411, 413, 415, 422, 500))
"""HTTP statuses that say something of what was sent; Orthanc answers 500 to some files that it does not like."""


@dataclass(frozen=True, slots=True)
class Carried:
    """What became of a delivery: it was sent, or kept back by a filter; or why it did not arrive.

    `is_refusal` tells whose fault an error is. Without `is_connected` the destination was not there, or not for us.
    """

    delivery: Delivery
    is_sent: bool = False
    error: ArchiveError | None = None
    is_connected: bool = True


Load = Sequence[tuple[Delivery, StoredInstance]]


class Carrier(Protocol):
    """Brings instances to one destination; to be used as a context."""

    def __enter__(self) -> "Carrier": ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def carry(self, load: Load, *, is_careful: bool) -> Iterator[Carried]:
        """Send instances in their order; what became of each, as it is known.

        Several may be under way at a time, unless `is_careful`.
        """
        ...

    def drain(self) -> Iterator[Carried]:
        """Wait for what is under way when `carry` was not followed to its end; what became of it."""
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
    """By C-STORE, on one association as long as it goes, which is then kept for a while."""

    def __init__(self, network: Network, modality: Modality) -> None:
        self._network, self._modality = network, modality
        self._sender: Sender | None = None
        self._asked: tuple[object, object] = (None, None)
        self._load: dict[PublicId, Delivery] = {}

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

    def carry(self, load: Load, *, is_careful: bool) -> Iterator[Carried]:
        """See `Carrier`."""
        for asked, group in groupby(load, lambda each: _asked(each[0])):
            same = list(group)
            sender = self._sender_of(asked)
            self._load = {instance.public_id: delivery for delivery, instance in same}
            instances = [instance for _, instance in same]
            try:
                sender.connect(instances[0], instances[1:])
            except ArchiveError as error:
                yield Carried(same[0][0], error=error, is_connected=False)
                return
            for some in ([each] for each in instances) if is_careful else (instances,):
                yield from map(self._carried, sender.ship(some))

    def drain(self) -> Iterator[Carried]:
        """See `Carrier`."""
        return map(self._carried, self._sender.drain() if self._sender is not None else ())

    def _carried(self, shipped: Shipped) -> Carried:
        delivery = self._load[shipped.instance.public_id]
        try:
            shipped.check(self._modality)
        except ArchiveError as error:
            return Carried(delivery, error=error)
        return Carried(delivery, shipped.status is not None)

    def _sender_of(self, asked: tuple[object, object]) -> Sender:
        """The sender, or a new one if the deliveries are to be made under another name."""
        if self._sender is None or asked != self._asked:
            self._close()
            local, timeout = asked
            self._sender = Sender(
                self._network.shipping,
                self._modality,
                calling_ae_title=local if isinstance(local, str) else None,
                timeout_seconds=timeout if isinstance(timeout, int | float) else None,
                keeps=True,
            )
            self._asked = asked
        return self._sender


def _asked(delivery: Delivery) -> tuple[object, object]:
    """Under which name, and how patiently, a delivery is to be made."""
    parameters: dict[str, Any] = orjson.loads(delivery.parameters)
    return parameters.get("LocalAet"), parameters.get("Timeout")


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

    def carry(self, load: Load, *, is_careful: bool) -> Iterator[Carried]:
        """See `Carrier`: one after the other."""
        del is_careful
        for delivery, instance in load:
            try:
                if not self._is_known:
                    self._client.request("GET", "system")
                    self._is_known = True
            except ArchiveError as error:
                yield Carried(delivery, error=error, is_connected=False)
                return
            try:
                self._post(delivery, instance)
            except ArchiveError as error:
                yield Carried(delivery, error=error)
            else:
                yield Carried(delivery, is_sent=True)

    def drain(self) -> Iterator[Carried]:
        """See `Carrier`: nothing is."""
        return iter(())

    def _post(self, delivery: Delivery, instance: StoredInstance) -> None:
        parameters: dict[str, Any] = orjson.loads(delivery.parameters)
        file = map_attachment(self._archive, instance.file)
        post_instance(
            self._client,
            file,
            is_compressed=parameters.get("Compress") is True,
            transfer_syntax_uid=parameters.get("Transcode"),
        )
