"""The files of a folder as they are, laid out as Orthanc does: reading them, and nothing else."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from hounsfield.errors import Corrupt, NotFound
from hounsfield.store import note as notes
from hounsfield.store.area import FileKey, Recent

_BINARY = getattr(os, "O_BINARY", 0)
_HEX = "[0-9a-f][0-9a-f]"


@dataclass(frozen=True, slots=True)
class FolderFiles:
    """The files in the folder `root`, whoever writes there meanwhile."""

    root: Path

    def path(self, key: FileKey) -> Path:
        """Where a file lies: `ab/cd/abcd....`."""
        return self.root / key[:2] / key[2:4] / key

    def read(self, key: FileKey, start: int, length: int) -> bytes:
        """See `StorageArea.read`."""
        try:
            fd = os.open(self.path(key), os.O_RDONLY | _BINARY)
        except FileNotFoundError as error:
            raise NotFound(f"File {key} is missing from the storage area") from error
        try:
            data = read_at(fd, start, length)
        finally:
            os.close(fd)
        if len(data) < length:
            raise Corrupt(
                f"File {key} is shorter than it was: {start + len(data)} bytes, {start + length} wanted"
            )
        return data

    def find(self, key: FileKey) -> Recent | None:
        """See `StorageArea.find`."""
        return self._examined(key, reads_content=True)

    def glance(self, key: FileKey) -> Recent | None:
        """As `find`, by the end of the file alone: a file with a note may be torn."""
        return self._examined(key, reads_content=False)

    def _examined(self, key: FileKey, *, reads_content: bool) -> Recent | None:
        try:
            return _examine(self.path(key), reads_content=reads_content)
        except FileNotFoundError:
            return None

    def keys(self) -> Iterator[FileKey]:
        """See `StorageArea.keys`; empty slots are not files."""
        for key, _ in self.sizes():
            yield key

    def sizes(self) -> Iterator[tuple[FileKey, int]]:
        """Every file with its size on the disk, by key; empty slots are not files."""
        for first in sorted(self.root.glob(_HEX)):
            for second in sorted(first.glob(_HEX)):
                for path in sorted(second.iterdir()):
                    if is_key(path.name) and (size := _size(path)):
                        yield FileKey(path.name), size


def _size(path: Path) -> int:
    """The size of a file; 0 if it was deleted just now."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _examine(path: Path, *, reads_content: bool) -> Recent | None:
    """What a file is: with its note, without a note, or (None) empty."""
    fd = os.open(path, os.O_RDONLY | _BINARY)
    try:
        size = os.fstat(fd).st_size
        found = read_footer(fd)
        if found:
            length, note_length, crc32, seal = found
            note = read_at(fd, length, note_length)
            footer = read_at(fd, length + note_length, notes.FOOTER_SIZE)
            is_sealed = notes.is_sealed(note, footer, seal)
            if is_sealed and (not reads_content or _content_crc32(fd, length) == crc32):
                return Recent(FileKey(path.name), length, note)
    finally:
        os.close(fd)
    return Recent(FileKey(path.name), size, None) if size else None


def _content_crc32(fd: int, length: int) -> int:
    return notes.content_crc32(lambda start, size: read_at(fd, start, size), length)


def read_footer(fd: int) -> tuple[int, int, int, int] | None:
    """Content length, note length, CRC-32 of the content and seal; None when the file ends without a note."""
    size = os.fstat(fd).st_size
    if size < notes.FOOTER_SIZE:
        return None
    return notes.parse_footer(read_at(fd, size - notes.FOOTER_SIZE, notes.FOOTER_SIZE), size)


def read_at(fd: int, start: int, length: int) -> bytes:
    """Up to `length` bytes from `start` on; fewer only at the end of the file."""
    if hasattr(os, "pread"):
        data = os.pread(fd, length, start)
    else:
        os.lseek(fd, start, os.SEEK_SET)
        data = os.read(fd, length)
    while len(data) < length:
        os.lseek(fd, start + len(data), os.SEEK_SET)
        more = os.read(fd, length - len(data))
        if not more:
            break
        data += more
    return data


def is_key(name: str) -> bool:
    """Whether this is the name of a file: a UUID in lower case."""
    try:
        return str(UUID(name)) == name
    except ValueError:
        return False
