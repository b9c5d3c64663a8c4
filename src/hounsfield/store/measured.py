"""A storage area that tells how long it takes, around any other."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from hounsfield.metrics import Metrics
from hounsfield.store.area import FileKey, Recent, StorageArea
from hounsfield.store.spool import Buffer, SpoolFile

_CREATE = "orthanc_storage_create_duration_ms"
_READ = "orthanc_storage_read_duration_ms"
_REMOVE = "orthanc_storage_remove_duration_ms"
_WRITTEN = "orthanc_storage_written_bytes"
_READ_BYTES = "orthanc_storage_read_bytes"


class MeasuredArea:
    """See `StorageArea`; every operation is that of `area`."""

    def __init__(self, area: StorageArea, metrics: Metrics) -> None:
        self._area, self._metrics = area, metrics

    def create(self, parts: Sequence[Buffer], note: bytes, crc32: int | None = None) -> FileKey:
        """See `StorageArea.create`."""
        with self._metrics.measured(_CREATE):
            key = self._area.create(parts, note, crc32)
        self._metrics.add(_WRITTEN, sum(map(len, parts)))
        return key

    def adopt(self, spooled: SpoolFile, note: bytes, crc32: int | None = None) -> FileKey:
        """See `StorageArea.adopt`."""
        size = spooled.size
        with self._metrics.measured(_CREATE):
            key = self._area.adopt(spooled, note, crc32)
        self._metrics.add(_WRITTEN, size)
        return key

    def read(self, key: FileKey, start: int, length: int) -> bytes:
        """See `StorageArea.read`."""
        with self._metrics.measured(_READ):
            data = self._area.read(key, start, length)
        self._metrics.add(_READ_BYTES, len(data))
        return data

    def path(self, key: FileKey) -> Path | None:
        """See `StorageArea.path`."""
        return self._area.path(key)

    def remove(self, keys: Iterable[FileKey]) -> None:
        """See `StorageArea.remove`."""
        with self._metrics.measured(_REMOVE):
            self._area.remove(keys)

    def settle(self, keys: Iterable[FileKey], mark: int) -> None:
        """See `StorageArea.settle`."""
        self._area.settle(keys, mark)

    def settled_mark(self) -> int:
        """See `StorageArea.settled_mark`."""
        return self._area.settled_mark()

    def recent(self) -> Iterator[Recent]:
        """See `StorageArea.recent`."""
        return self._area.recent()

    def find(self, key: FileKey) -> Recent | None:
        """See `StorageArea.find`."""
        return self._area.find(key)

    def keys(self) -> Iterator[FileKey]:
        """See `StorageArea.keys`."""
        return self._area.keys()
