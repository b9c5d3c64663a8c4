"""A storage area in a folder, laid out as Orthanc does: `ab/cd/abcd....`, named by UUID.

Our own folder `.hounsfield/` beside them holds the spool and the list of the folders in use. Several servers may share
the files: each then has a folder of its own in `.hounsfield/nodes/`, and the names of the files that it makes end with
the twelve digits of its node, so that none takes the others' files for what it left itself.
"""

import contextlib
import errno
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hounsfield.errors import StorageFull
from hounsfield.store import note as notes
from hounsfield.store.area import FileKey, Recent
from hounsfield.store.durable import (
    DurableNumber,
    make_folder,
    spread_subfolders,
    sync_file,
    sync_folder,
    write_all,
)
from hounsfield.store.files import FolderFiles, is_key, read_footer
from hounsfield.store.filling import Filling
from hounsfield.store.slots import Slot, SlotPool
from hounsfield.store.spool import Buffer, FolderSpool, SpoolFile

_log = logging.getLogger("hounsfield.generic")
_ADOPTED = "adopted"  # In the folder of a server, when another did what it left undone.
_MANY_DELETED = 32  # In one folder, from which on it gets no new files.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_RESERVE_BYTES = 64 << 20
_RESERVE_PART = 16
_ROOM_SECONDS = 0.1  # For how long it is trusted that others did not fill the disk.
_BINARY = getattr(os, "O_BINARY", 0)


def _own_folder(root: Path, node: str) -> Path:
    """What a server keeps beside the files: of one among several, in a folder of its name."""
    return root / ".hounsfield" / "nodes" / node if node else root / ".hounsfield"


def spool_of(root: Path, node: str) -> Path:
    """The folder of the spool of a server."""
    return _own_folder(root, node) / "spool"


