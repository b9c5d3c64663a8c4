"""The header of a stored instance, read from the start of its file."""

import threading
from collections import OrderedDict
from collections.abc import Callable

from hounsfield.archive import Archive
from hounsfield.dicom.part10 import Head, read_head, read_whole
from hounsfield.errors import Corrupt
from hounsfield.index.attachments import Attachment
from hounsfield.retrieve.files import find_dicom, read_attachment, read_start

_FIRST_READ = 64 << 10


def read_instance_head(archive: Archive, attachment: Attachment, *, default_encoding: str = "Latin1") -> Head:
    """Everything before the pixel data, reading no more of the file than that when its header is small.

    Raises
    ------
    NotFound, Corrupt
        If the file is missing or damaged.
    """
    if attachment.size > _FIRST_READ:
        start = read_start(archive, attachment, _FIRST_READ)
        try:
            head = read_head(start, default_encoding=default_encoding)
        except Corrupt:
            pass  # The header goes on beyond what was read.
        else:
            if head.pixel_data_offset is not None and not head.is_truncated:
                return head
    return read_head(read_attachment(archive, attachment), default_encoding=default_encoding)


def read_instance(
    archive: Archive, public_id: str, *, default_encoding: str = "Latin1", whole: bool = False
) -> Head:
    """The header of an instance, with `whole` also what follows its pixel data.

    Raises
    ------
    NotFound
        If there is no such instance.
    """
    attachment = find_dicom(archive, public_id)
    if whole:
        return read_whole(read_attachment(archive, attachment), default_encoding=default_encoding)
    return read_instance_head(archive, attachment, default_encoding=default_encoding)


class BytesCache:
    """Answers made from files, by a key that changes when the file does; the least recently used go first."""

    def __init__(self, maximum_bytes: int) -> None:
        self._maximum, self._size = maximum_bytes, 0
        self._kept: OrderedDict[tuple[str, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()
        self._hits = self._misses = 0

    def get(self, key: tuple[str, ...]) -> bytes | None:
        """The bytes kept under `key`."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
            return found

    def get_or_make(self, key: tuple[str, ...], make: Callable[[], bytes]) -> bytes:
        """The bytes kept under `key`, or those that `make` gives, which are kept from now on."""
        with self._lock:
            found = self._kept.get(key)
            if found is not None:
                self._kept.move_to_end(key)
                self._hits += 1
                return found
            self._misses += 1
        made = make()
        with self._lock:
            if key not in self._kept:
                self._kept[key] = made
                self._size += len(made)
            while self._size > self._maximum:
                self._size -= len(self._kept.popitem(last=False)[1])
        return made

    def figures(self) -> tuple[int, int, int, int]:
        """How many answers are kept, their bytes, and how often one was there and was not."""
        with self._lock:
            return len(self._kept), self._size, self._hits, self._misses

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._size = 0
