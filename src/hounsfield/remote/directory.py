"""Who is known by a name: the modalities, or the peers. In memory, or in the index where all nodes see the changes."""

import threading
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

import orjson

from hounsfield.errors import ArchiveError, NotFound
from hounsfield.index.database import Database, Transaction
from hounsfield.index.properties import get_property, set_property

T = TypeVar("T")

MODALITIES_PROPERTY = 20
PEERS_PROPERTY = 21


class UnknownName(NotFound):
    """Nobody is known by this name."""


class Directory(Generic[T]):
    """Definitions by name. `what` is the word for one of them in errors."""

    def __init__(self, what: str, entries: Mapping[str, T]) -> None:
        self.what = what
        self._entries = dict(entries)
        self._lock = threading.Lock()

    def all(self) -> Mapping[str, T]:
        """All of them, as they are now."""
        with self._lock:
            return dict(self._entries)

    def get(self, name: str) -> T:
        """The one of that name.

        Raises
        ------
        UnknownName
            If there is none.
        """
        found = self.all().get(name)
        if found is None:
            raise UnknownName(f"No {self.what} with symbolic name: {name}")
        return found

    def put(self, name: str, entry: T) -> None:
        """Add one, or replace that of the same name."""
        with self._lock:
            self._entries[name] = entry

    def remove(self, name: str) -> None:
        """Take one away. Errors as of `get`."""
        with self._lock:
            if self._entries.pop(name, None) is None:
                raise UnknownName(f"No {self.what} with symbolic name: {name}")


class StoredDirectory(Directory[T]):
    """Definitions kept in a global property of the index, read anew each time: other nodes may have changed them."""

    def __init__(
        self,
        what: str,
        database: Database,
        number: int,
        read: Callable[[str, object], T],
        write: Callable[[T], object],
    ) -> None:
        super().__init__(what, {})
        self._database, self._number = database, number
        self._read, self._write = read, write

    def all(self) -> Mapping[str, T]:
        """See `Directory.all`; what a newer version wrote and we do not understand is left out."""
        with self._database.peek() as tx:
            stored = _parse(get_property(tx, self._number))
        found = {}
        for name, value in stored.items():
            try:
                found[name] = self._read(name, value)
            except ArchiveError:
                continue
        return found

    def put(self, name: str, entry: T) -> None:
        """See `Directory.put`."""
        value = self._write(entry)

        def work(tx: Transaction) -> None:
            stored = _parse(get_property(tx, self._number))
            stored[name] = value
            set_property(tx, self._number, orjson.dumps(stored).decode())

        self._database.write(work)

    def remove(self, name: str) -> None:
        """See `Directory.remove`."""

        def work(tx: Transaction) -> bool:
            stored = _parse(get_property(tx, self._number))
            if stored.pop(name, None) is None:
                return False
            set_property(tx, self._number, orjson.dumps(stored).decode())
            return True

        if not self._database.write(work):
            raise UnknownName(f"No {self.what} with symbolic name: {name}")


def _parse(text: str | None) -> dict[str, object]:
    try:
        value = orjson.loads(text) if text else {}
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
