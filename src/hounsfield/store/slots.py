"""Files made before they are needed.

A new name is durable only after its folder was synchronised, which costs as much as synchronising the data. So
empty files are made in advance, many at a time, in one folder; one `fsync` of the folder makes all their names
durable, and taking an instance then costs a single synchronisation: that of its data.

The folders in use are written down (`filling.Filling`): at start-up these alone are searched for files whose rows
were lost, so that recovery takes a bounded time whatever the size of the archive.
"""

import contextlib
import os
import threading
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from hounsfield.store.area import FileKey
from hounsfield.store.durable import make_folder, sync_folder
from hounsfield.store.filling import Filling

_BINARY = getattr(os, "O_BINARY", 0)


@dataclass(frozen=True, slots=True)
class Slot:
    """An empty file, open for writing, whose name is durable."""

    key: FileKey
    name: str  # A path as text: one is made for each file, and seldom looked at.
    fd: int

    @property
    def path(self) -> Path:
        """Where it lies."""
        return Path(self.name)


class SlotPool:
    """Keeps some slots ready; a thread of its own makes more while others are taken."""

    def __init__(
        self,
        root: Path,
        filling: Filling,
        *,
        sync: bool,
        batch: int = 64,
        folder_limit: int = 2048,
        node: str = "",
    ) -> None:
        self._node = node
        self._root, self._filling, self._sync = root, filling, sync
        self._batch, self._folder_limit = batch, folder_limit
        self._ready: deque[Slot] = deque()
        self._making = threading.Lock()
        self._wake = threading.Event()
        self._closed = False
        self._prefix = ""
        self._in_folder = 0
        self._thread = threading.Thread(target=self._keep_ready, name="storage-slots", daemon=True)
        self._thread.start()

    def leave_folder(self, prefix: str) -> None:
        """Make no more slots in this folder: many files were deleted there, and ext4 would search among them."""
        with self._making:
            if self._prefix == prefix:
                self._in_folder = self._folder_limit

    def take(self) -> Slot:
        """A slot; made on the spot when none is ready."""
        while True:
            try:
                slot = self._ready.popleft()
            except IndexError:
                self._make()
                continue
            if len(self._ready) < self._batch // 2 and not self._wake.is_set():
                self._wake.set()
            return slot

    def close(self) -> None:
        """Delete the slots that were not taken, and stop."""
        self._closed = True
        self._wake.set()
        self._thread.join()
        while self._ready:
            self.discard(self._ready.popleft())

    def discard(self, slot: Slot) -> None:
        """Delete a slot that will not be used."""
        if slot.fd >= 0:
            os.close(slot.fd)
        slot.path.unlink(missing_ok=True)
        self._filling.discard(slot.key)

    def _keep_ready(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            if self._closed:
                return
            with contextlib.suppress(OSError):  # The disk is full or gone: `take` will say so.
                if len(self._ready) < self._batch:
                    self._make()

    def _make(self) -> None:
        with self._making:
            if len(self._ready) >= self._batch:
                return
            if not self._prefix or self._in_folder >= self._folder_limit:
                self._open_folder()
            folder = self._root / self._prefix[:2] / self._prefix[2:]
            slots: list[Slot] = []
            try:
                slots.extend(_new_slot(folder, self._prefix, self._node) for _ in range(self._batch))
                if self._sync:
                    sync_folder(folder)
            except OSError:
                for slot in slots:
                    self.discard(slot)
                raise
            self._in_folder += self._batch
            self._filling.add(slot.key for slot in slots)
            self._ready.extend(slots)

    def _open_folder(self) -> None:
        prefix = self._filling.open()
        make_folder(self._root / prefix[:2] / prefix[2:], sync=self._sync)
        self._prefix, self._in_folder = prefix, 0


def _new_slot(folder: Path, prefix: str, node: str) -> Slot:
    key = FileKey(_random_name(prefix, node))
    name = f"{folder}/{key}"
    return Slot(key, name, os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o600))


def _random_name(start: str, end: str) -> str:
    """A UUID of version 4 but for its first digits and its last."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    made = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"
    return start + made[len(start) : len(made) - len(end)] + end
