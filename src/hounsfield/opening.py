"""Opening an archive: its index and its storage area, as a configuration says."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hounsfield.archive import Archive
from hounsfield.config import records
from hounsfield.config.configuration import Configuration
from hounsfield.config.postgres import is_in_postgres, read_postgres
from hounsfield.config.system import server_identifier
from hounsfield.events import EventBus
from hounsfield.index.database import Database, Reader
from hounsfield.index.options import PostgresOptions
from hounsfield.index.sqlite import SqliteDatabase, SqliteReader
from hounsfield.store.durable import make_folder
from hounsfield.store.files import FolderFiles
from hounsfield.store.filesystem import FilesystemArea

_SQLITE_NAME = "hounsfield.db"


@dataclass(frozen=True, slots=True)
class Opened:
    """An archive, and its storage area in the folder `root`.

    `node`, twelve hexadecimal digits, names this server if it shares the archive, and is empty otherwise.
    """

    archive: Archive
    area: FilesystemArea
    root: Path
    node: str


@contextmanager
def opened(configuration: Configuration) -> Iterator[Opened]:
    """The archive of a configuration, as long as the block.

    Raises
    ------
    Conflict
        If another server has it, and does not share it.
    DatabaseUnavailable
        If its database cannot be reached.
    """
    general, ingest = records.general(configuration), records.ingest(configuration)
    for folder in (general.storage_folder, general.index_folder):
        make_folder(folder, sync=True)
    node = _tag(server_identifier(configuration))
    postgres = _postgres(configuration, node)
    is_shared = postgres is not None and not postgres.is_locked
    database = _open_index(general.index_folder, postgres)
    try:
        tag = node if is_shared else ""
        area = FilesystemArea(general.storage_folder, sync=ingest.is_synced, node=tag)
        try:
            archive = Archive(database, area, EventBus())
            yield Opened(archive, area, general.storage_folder, tag)
        finally:
            area.close()
    finally:
        database.close()


@contextmanager
def opened_to_read(
    configuration: Configuration,
) -> Iterator[tuple[Reader, FolderFiles]]:
    """The index and the files of a configuration, to be read only; servers may go on.

    Raises
    ------
    NotFound
        If there is no index.
    Conflict
        If it is of another release.
    """
    general = records.general(configuration)
    postgres = _postgres(configuration, "")
    reader = _open_reader(general.index_folder, postgres)
    try:
        yield reader, FolderFiles(general.storage_folder)
    finally:
        reader.close()


def _open_index(folder: Path, postgres: PostgresOptions | None) -> Database:
    if postgres is None:
        return SqliteDatabase(folder / _SQLITE_NAME)
    from hounsfield.index.postgres import PostgresDatabase  # Its library takes a tenth of the start.

    return PostgresDatabase(postgres)


def _open_reader(folder: Path, postgres: PostgresOptions | None) -> Reader:
    if postgres is None:
        return SqliteReader(folder / _SQLITE_NAME)
    from hounsfield.index.postgres import PostgresReader

    return PostgresReader(postgres)


def _postgres(configuration: Configuration, node: str) -> PostgresOptions | None:
    if not is_in_postgres(configuration.given):
        return None
    return read_postgres(configuration.mapping("PostgreSQL"), node)


def _tag(node: str) -> str:
    """Twelve hexadecimal digits that stand for a node in the names of its files."""
    return hashlib.sha256(node.encode()).hexdigest()[:12]
