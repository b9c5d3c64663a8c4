"""An empty index."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hounsfield.index.database import Database
from hounsfield.index.sqlite import SqliteDatabase


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = SqliteDatabase(tmp_path / "index.db")
    yield made
    made.close()
