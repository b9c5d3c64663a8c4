"""Real servers, and all kinds of input for them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest
from tests.servers import RunningServer, running
from tests.walks import samples as of
from tests.walks.samples import Sample

Start = Callable[..., RunningServer]


@pytest.fixture(scope="session")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[Sample]:
    """Every file of `tools/make_samples.py` that an archive must take."""
    return of.make(tmp_path_factory.mktemp("samples") / "all")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One server for the module."""
    with running(tmp_path_factory.mktemp("server")) as started:
        yield started


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[Start]:
    """Starts servers with options of their own, on one folder."""
    with ExitStack() as stack:

        def start(options: Mapping[str, object] | None = None, **others: object) -> RunningServer:
            return stack.enter_context(running(tmp_path, options, **others))  # type: ignore[arg-type]

        yield start
