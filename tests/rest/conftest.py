"""Servers for the tests of this room."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.rest.builders import Builder, Server


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Builder]:
    builder = Builder(tmp_path)
    yield builder
    builder.close()


@pytest.fixture
def server(build: Builder) -> Server:
    return build()
