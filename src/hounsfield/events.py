"""Records of what happened, and the bus that hands them round.

Events are published after the transaction that made them true was committed. A subscriber is called on the
thread of the publisher and must return at once: long work is queued by the subscriber.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from hounsfield.dicom.levels import Level

_log = logging.getLogger("hounsfield.generic")


@dataclass(frozen=True, slots=True)
class ResourceCreated:
    """A patient, study, series or instance is new."""

    level: Level
    public_id: str


@dataclass(frozen=True, slots=True)
class ResourceDeleted:
    """A patient, study, series or instance is gone."""

    level: Level
    public_id: str


@dataclass(frozen=True, slots=True)
class ResourceStable:
    """Nothing came into a patient, study or series for `StableAge` seconds."""

    level: Level
    public_id: str


@dataclass(frozen=True, slots=True)
class ResourceUnstable:
    """A script said that a patient, study or series is not stable yet."""

    level: Level
    public_id: str


@dataclass(frozen=True, slots=True)
class InstanceReceived:
    """An instance was stored or overwritten; `public_ids` go from the patient down to the instance."""

    public_ids: tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class InstanceReceivedAgain:
    """An instance came that is stored already, and stays as it is; `origin` says from where, as metadata do."""

    public_ids: tuple[str, str, str, str]
    origin: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class MetadataUpdated:
    """A client set or deleted a metadata, by its number."""

    level: Level
    public_id: str
    number: int


@dataclass(frozen=True, slots=True)
class AttachmentUpdated:
    """A client set or deleted an attachment, by its number."""

    level: Level
    public_id: str
    number: int


@dataclass(frozen=True, slots=True)
class JobSubmitted:
    """A job waits to be run."""

    job_id: str


@dataclass(frozen=True, slots=True)
class JobSucceeded:
    """A job ended well."""

    job_id: str


@dataclass(frozen=True, slots=True)
class JobFailed:
    """A job failed or was cancelled."""

    job_id: str


@dataclass(frozen=True, slots=True)
class ModalitiesUpdated:
    """A client changed the modalities that are known."""


@dataclass(frozen=True, slots=True)
class PeersUpdated:
    """A client changed the peers that are known."""


Event = (
    ResourceCreated
    | ResourceDeleted
    | ResourceStable
    | ResourceUnstable
    | InstanceReceived
    | InstanceReceivedAgain
    | MetadataUpdated
    | AttachmentUpdated
    | JobSubmitted
    | JobSucceeded
    | JobFailed
    | ModalitiesUpdated
    | PeersUpdated
)


class EventBus:
    """Calls every subscriber with every event."""

    def __init__(self) -> None:
        self._subscribers: tuple[Callable[[Event], None], ...] = ()
        self._lock = threading.Lock()

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        """Call `subscriber` with each event from now on."""
        with self._lock:
            self._subscribers = (*self._subscribers, subscriber)

    def publish(self, event: Event) -> None:
        """Hand `event` to every subscriber, in order of subscription."""
        for subscriber in self._subscribers:
            subscriber(event)
