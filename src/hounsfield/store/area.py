"""What a storage area promises.

A file is written once, whole, and never changed. When the area synchronises (`SyncStorageArea`), a file
that `create` or `adopt` returned survives a power cut under its key, bit for bit, together with its *note*:
what is needed to index it again should the row that tells of it be lost. Once the row is itself durable the
note is worth nothing and `settle` drops it.

The life of a file, and what a power cut leaves of it:

    create/adopt  nothing, or a torn file that `recent` gives without a note
    returned      the file and its note, which `recent` gives back at start-up
    settled       the file
    removed       nothing: `remove` returns when the deletion itself is durable
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NewType, Protocol

from hounsfield.store.spool import Buffer, SpoolFile

FileKey = NewType("FileKey", str)
"""The name of a file in a storage area: a lower-case UUID of 36 characters."""


@dataclass(frozen=True, slots=True)
class Recent:
    """A file found at start-up among the most recent ones.

    With a note its row may be lost, and `find` tells whether it is whole. Without one it was either settled, and has a
    row, or it is torn, and has none.
    """

    key: FileKey
    size: int
    note: bytes | None


class StorageArea(Protocol):
    """Keeps files by key. Every operation may be called from any thread."""

    def create(self, parts: Sequence[Buffer], note: bytes, crc32: int | None = None) -> FileKey:
        """Keep the concatenation of `parts`, whose CRC-32 may be given if it is known.

        Raises
        ------
        StorageFull
            If there is no room; nothing is left behind.
        """
        ...

    def adopt(self, spooled: SpoolFile, note: bytes, crc32: int | None = None) -> FileKey:
        """Keep a spooled file without copying it when it lies on the same file system."""
        ...

    def read(self, key: FileKey, start: int, length: int) -> bytes:
        """Read `length` bytes from `start` on.

        Raises
        ------
        NotFound
            If there is no such file.
        Corrupt
            If the file is shorter.
        """
        ...

    def path(self, key: FileKey) -> Path | None:
        """Where the file lies, when it is a file of this machine; it may carry its note after its bytes."""
        ...

    def remove(self, keys: Iterable[FileKey]) -> None:
        """Delete files; those that are not there are ignored. Durable on return when the area synchronises."""
        ...

    def settle(self, keys: Iterable[FileKey], mark: int) -> None:
        """Drop the notes of files whose rows are durable.

        `mark` is the number of the synchronisation of the index that made them so: an index that does not know of
        it is an older one, and a file that has no row in it is not torn.
        """
        ...

    def settled_mark(self) -> int:
        """The largest mark that was given to `settle`, 0 if none."""
        ...

    def recent(self) -> Iterator[Recent]:
        """At start-up: every file that may have a note, or may be torn; their number is bounded.

        Their content is not read: whoever needs to know whether a file with a note is whole asks `find`.
        """
        ...

    def find(self, key: FileKey) -> Recent | None:
        """What a file is now, with its note only if it is whole; None if there is none, or nothing in it."""
        ...

    def keys(self) -> Iterator[FileKey]:
        """Every file there is, in no order."""
        ...
