"""Where instances are forwarded to: modalities and peers, and the places that they stand for."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from hounsfield.archive import Archive
from hounsfield.errors import NotFound
from hounsfield.index.database import Transaction
from hounsfield.index.deliveries import DestinationKind, enqueue
from hounsfield.remote.modality import Modality
from hounsfield.remote.network import Network
from hounsfield.remote.peer import Peer

_AT_ONCE = 2000


@dataclass(frozen=True, slots=True)
class Destination:
    """A modality or a peer as it is defined now."""

    node: Modality | Peer

    @property
    def kind(self) -> DestinationKind:
        """What it is."""
        return DestinationKind.MODALITY if isinstance(self.node, Modality) else DestinationKind.PEER

    @property
    def name(self) -> str:
        """The name by which it is known here."""
        return self.node.name

    @property
    def target(self) -> str:
        """The place that it stands for; passwords, time-outs and the like are no part of that.

        >>> Destination(Modality("pacs", "PACS", "10.0.0.1", 104)).target
        'PACS@10.0.0.1:104'
        >>> Destination(Peer("far", "https://user:secret@far.example/")).target
        'https://far.example/'
        """
        if isinstance(self.node, Modality):
            place = f"{self.node.ae_title}@{self.node.host}:{self.node.port}"
            return f"{place} (TLS)" if self.node.use_tls else place
        parts = urlsplit(self.node.url)
        return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def find_destination(network: Network, kind: DestinationKind, name: str) -> Destination | None:
    """A destination; None if it is not defined, or no more."""
    directory = network.modalities if kind is DestinationKind.MODALITY else network.peers
    try:
        return Destination(directory.get(name))
    except NotFound:
        return None


def queue_instances(
    archive: Archive,
    destination: Destination,
    public_ids: Sequence[str],
    parameters: dict[str, object],
    clock_ns: Callable[[], int] = time.time_ns,
) -> int:
    """Put instances into the queue of a destination; how many of them exist. They survive a power cut from then on."""
    packed, count = orjson.dumps(parameters).decode(), 0
    for start in range(0, len(public_ids), _AT_ONCE):
        page, now_ns = public_ids[start : start + _AT_ONCE], clock_ns()

        def work(tx: Transaction, page: Sequence[str] = page, now_ns: int = now_ns) -> int:
            return enqueue(tx, destination.kind, destination.name, destination.target, page, packed, now_ns)

        count += archive.database.write(work)
    return count
