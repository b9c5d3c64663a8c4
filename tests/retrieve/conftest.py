"""An archive to take from."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.ingest.builders import AREAS, Bench, open_bench


@pytest.fixture(params=sorted(AREAS))
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path, area=AREAS[request.param](tmp_path))
    yield made
    made.close()
