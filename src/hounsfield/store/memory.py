"""A storage area in memory, for tests and for what need not outlive the process."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from uuid import uuid4

from hounsfield.errors import Corrupt, NotFound
from hounsfield.store.area import FileKey, Recent
from hounsfield.store.spool import Buffer, SpoolFile


class MemoryArea:
    """See `StorageArea`; everything is gone with the process."""

    def __init__(self) -> None:
        self._files: dict[FileKey, bytes] = {}
        self._notes: dict[FileKey, bytes] = {}
        self._mark = 0

    def create(self, parts: Sequence[Buffer], note: bytes, crc32: int | None = None) -> FileKey:
        """See `StorageArea.create`."""
        key = FileKey(str(uuid4()))
        self._notes[key] = note
        self._files[key] = b"".join(parts)
        return key

    def adopt(self, spooled: SpoolFile, note: bytes, crc32: int | None = None) -> FileKey:
        """See `StorageArea.adopt`; here the bytes are copied."""
        return self.create([bytes(spooled.view())], note)

    def read(self, key: FileKey, start: int, length: int) -> bytes:
        """See `StorageArea.read`."""
        if key not in self._files:
            raise NotFound(f"File {key} is missing from the storage area")
        data = self._files[key][start : start + length]
        if len(data) < length:
            raise Corrupt(f"File {key} is shorter than it was")
        return data

    def path(self, key: FileKey) -> Path | None:
        """See `StorageArea.path`: nothing here is a file."""
        return None

    def remove(self, keys: Iterable[FileKey]) -> None:
        """See `StorageArea.remove`."""
        for key in keys:
            self._files.pop(key, None)
            self._notes.pop(key, None)

    def settle(self, keys: Iterable[FileKey], mark: int) -> None:
        """See `StorageArea.settle`."""
        self._mark = max(self._mark, mark)
        for key in keys:
            self._notes.pop(key, None)

    def settled_mark(self) -> int:
        """See `StorageArea.settled_mark`."""
        return self._mark

    def recent(self) -> Iterator[Recent]:
        """See `StorageArea.recent`."""
        for key, data in list(self._files.items()):
            yield Recent(key, len(data), self._notes.get(key))

    def find(self, key: FileKey) -> Recent | None:
        """See `StorageArea.find`."""
        data = self._files.get(key)
        return Recent(key, len(data), self._notes.get(key)) if data else None

    def keys(self) -> Iterator[FileKey]:
        """See `StorageArea.keys`."""
        yield from list(self._files)
