"""A disk that loses power: what a recorded run left on it, at any moment.

The harshest reading of POSIX is taken. The bytes of a file survive from its last synchronisation on; a name (new,
renamed or deleted) from the last synchronisation of its folder on. `surviving` builds that state; with a random
generator, any part of what was not synchronised may have survived too, as on a real disk.
"""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from random import Random

_HEAD = struct.Struct("<IiQQII")


class Op(IntEnum):
    """The operations of `recorder.c`."""

    OPEN = 1
    CLOSE = 2
    WRITE = 3
    TRUNCATE = 4
    SYNC = 5
    RENAME = 6
    UNLINK = 7
    MKDIR = 8
    SEND = 9


@dataclass(frozen=True, slots=True)
class Entry:
    """One recorded operation; `created` is set on an OPEN that made the file."""

    op: Op
    fd: int
    offset: int
    created: bool
    path: str
    data: bytes


def read_log(path: Path) -> Iterator[Entry]:
    """The entries of a log; a torn last one is left out."""
    data = path.read_bytes()
    at = 0
    while at + _HEAD.size <= len(data):
        op, fd, offset, extra, path_length, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        if at + path_length + length > len(data):
            return
        name = data[at : at + path_length].decode()
        at += path_length
        yield Entry(Op(op), fd, offset, bool(extra), name, data[at : at + length])
        at += length


@dataclass(slots=True)
class _Inode:
    """A file: its bytes now, those that are durable, and the changes between."""

    now: bytearray = field(default_factory=bytearray)
    durable: bytes = b""
    changes: list[tuple[int, bytes | None]] = field(default_factory=list)  # (offset, data) or (length, None)

    def write(self, offset: int, data: bytes) -> None:
        _apply(self.now, offset, data)
        self.changes.append((offset, data))

    def truncate(self, length: int) -> None:
        _apply(self.now, length, None)
        self.changes.append((length, None))

    def sync(self) -> None:
        if self.changes:
            self.durable = bytes(self.now)
            self.changes.clear()

    def surviving(self, random: Random | None) -> bytes:
        if random is None or not self.changes:
            return self.durable
        content = bytearray(self.durable)
        share = random.choice((0.0, 0.5, 0.9, 1.0))
        for change in self.changes:
            if random.random() < share:
                _apply(content, *change)
        return bytes(content)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


@dataclass(slots=True)
class _Folder:
    """Names in a folder: now, durable, and the changes between. A name of None is a subfolder."""

    durable: dict[str, _Inode | None] = field(default_factory=dict)
    changes: list[tuple[str, bool, _Inode | None]] = field(default_factory=list)  # (name, is present, inode)

    def sync(self) -> None:
        self.durable = self._after(len(self.changes))
        self.changes.clear()

    def surviving(self, random: Random | None) -> dict[str, _Inode | None]:
        return self._after(random.randint(0, len(self.changes)) if random else 0)

    def _after(self, count: int) -> dict[str, _Inode | None]:
        names = dict(self.durable)
        for name, is_present, inode in self.changes[:count]:
            if is_present:
                names[name] = inode
            else:
                names.pop(name, None)
        return names


class Disk:
    """Replays a log; ask `surviving` between entries."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._names: dict[str, _Inode] = {}
        self._folders: dict[str, _Folder] = {root: _Folder()}
        self._open: dict[int, _Inode | _Folder] = {}

    def replay(self, entry: Entry) -> None:
        """Apply one entry."""
        match entry.op:
            case Op.OPEN:
                self._opened(entry)
            case Op.CLOSE:
                self._open.pop(entry.fd, None)
            case Op.WRITE | Op.TRUNCATE:
                inode = self._open[entry.fd]
                assert isinstance(inode, _Inode)
                if entry.op is Op.WRITE:
                    inode.write(entry.offset, entry.data)
                else:
                    inode.truncate(entry.offset)
            case Op.SYNC:
                self._open[entry.fd].sync()
            case Op.RENAME:
                inode = self._names.pop(entry.path)
                target = entry.data.decode()
                self._names[target] = inode
                self._change(target, is_present=True, inode=inode)
                self._change(entry.path, is_present=False)
            case Op.UNLINK:
                self._names.pop(entry.path, None)
                self._change(entry.path, is_present=False)
            case Op.MKDIR:
                self._folders[entry.path] = _Folder()
                self._change(entry.path, is_present=True)
            case Op.SEND:
                pass

    def surviving(self, target: Path, random: Random | None = None) -> None:
        """Write into `target`, an empty folder, what a power cut now would leave."""
        self._write_folder(self.root, target, random)

    def _write_folder(self, path: str, target: Path, random: Random | None) -> None:
        target.mkdir(exist_ok=True)
        for name, inode in self._folders[path].surviving(random).items():
            if inode is None:
                self._write_folder(f"{path}/{name}", target / name, random)
            elif not name.endswith("-shm"):  # A memory map that SQLite makes anew.
                (target / name).write_bytes(inode.surviving(random))

    def _opened(self, entry: Entry) -> None:
        if entry.path in self._folders:
            self._open[entry.fd] = self._folders[entry.path]
            return
        if entry.created or entry.path not in self._names:
            inode = self._names[entry.path] = _Inode()
            self._change(entry.path, is_present=True, inode=inode)
        self._open[entry.fd] = self._names[entry.path]
        if entry.offset & os.O_TRUNC:
            self._names[entry.path].truncate(0)

    def _change(self, path: str, *, is_present: bool, inode: _Inode | None = None) -> None:
        parent, _, name = path.rpartition("/")
        self._folders[parent].changes.append((name, is_present, inode))
