"""An archive to put instances into: its files in memory or in a folder, its index in SQLite or PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.databases import BACKENDS
from tests.ingest.builders import AREAS, Bench, open_bench


@pytest.fixture(params=["memory on sqlite", "filesystem on sqlite", "filesystem on postgres"])
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    area, backend = request.param.split(" on ")
    made = open_bench(tmp_path, area=AREAS[area](tmp_path), database=BACKENDS[backend](tmp_path)())
    yield made
    made.close()


@pytest.fixture
def intake(bench: Bench) -> object:
    return bench.intake
