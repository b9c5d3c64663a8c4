"""When a patient, study or series is stable, and whether a series is complete."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ingest.builders import Bench, identifiers, make_file, open_bench

from hounsfield.dicom.levels import Level
from hounsfield.events import ResourceStable
from hounsfield.index.changes import ChangeType, list_changes
from hounsfield.index.database import Transaction
from hounsfield.index.resources import load
from hounsfield.index.stability import settle_stable
from hounsfield.ingest.intake import IngestOptions, Overwrite
from hounsfield.ingest.stability import StabilityMonitor

STABLE = {ChangeType.STABLE_PATIENT, ChangeType.STABLE_STUDY, ChangeType.STABLE_SERIES}


def stable_levels(bench: Bench) -> list[str]:
    with bench.database.read() as tx:
        return [change.type.word for change in list_changes(tx, types=STABLE, limit=1000).changes]


def is_stable(bench: Bench, level: Level) -> bool:
    with bench.database.read() as tx:
        return load(tx, level, [identifiers().public_id(level)])[0].is_stable


def test_what_receives_nothing_for_a_while_is_stable_once(bench: Bench) -> None:
    monitor = StabilityMonitor(bench.archive, 60, bench.clock)
    assert monitor.check() is None
    bench.receive(make_file())
    wait = monitor.check()
    assert wait is not None
    assert 60 < wait <= 60.1
    assert not is_stable(bench, Level.STUDY)
    bench.clock.advance(59)
    monitor.check()
    assert stable_levels(bench) == []
    bench.clock.advance(1.1)
    bench.events.clear()
    assert monitor.check() == 0.0
    assert stable_levels(bench) == ["StableSeries", "StableStudy", "StablePatient"]
    assert all(is_stable(bench, level) for level in list(Level)[:3])
    ids = identifiers().public_ids()
    assert bench.events == [
        ResourceStable(level, ids[level]) for level in (Level.SERIES, Level.STUDY, Level.PATIENT)
    ]
    assert monitor.check() is None
    assert len(stable_levels(bench)) == 3


def test_what_arrives_in_the_transaction_that_looks_for_the_stable_is_not_stable(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Works of several threads share a transaction, and write what they received at its end."""
    bench.receive(make_file(sop="1"))
    bench.clock.advance(100)
    write, found = bench.database.write, list[object]()

    def together(work: Callable[[Transaction], object], *, durable: bool = True) -> object:
        def both(tx: Transaction) -> object:
            result = work(tx)
            found.extend(settle_stable(tx, bench.clock.now_ns - 60_000_000_000, "20260101T000000"))
            return result

        return write(both, durable=durable)

    with monkeypatch.context() as patched:
        patched.setattr(bench.database, "write", together)
        bench.receive(make_file(sop="2"))
    assert found == []
    assert not is_stable(bench, Level.SERIES)
    bench.clock.advance(100)
    StabilityMonitor(bench.archive, 60, bench.clock).check()
    assert stable_levels(bench) == ["StableSeries", "StableStudy", "StablePatient"]


def test_a_new_instance_starts_the_time_again_for_its_parents_only(bench: Bench) -> None:
    monitor = StabilityMonitor(bench.archive, 60, bench.clock)
    bench.receive(make_file(series="1"))
    bench.clock.advance(40)
    bench.receive(make_file(series="2", sop="2"))
    bench.clock.advance(30)
    monitor.check()
    assert stable_levels(bench) == ["StableSeries"]
    bench.clock.advance(31)
    monitor.check()
    assert stable_levels(bench) == ["StableSeries", "StableSeries", "StableStudy", "StablePatient"]


