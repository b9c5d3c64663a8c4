"""An index for the tests of this room."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.databases import BACKENDS
from tests.jobs.builders import Bench, open_bench


@pytest.fixture(params=BACKENDS)
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    opened = open_bench(tmp_path, BACKENDS[request.param](tmp_path))
    yield opened
    opened.close()
