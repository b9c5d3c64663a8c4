"""Where large incoming bytes wait on disk until they are known to be an instance.

The spool lives on the same file system as the storage area, so that a spooled file can be renamed into
place instead of being copied.
"""

import contextlib
import mmap
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import uuid4

Buffer = bytes | bytearray | memoryview


class SpoolFile:
    """A file being written in the spool; it disappears at `close` unless somebody took it over.

    One that is not new is opened as it is, and goes on at its end.
    """

    def __init__(self, path: Path, *, is_new: bool = True) -> None:
        self.path = path
        flags = os.O_CREAT | os.O_EXCL if is_new else os.O_APPEND
        self._fd = os.open(path, os.O_RDWR | flags | getattr(os, "O_BINARY", 0), 0o600)
        self.size = os.fstat(self._fd).st_size
        self._map: mmap.mmap | None = None
        self._taken = False

    def write(self, data: Buffer) -> None:
        """Append `data`.

        Raises
        ------
        OSError
            If the disk is full.
        """
        view = memoryview(data)
        while view:
            written = os.write(self._fd, view)
            self.size += written
            view = view[written:]

    def fileno(self) -> int:
        """The open file descriptor, for system calls."""
        return self._fd

    def view(self) -> memoryview:
        """All bytes written so far, as a memory map; valid until `close`."""
        if self.size == 0:
            return memoryview(b"")
        if self._map is None or len(self._map) != self.size:
            self._map = mmap.mmap(self._fd, self.size, access=mmap.ACCESS_READ)
        return memoryview(self._map)

    def rename(self, target: Path) -> None:
        """Move the file over `target`, on the same file system; it is no longer the spool's to delete."""
        if os.name == "nt":  # Windows does not rename open files.
            self._release()
        self.path.replace(target)
        self._taken = True

    def close(self) -> None:
        """Release the file, and delete it unless it was taken."""
        self._release()
        if not self._taken:
            self.path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Release the file, and leave it to whoever opens it next."""
        self._release()

    def _release(self) -> None:
        if self._map is not None:
            with contextlib.suppress(BufferError):  # A view is still alive: the map goes with it.
                self._map.close()
            self._map = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Spool(Protocol):
    """Gives spool files."""

    def create(self) -> SpoolFile:
        """Open a new, empty spool file."""
        ...


@dataclass(frozen=True, slots=True)
class FolderSpool:
    """A spool in a folder, which must exist."""

    folder: Path

    def create(self) -> SpoolFile:
        """Open a new, empty spool file."""
        return SpoolFile(self.folder / uuid4().hex)

    def clear(self) -> None:
        """Delete what a previous run left behind; to be called before anything is spooled."""
        for path in self.folder.iterdir():
            path.unlink(missing_ok=True)
