"""What comes in, and what takes it in: the words of this room."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from hounsfield.archive import Archive
from hounsfield.dicom.identifiers import Identifiers
from hounsfield.dicom.main_tags import DEFAULT_MAIN_TAGS, MainTags
from hounsfield.dicom.part10 import Head
from hounsfield.errors import Refused
from hounsfield.index.header_packing import HeaderPacker
from hounsfield.index.replacing import Replacement
from hounsfield.ingest.arriving import Arriving
from hounsfield.ingest.instance import Origin
from hounsfield.ingest.settling import Settling
from hounsfield.ingest.young import YoungSeries
from hounsfield.metrics import Metrics
from hounsfield.settings import Settings
from hounsfield.store.spool import Buffer, Spool, SpoolFile


class Outcome(Enum):
    """What became of an instance."""

    SUCCESS = "Success"
    ALREADY_STORED = "AlreadyStored"
    FILTERED_OUT = "FilteredOut"


class Overwrite(Enum):
    """What to do with an instance that the archive has."""

    NEVER = "Never"
    ALWAYS = "Always"
    IF_CHANGED = "IfChanged"


@dataclass(frozen=True, slots=True)
class Incoming:
    """An instance at the door. Its file is `prefix` followed by `content`, and by `rest`.

    `content` is a Part 10 file, or when `transfer_syntax_uid` is given the data set alone, in this syntax, and
    `prefix` its header. A spooled file is always whole: its prefix is already in it. `rest` may hold the value of
    pixel data and what follows it, of a file that was made here; filters and transcoding see nothing of it. `made_from`
    is the metadata that names the instance it was made from, if it is another one: its number, and the public id.
    """

    origin: Origin
    content: bytes | memoryview | SpoolFile
    prefix: bytes = b""
    transfer_syntax_uid: str | None = None
    is_transcoded: bool = False
    """Whether somebody chose its transfer syntax already, so that the configured one does not matter."""

    rest: tuple[Buffer, ...] = ()
    made_from: tuple[int, str] | None = None
    check: Callable[[Head], None] | None = field(default=None, compare=False)
    """What the door wants to know of it, before anything else: raises what is to be told to the sender."""

    is_uid_kept: bool = False
    """Whether it keeps its SOP Instance UID even if it is transcoded with loss."""

    original: str | None = None
    """The instance whose copy it is: its patient is not recycled to make room for the copy."""

    replaced: str | None = None
    """The file of `original`. A copy with the same identifiers is only staged, to take the place of this file later."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of it, and what it is; with `staged`, it is still to take the place of its original (`replacing`)."""

    outcome: Outcome
    identifiers: Identifiers
    staged: Replacement | None = None


NOT_AUTHORIZED = 0x0124  # PS3.7 Annex C.5.17.


class TurnedAway(Refused):
    """A filter does not want an instance, and says by which status a C-STORE is to be answered."""

    def __init__(self, message: str = "", status: int = NOT_AUTHORIZED) -> None:
        super().__init__(message)
        self.status = status


Filter = Callable[[Incoming, Head], bool]
"""Says whether an instance may come in; raises `TurnedAway` for one whose sender is to know."""

Transcode = Callable[[Incoming, Head], Incoming | None]
"""Gives an instance in another transfer syntax, or None to keep it as it is."""


@dataclass(frozen=True, slots=True)
class IngestOptions:
    """The options of this room; sizes in bytes, 0 for no limit."""

    overwrite: Overwrite = Overwrite.NEVER
    is_compressed: bool = False
    maximum_size: int = 0
    maximum_patients: int = 0
    is_recycling: bool = True
    is_read_only: bool = False
    settings: Settings = field(default_factory=Settings)
    main_tags: MainTags = DEFAULT_MAIN_TAGS

    @property
    def default_encoding(self) -> str:
        """The character set of files that name none, as it is now."""
        return self.settings.default_encoding


@dataclass(frozen=True, slots=True)
class Intake:
    """What `receive` works with; `filters` are asked in order."""

    archive: Archive
    options: IngestOptions
    main_tags_version: int
    settling: Settling
    filters: Sequence[Filter] = ()
    transcode: Transcode | None = None
    spool: Spool | None = None
    clock_ns: Callable[[], int] = time.time_ns
    metrics: Metrics = field(default_factory=Metrics)
    headers: HeaderPacker = field(default_factory=HeaderPacker)
    arriving: Arriving = field(default_factory=Arriving)
    young: YoungSeries = field(default_factory=YoungSeries)

    @property
    def may_index_later(self) -> bool:
        """Whether a sender is answered before the row of an instance is committed.

        Not where the commit decides about the answer: what is there already, and whether there is room.
        """
        options = self.options
        return (
            self.arriving.is_possible
            and options.overwrite is Overwrite.NEVER
            and not (options.maximum_size or options.maximum_patients)
            and not self.archive.database.is_elsewhere
        )
