"""An index for the tests of this room."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.jobs.builders import Bench, open_bench


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    opened = open_bench(tmp_path)
    yield opened
    opened.close()
