"""What is known of a series that began while the server runs."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from tests.ingest.builders import Bench, make_file, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.index.deletion import delete
from hounsfield.index.resources import list_ids
from hounsfield.ingest.intake import Outcome
from hounsfield.ingest.young import YoungSeries


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = open_bench(tmp_path)
    yield made
    made.close()


def test_a_series_is_known_once_its_first_row_is_queued() -> None:
    young = YoungSeries()
    assert not young.add("s", "a")  # Nobody said that it begins.
    young.begin("s")
    assert young.add("s", "a")
    assert not young.has("s")
    assert not young.is_new("s", "b")
    young.queued("s")
    assert young.has("s")
    assert [young.is_new("s", each) for each in ("a", "b")] == [False, True]
    assert not young.add("s", "a")
    young.begin("s")  # Another thread asked the index before.
    assert not young.is_new("s", "a")


def test_nothing_is_known_of_a_series_once_rows_may_have_been_deleted() -> None:
    young = YoungSeries()
    young.begin("s")
    young.queued("s")
    young.check(0)
    assert young.has("s")
    young.check(1)
    assert not young.has("s")


def test_memory_is_limited() -> None:
    young = YoungSeries()
    for number in range(1000):
        young.begin(str(number))
        young.queued(str(number))
    assert [young.has(each) for each in ("0", "743", "744", "999")] == [False, False, True, True]
    for number in range(50_001):
        young.add("999", str(number))
    assert not young.has("999")


@pytest.mark.parametrize("level", [Level.SERIES, Level.INSTANCE])
def test_what_was_deleted_may_come_again(bench: Bench, level: Level) -> None:
    sent = [make_file(sop=str(number)) for number in range(5)]
    for _ in range(3):
        assert [bench.receive(each).outcome for each in sent] == [Outcome.SUCCESS] * 5
        assert [bench.receive(each).outcome for each in sent] == [Outcome.ALREADY_STORED] * 5
        with bench.database.read() as tx:
            found = list_ids(tx, level)
        for public_id in found:
            bench.database.write(partial(delete, level=level, public_id=public_id, date="20260101T000000"))
        with bench.database.read() as tx:
            assert list_ids(tx, Level.INSTANCE) == []
