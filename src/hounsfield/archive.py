"""What every room above it works on: the index, the files, and the events that tell of them."""

from dataclasses import dataclass

from hounsfield.events import EventBus
from hounsfield.index.database import Database
from hounsfield.store.area import StorageArea


@dataclass(frozen=True, slots=True)
class Archive:
    """The collaborators of one archive."""

    database: Database
    storage: StorageArea
    events: EventBus
