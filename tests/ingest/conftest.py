"""An archive to put instances into, once with its files in memory and once in a folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.builders import AREAS, Bench, open_bench


@pytest.fixture(params=sorted(AREAS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path, area=AREAS[request.param](tmp_path))
    yield made
    made.close()


@pytest.fixture
def intake(bench: Bench) -> object:
    return bench.intake
