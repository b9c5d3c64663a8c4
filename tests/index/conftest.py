"""An empty index, of each kind."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.databases import BACKENDS

from hounsfield.index.database import Database


@pytest.fixture(params=sorted(BACKENDS))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    made = BACKENDS[request.param](tmp_path)()
    yield made
    made.close()
