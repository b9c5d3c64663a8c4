"""HTTP servers: one a module, and those that a test builds."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.http.house import OPTIONS, Build, House

from hounsfield.http.asgi import RequestFilter
from hounsfield.http.options import HttpOptions


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    built = House(tmp_path_factory.mktemp("house"))
    yield built
    built.server.stop()


@pytest.fixture
def build(tmp_path: Path) -> Iterator[Build]:
    built: list[House] = []

    def make(options: HttpOptions = OPTIONS, filters: tuple[RequestFilter, ...] = ()) -> House:
        built.append(House(tmp_path, options, filters))
        return built[-1]

    yield make
    for each in built:
        each.may_leave.set()
        each.server.stop()
