"""The backends of the index: each gives, for an empty folder, what opens the same index again and again."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from tests.postgres import shared_server

from hounsfield.index.postgres import PostgresDatabase
from hounsfield.index.sqlite import SqliteDatabase

Backend = SqliteDatabase | PostgresDatabase
Open = Callable[[], Backend]


def _sqlite(folder: Path) -> Open:
    return lambda: SqliteDatabase(folder / "index.db")


def _postgres(folder: Path) -> Open:
    options = replace(shared_server().new_schema(), is_locked=True)
    return lambda: PostgresDatabase(options)


def chosen_database(folder: Path) -> Backend:
    """An index for tests that need one of any kind: of SQLite, or of that which `HOUNSFIELD_DATABASE` names."""
    return BACKENDS[os.environ.get("HOUNSFIELD_DATABASE", "sqlite")](folder)()


BACKENDS: dict[str, Callable[[Path], Open]] = {"postgres": _postgres, "sqlite": _sqlite}
