"""The entries of the worklist: files with the extension `.wl` in a folder, or values in the index."""

import base64
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import orjson

from hounsfield.dicom.keys import MAXIMUM_BYTES, Keys, KeyValue, decode_keys, write_keys
from hounsfield.dicom.part10 import read_whole, wrap_header
from hounsfield.dicom.tags import Tag
from hounsfield.dicom.uids import EXPLICIT_VR_LITTLE_ENDIAN, new_uid
from hounsfield.errors import BadRequest, Corrupt, NotFound, StorageFull
from hounsfield.index.database import Database
from hounsfield.index.key_values import delete_value, each_value, get_value, store_value

_log = logging.getLogger("hounsfield.dicom")

SOP_CLASS_UID = "1.2.276.0.7230010.3.1.0.1"
"""Of worklist files, private to DCMTK, whose programs look for it."""
_STORE = "worklists"
_EXTENSION = ".wl"


@dataclass(frozen=True, slots=True)
class Entry:
    """What is scheduled. `created` is YYYYMMDDTHHMMSS in UTC, None where it is not known."""

    id: str
    keys: Keys
    created: str | None = None


class Worklist(Protocol):
    """Keeps the entries."""

    def entries(self) -> Iterator[Entry]:
        """All entries; those that cannot be read are left out, with a warning."""
        ...

    def get(self, entry_id: str) -> Entry:
        """One entry; NotFound if there is none."""
        ...

    def put(self, entry_id: str, keys: Keys, now: str) -> None:
        """Add an entry, or replace the one with this id."""
        ...

    def delete(self, entry_id: str) -> None:
        """Take an entry away; NotFound if there is none."""
        ...


def new_id() -> str:
    """An id for a new entry."""
    return str(uuid4())


def read_entry(data: bytes) -> dict[Tag, KeyValue]:
    """The attributes of a worklist file, with or without File Meta Information.

    Raises
    ------
    Corrupt
        If it is too large, or no DICOM.
    """
    if len(data) > MAXIMUM_BYTES:
        raise Corrupt(f"A worklist file of {len(data)} bytes is too large")
    head = read_whole(data)
    if head.is_truncated:
        raise Corrupt("A worklist file is cut off")
    keys = decode_keys(head.dataset)
    if not keys:
        raise Corrupt("A worklist file holds nothing")
    return keys


def write_entry(keys: Keys) -> bytes:
    """The file of an entry. BadRequest if a value does not fit its VR."""
    header = wrap_header(SOP_CLASS_UID, new_uid(), EXPLICIT_VR_LITTLE_ENDIAN)
    return header + write_keys(keys, EXPLICIT_VR_LITTLE_ENDIAN)


class FolderWorklist:
    """Entries in a folder, read again when their files change; the id is the name of the file."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, tuple[tuple[int, int], Keys | None]] = {}
        """By file name: when and how large it was, and what it held, None if that could not be read."""

    def entries(self) -> Iterator[Entry]:
        """See `Worklist.entries`; by name."""
        try:
            paths = sorted(path for path in self._folder.iterdir() if path.suffix.lower() == _EXTENSION)
        except OSError:
            _log.error("The folder of the worklist cannot be read: %s", self._folder)
            return
        known = {}
        for path in paths:
            found = self._read(path)
            if found is None:
                continue
            known[path.name] = found
            if found[1] is not None:
                yield Entry(path.name[: -len(_EXTENSION)], found[1])
        self._known = known

    def _read(self, path: Path) -> tuple[tuple[int, int], Keys | None] | None:
        try:
            status = path.stat()
            version = (status.st_mtime_ns, status.st_size)
            known = self._known.get(path.name)
            if known is not None and known[0] == version:
                return known
            if not path.is_file():
                return None
            return version, read_entry(path.read_bytes())
        except FileNotFoundError:
            return None  # Gone since the folder was listed.
        except (Corrupt, OSError):
            _log.warning("A file of the worklist cannot be read: %s", path.name)
            return version, None

    def get(self, entry_id: str) -> Entry:
        """See `Worklist.get`."""
        for entry in self.entries():
            if entry.id == entry_id:
                return entry
        raise NotFound("Worklist not found")

    def put(self, entry_id: str, keys: Keys, now: str) -> None:
        """See `Worklist.put`; other programs never see half a file."""
        path = self._path(entry_id)
        written = path.with_name(path.name + ".tmp")
        try:
            written.write_bytes(write_entry(keys))
            written.replace(path)
        except OSError as error:
            raise StorageFull(f"The worklist cannot be written: {error.strerror}") from error

    def delete(self, entry_id: str) -> None:
        """See `Worklist.delete`."""
        self.get(entry_id)
        for path in (self._path(entry_id), self._path(entry_id).with_suffix(".WL")):
            path.unlink(missing_ok=True)

    def _path(self, entry_id: str) -> Path:
        name = entry_id + _EXTENSION
        if Path(name).name != name or "\\" in name or "\0" in name or len(name) > 200:
            raise BadRequest("Not an id of the worklist")
        return self._folder / name


class IndexWorklist:
    """Entries in the index, which all nodes share."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def entries(self) -> Iterator[Entry]:
        """See `Worklist.entries`; by id."""
        with self._database.read() as tx:
            found = list(each_value(tx, _STORE))
        for entry_id, value in found:
            try:
                yield _parse(entry_id, value)
            except Corrupt:
                _log.warning("An entry of the worklist cannot be read: %s", entry_id)

    def get(self, entry_id: str) -> Entry:
        """See `Worklist.get`."""
        with self._database.peek() as tx:
            value = get_value(tx, _STORE, entry_id)
        if value is None:
            raise NotFound("Worklist not found")
        return _parse(entry_id, value)

    def put(self, entry_id: str, keys: Keys, now: str) -> None:
        """See `Worklist.put`; in the form of Orthanc's plugin."""
        file = base64.b64encode(write_entry(keys)).decode()
        value = orjson.dumps({"CreatedAt": now, "Dicom": file})
        self._database.write(lambda tx: store_value(tx, _STORE, entry_id, value))

    def delete(self, entry_id: str) -> None:
        """See `Worklist.delete`."""
        self.get(entry_id)
        self._database.write(lambda tx: delete_value(tx, _STORE, entry_id))


def _parse(entry_id: str, value: bytes) -> Entry:
    try:
        stored = orjson.loads(value)
        return Entry(
            entry_id, read_entry(base64.b64decode(stored["Dicom"], validate=True)), str(stored["CreatedAt"])
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt("An entry of the worklist is damaged") from error


def age_seconds(entry: Entry, now: datetime) -> float | None:
    """How old an entry is, None if that is not known."""
    try:
        created = datetime.strptime(entry.created or "", "%Y%m%dT%H%M%S").replace(tzinfo=now.tzinfo)
    except ValueError:
        return None
    return (now - created).total_seconds()