class FilesystemArea:
    """Files in a folder; see `StorageArea`."""

    def __init__(
        self, root: Path, *, sync: bool = True, batch: int = 64, folder_limit: int = 2048, node: str = ""
    ) -> None:
        self._root, self._sync, self._node = root, sync, node
        self._files = FolderFiles(root)
        self._room, self._asked_at = 0, 0.0
        own = _own_folder(root, node)
        filling, spool = own / "filling", spool_of(root, node)
        for folder in (filling, spool):
            make_folder(folder, sync=sync)
        self._nodes = root / ".hounsfield" / "nodes"
        (own / _ADOPTED).unlink(missing_ok=True)
        spread_subfolders(root)
        self.spool = FolderSpool(spool)
        self._filling = Filling(filling, sync=sync)
        self._mark = DurableNumber(own / "settled", sync=sync)
        self._pool = SlotPool(
            root, self._filling, sync=sync, batch=batch, folder_limit=folder_limit, node=node
        )

    def create(self, parts: Sequence[Buffer], note: bytes, crc32: int | None = None) -> FileKey:
        """See `StorageArea.create`."""
        length = sum(map(len, parts))
        self._check_reserve(length)
        slot = self._take()
        try:
            if crc32 is None:
                crc32 = notes.crc32_of_parts(parts)
            views = [memoryview(part) for part in (*parts, notes.ending(note, length, crc32)) if len(part)]
            write_all(slot.fd, views)
            if self._sync:
                sync_file(slot.fd)
        except OSError as error:
            self._pool.discard(slot)
            raise _full(error) from error
        os.close(slot.fd)
        return slot.key

    def adopt(self, spooled: SpoolFile, note: bytes, crc32: int | None = None) -> FileKey:
        """See `StorageArea.adopt`: a rename over a slot, so the name needs a synchronisation of its own."""
        self._check_reserve(spooled.size)
        slot = self._take()
        try:
            if crc32 is None:
                view = spooled.view()
                crc32 = notes.crc32_of_parts([view])
                view.release()
            spooled.write(notes.ending(note, spooled.size, crc32))
            if self._sync:
                sync_file(spooled.fileno())
            os.close(slot.fd)  # Windows does not rename over open files.
            slot = replace(slot, fd=-1)
            spooled.rename(slot.path)
            if self._sync:
                sync_folder(slot.path.parent)
        except OSError as error:
            self._pool.discard(slot)
            raise _full(error) from error
        return slot.key

    def _check_reserve(self, size: int) -> None:
        """Leave the last of the disk to an index on it, which needs room to delete what is to make room.

        While there is much more, the disk is not asked before each file.
        """
        self._room -= size
        if self._room > 0 and time.monotonic() - self._asked_at < _ROOM_SECONDS:
            return
        disk = shutil.disk_usage(self._root)
        reserve = min(_RESERVE_BYTES, disk.total // _RESERVE_PART)
        if disk.free < reserve:
            raise StorageFull("The disk of the storage area is full, but for what the index needs to delete")
        self._room, self._asked_at = (disk.free - reserve) // 2 - size, time.monotonic()

    def read(self, key: FileKey, start: int, length: int) -> bytes:
        """See `StorageArea.read`."""
        return self._files.read(key, start, length)

    def path(self, key: FileKey) -> Path:
        """See `StorageArea.path`."""
        return self._files.path(key)

    def remove(self, keys: Iterable[FileKey]) -> None:
        """See `StorageArea.remove`."""
        folders: Counter[Path] = Counter()
        for key in keys:
            path = self.path(key)
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
                folders[path.parent] += 1
            self._filling.discard(key)
        if self._sync:
            for folder in folders:
                sync_folder(folder)
        for folder, count in folders.items():
            if count >= _MANY_DELETED:
                self._pool.leave_folder(folder.parent.name + folder.name)

    def settle(self, keys: Iterable[FileKey], mark: int) -> None:
        """See `StorageArea.settle`: the note is cut off; should a power cut undo that, nothing is lost."""
        self._mark.raise_to(mark)
        for key in keys:
            if key not in self._filling:  # What else looks like a note belongs to the content.
                continue
            with contextlib.suppress(FileNotFoundError):
                fd = os.open(self.path(key), os.O_RDWR | _BINARY)
                try:
                    found = read_footer(fd)
                    if found:
                        os.ftruncate(fd, found[0])
                finally:
                    os.close(fd)
            self._filling.discard(key)
        self._filling.close_idle()

    def settled_mark(self) -> int:
        """See `StorageArea.settled_mark`."""
        return self._mark.value

    def recent(self) -> Iterator[Recent]:
        """See `StorageArea.recent`; empty files are slots that were never used, and deleted."""
        for prefix in self._filling.left_by_earlier_runs():
            folder = self._root / prefix[:2] / prefix[2:]
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if is_key(path.name) and path.name.endswith(self._node):
                    found = self._files.glance(FileKey(path.name))
                    if found is None:
                        path.unlink(missing_ok=True)
                        continue
                    if found.note is not None:
                        self._filling.add([found.key])
                    yield found

    def neighbours(self) -> list[str]:
        """The other servers that share the files and may have left something undone."""
        if not self._node or not self._nodes.is_dir():
            return []
        return sorted(
            path.name
            for path in self._nodes.iterdir()
            if path.name != self._node and not (path / _ADOPTED).exists() and (path / "filling").is_dir()
        )

    def left_by(self, node: str) -> Iterator[Recent]:
        """The files with a note of a server that is dead; `settle` may then be asked to cut them."""
        for listed in sorted((self._nodes / node / "filling").iterdir()):
            folder = self._root / listed.name[:2] / listed.name[2:]
            for path in sorted(folder.iterdir()) if folder.is_dir() else []:
                if is_key(path.name) and path.name.endswith(node):
                    found = self._files.glance(FileKey(path.name))
                    if found is not None and found.note is not None:
                        self._filling.add([found.key])
                        yield found

    def note_adopted(self, node: str) -> None:
        """Nothing that a dead server acknowledged is left undone: nobody needs to look again until it is back."""
        (self._nodes / node / _ADOPTED).touch()

    def find(self, key: FileKey) -> Recent | None:
        """See `StorageArea.find`."""
        return self._files.find(key)

    def keys(self) -> Iterator[FileKey]:
        """See `StorageArea.keys`; empty slots are not files."""
        return self._files.keys()

    def close(self) -> None:
        """Delete unused slots and forget the folders in use that need no recovery."""
        self._pool.close()
        self._filling.close_idle(is_last=True)

    def _take(self) -> Slot:
        try:
            return self._pool.take()
        except OSError as error:
            raise _full(error) from error


def _full(error: OSError) -> StorageFull | OSError:
    if error.errno in _FULL:
        return StorageFull("The disk of the storage area is full")
    return error
