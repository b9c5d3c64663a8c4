"""System calls that make bytes survive a power cut, on each system.

Linux: `fdatasync` writes the data and what is needed to find it; the name of a new file needs an `fsync` of its
folder. macOS: `fsync` stops at the drive's cache, F_FULLFSYNC does not. Windows: `FlushFileBuffers`, and folders
cannot be flushed: NTFS journals names.
"""

import os
import struct
import sys
from pathlib import Path

if sys.platform != "win32":
    import fcntl

# linux/fs.h: FS_IOC_GETFLAGS, FS_IOC_SETFLAGS, FS_TOPDIR_FL.
_GET_FLAGS, _SET_FLAGS, _TOP_FOLDER = 0x80086601, 0x40086602, 0x00020000

if sys.platform == "darwin":

    def sync_file(fd: int) -> None:
        """Make the bytes and the size of an open file durable."""
        fcntl.fcntl(fd, fcntl.F_FULLFSYNC)

elif sys.platform == "win32":
    sync_file = os.fsync
else:
    sync_file = os.fdatasync


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    if sys.platform == "win32":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def spread_subfolders(folder: Path) -> None:
    """Tell the file system that the subfolders have nothing to do with each other, where it can be told (ext4).

    They then lie in different block groups. Otherwise new files are made where others were just deleted, and ext4
    goes through all inodes freed in the last minutes for each of them: measured, five times slower.
    """
    if sys.platform != "linux":
        return
    fd = os.open(folder, os.O_RDONLY)
    try:
        flags = struct.unpack("<I", fcntl.ioctl(fd, _GET_FLAGS, bytes(8))[:4])[0]
        fcntl.ioctl(fd, _SET_FLAGS, struct.pack("<II", flags | _TOP_FOLDER, 0))
    except OSError:  # A file system without such flags.
        return
    finally:
        os.close(fd)


def make_folder(folder: Path, *, sync: bool) -> None:
    """Create a folder and its parents; durable on return if `sync`."""
    if folder.is_dir():
        return
    make_folder(folder.parent, sync=sync)
    folder.mkdir(exist_ok=True)
    if sync:
        sync_folder(folder.parent)


class DurableNumber:
    """A number that only grows, in a file of its own: 8 bytes, which a disk writes whole or not at all."""

    def __init__(self, path: Path, *, sync: bool) -> None:
        self._path, self._sync = path, sync
        is_new = not path.exists()
        self.value = 0 if is_new else int.from_bytes(path.read_bytes()[:8], "little")
        if is_new:
            path.write_bytes(bytes(8))
            if sync:
                sync_folder(path.parent)

    def raise_to(self, value: int) -> None:
        """Make the number at least `value`; durable on return if synchronised."""
        if value <= self.value:
            return
        fd = os.open(self._path, os.O_WRONLY | getattr(os, "O_BINARY", 0))
        try:
            os.write(fd, value.to_bytes(8, "little"))
            if self._sync:
                sync_file(fd)
        finally:
            os.close(fd)
        self.value = value


def write_all(fd: int, parts: list[memoryview]) -> int:
    """Write all of `parts` at the file's position; the number of bytes written.

    Raises
    ------
    OSError
        If the disk is full; an unknown part was then written.
    """
    total = sum(len(part) for part in parts)
    written = _gather(fd, parts)
    while written < total:
        skip = written
        rest = []
        for part in parts:
            if skip >= len(part):
                skip -= len(part)
            else:
                rest.append(part[skip:])
                skip = 0
        written += _gather(fd, rest)
    return total


if hasattr(os, "writev"):

    def _gather(fd: int, parts: list[memoryview]) -> int:
        return os.writev(fd, parts)

else:

    def _gather(fd: int, parts: list[memoryview]) -> int:
        return sum(os.write(fd, part) for part in parts[:1])