def test_a_duplicate_does_not_unsettle_and_an_overwrite_does(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    monitor = StabilityMonitor(bench.archive, 60, bench.clock)
    bench.receive(make_file(sop="1"))
    bench.receive(make_file(sop="2"))
    bench.clock.advance(61)
    monitor.check()
    bench.receive(make_file(sop="1"))
    assert monitor.check() is None
    bench.with_options(IngestOptions(overwrite=Overwrite.ALWAYS)).receive(make_file(sop="1"))
    assert not is_stable(bench, Level.STUDY)
    bench.clock.advance(61)
    monitor.check()
    assert len(stable_levels(bench)) == 6
    bench.close()


def test_a_restart_forgets_no_waiting(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    bench.receive(make_file())
    bench.close()
    clock = bench.clock
    clock.advance(100)
    bench = open_bench(tmp_path, clock=clock)
    StabilityMonitor(bench.archive, 60, clock).check()
    assert len(stable_levels(bench)) == 3
    bench.close()


def test_hundreds_become_stable_in_a_few_rounds(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    for number in range(250):
        bench.receive(make_file(series=str(number), sop=str(number)))
    bench.clock.advance(61)
    monitor = StabilityMonitor(bench.archive, 60, bench.clock)
    rounds = 0
    while monitor.check() is not None:
        rounds += 1
    assert rounds <= 3
    assert len(stable_levels(bench)) == 252
    bench.close()


def test_the_thread_wakes_up_for_what_comes_in(tmp_path: Path) -> None:
    bench = open_bench(tmp_path)
    happened = threading.Event()
    bench.archive.events.subscribe(
        lambda event: (
            happened.set() if isinstance(event, ResourceStable) and event.level is Level.PATIENT else None
        )
    )
    monitor = StabilityMonitor(bench.archive, 0.05)
    monitor.start()
    bench.receive(make_file())
    assert happened.wait(10)
    monitor.stop()
    bench.close()


@pytest.mark.parametrize(
    "extra",
    [
        {0x00201002: "2", 0x00200105: "2"},
        {0x00540081: 4, 0x00540101: 1},
        {0x00181090: "4"},
        {0x00201002: "2", 0x00200105: "2", 0x00181090: "9"},
        {0x00201002: "2", 0x00181090: "4"},
        {0x00201002: "0", 0x00200105: "5", 0x00540081: 2, 0x00540101: 2},
    ],
)
def test_a_series_tells_when_it_is_complete(bench: Bench, extra: dict[int, int | str]) -> None:
    def status() -> tuple[str, int | None]:
        with bench.database.read() as tx:
            (series,) = load(tx, Level.SERIES, [identifiers().public_id(Level.SERIES)])
        return series.status, series.expected_instances

    def completed() -> int:
        with bench.database.read() as tx:
            return len(list_changes(tx, types=[ChangeType.COMPLETED_SERIES]).changes)

    for number in "132":
        bench.receive(make_file(sop=number, extra={**extra, 0x00200013: number}))
        assert status() == ("Missing", 4)
    assert completed() == 0
    bench.receive(make_file(sop="4", extra={**extra, 0x00200013: "4"}))
    assert (status(), completed()) == (("Complete", 4), 1)
    bench.receive(make_file(sop="5", extra={**extra, 0x00200013: "5"}))
    assert (status(), completed()) == (("Inconsistent", 4), 1)


@pytest.mark.parametrize(
    "extra", [{}, {0x00201002: "4"}, {0x00181090: "0"}, {0x00181090: "-3"}, {0x00181090: "x"}]
)
def test_a_series_that_does_not_say_how_many_is_unknown(bench: Bench, extra: dict[int, int | str]) -> None:
    bench.receive(make_file(extra={**extra, 0x00200013: "1"}))
    with bench.database.read() as tx:
        (series,) = load(tx, Level.SERIES, [identifiers().public_id(Level.SERIES)])
    assert (series.status, series.expected_instances) == ("Unknown", None)


def test_an_instance_without_number_or_with_one_twice_spoils_the_status(bench: Bench) -> None:
    def status(series: str) -> str:
        with bench.database.read() as tx:
            return load(tx, Level.SERIES, [identifiers(series=series).public_id(Level.SERIES)])[0].status

    bench.receive(make_file(series="1", sop="1", extra={0x00181090: "2", 0x00200013: "1"}))
    bench.receive(make_file(series="1", sop="2", extra={0x00200013: "1"}))
    assert status("1") == "Inconsistent"
    bench.receive(make_file(series="2", sop="3", extra={0x00181090: "2", 0x00200013: "1"}))
    bench.receive(make_file(series="2", sop="4"))
    assert status("2") == "Unknown"
