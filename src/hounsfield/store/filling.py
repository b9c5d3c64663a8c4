"""Which folders may hold files whose rows could still be lost.

Each is written down as an empty file in `filling/` before it gets its first slot, and stays there as long as it has
slots that wait, or files with a note. At start-up these folders alone are searched.
"""

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from uuid import uuid4

from hounsfield.store.area import FileKey
from hounsfield.store.durable import sync_folder


class Filling:
    """The list, in the folder `folder`; folders are named by the first four digits of the keys in them."""

    def __init__(self, folder: Path, *, sync: bool) -> None:
        self._folder, self._sync = folder, sync
        self._lock = threading.Lock()
        self._unsearched = {path.name for path in folder.iterdir()}
        self._keys: dict[str, set[FileKey]] = {}
        self._current = ""

    def open(self) -> str:
        """Write down a new folder, which no earlier run left."""
        with self._lock:
            prefix = uuid4().hex[:4]
            while (self._folder / prefix).exists():
                prefix = uuid4().hex[:4]
            (self._folder / prefix).touch()
            if self._sync:
                sync_folder(self._folder)
            self._current = prefix
            return prefix

    def left_by_earlier_runs(self) -> Iterator[str]:
        """The folders to search at start-up; each stays written down until the next one was asked for."""
        for prefix in sorted(self._unsearched):
            yield prefix
            with self._lock:
                self._unsearched.discard(prefix)

    def add(self, keys: Iterable[FileKey]) -> None:
        """These are slots, or have a note."""
        with self._lock:
            for key in keys:
                self._keys.setdefault(key[:4], set()).add(key)

    def discard(self, key: FileKey) -> None:
        """It is neither any more."""
        with self._lock:
            self._keys.get(key[:4], set()).discard(key)

    def __contains__(self, key: FileKey) -> bool:
        with self._lock:
            return key in self._keys.get(key[:4], ())

    def close_idle(self, *, is_last: bool = False) -> None:
        """Strike out the folders that need no search, with `is_last` the current one too."""
        with self._lock:
            for path in list(self._folder.iterdir()):
                is_current = path.name == self._current and not is_last
                if not (is_current or self._keys.get(path.name) or path.name in self._unsearched):
                    path.unlink(missing_ok=True)
                    self._keys.pop(path.name, None)
