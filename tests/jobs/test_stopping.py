"""Jobs that stop just as somebody wants something of them, or while the index cannot be written."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import replace

import orjson
import pytest
from tests.jobs.builders import ONE, Bench, is_in, shared, state, until

from hounsfield.errors import StorageFull
from hounsfield.index.jobs import JobRow, JobState
from hounsfield.jobs.engine import Engine
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.ledger import Failure, Ledger

Leave = Callable[..., bool]


@pytest.fixture
def around_leave(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Leave, JobRow], bool]], None]:
    """Puts something around the first writing of a job that lets go."""
    leave, is_first = Ledger.leave, threading.Event()

    def put(around: Callable[[Leave, JobRow], bool]) -> None:
        def wrapped(ledger: Ledger, row: JobRow, state: JobState, *, retry_seconds: float = 0.0) -> bool:
            def do(row: JobRow) -> bool:
                return leave(ledger, row, state, retry_seconds=retry_seconds)

            if is_first.is_set():
                return do(row)
            is_first.set()
            return around(do, row)

        monkeypatch.setattr(Ledger, "leave", wrapped)

    return put


AroundLeave = Callable[[Callable[[Leave, JobRow], bool]], None]


@pytest.mark.parametrize("kind", ["Wait", "Fleeting"])
def test_a_job_that_is_resumed_while_it_pauses_goes_on(
    bench: Bench, around_leave: AroundLeave, kind: str
) -> None:
    engine = bench.start(ONE)
    told: list[bool] = []

    def resume_before(leave: Leave, row: JobRow) -> bool:
        told.append(engine.resume(row.id))
        return leave(row)

    around_leave(resume_before)
    job_id = engine.submit(kind, {})
    assert bench.reached.wait(10)
    assert engine.pause(job_id)
    until(lambda: told == [True])
    bench.gate.set()
    assert engine.wait(job_id).state is JobState.SUCCESS


@pytest.mark.parametrize("kind", ["Wait", "Fleeting"])
def test_a_job_that_is_cancelled_while_it_pauses_ends(
    bench: Bench, around_leave: AroundLeave, kind: str
) -> None:
    engine = bench.start(ONE)
    told: list[bool] = []

    def cancel_before(leave: Leave, row: JobRow) -> bool:
        told.append(engine.cancel(row.id))
        return leave(row)

    around_leave(cancel_before)
    job_id = engine.submit(kind, {})
    assert bench.reached.wait(10)
    assert engine.pause(job_id)
    assert engine.wait(job_id).error_code == 37
    assert told == [True]
    until(lambda: bench.done == ["waiting", "closed"])


def test_a_job_that_is_cancelled_while_it_gives_up_for_now_is_not_tried_again(
    bench: Bench, around_leave: AroundLeave
) -> None:
    engine = bench.start(ONE)

    def cancel_before(leave: Leave, row: JobRow) -> bool:
        assert engine.cancel(row.id)
        return leave(row)

    around_leave(cancel_before)
    assert engine.wait(engine.submit("Retry", {})).error_code == 37
    assert bench.done == ["tried"]


def test_a_job_that_runs_again_before_it_has_let_go_can_be_cancelled(
    bench: Bench, around_leave: AroundLeave
) -> None:
    engine, other = bench.start(replace(shared(30), concurrent=2)), bench.start(shared(30))
    is_over = threading.Event()

    def resume_after(leave: Leave, row: JobRow) -> bool:
        is_ours = leave(row)
        assert other.resume(row.id)
        until(is_in(engine, row.id, JobState.RUNNING))
        is_over.set()
        return is_ours

    around_leave(resume_after)
    job_id = engine.submit("Fleeting", {})
    assert bench.reached.wait(10)
    assert engine.pause(job_id)
    assert is_over.wait(10)
    for _ in range(20):
        engine.wait(
            engine.submit("Count", {"until": 1})
        )  # By the worker that let go, sooner or later: it has.
    assert state(engine, job_id) is JobState.RUNNING
    assert engine.cancel(job_id)
    assert engine.wait(job_id).error_code == 37


def test_who_is_cancelled_does_not_pause(bench: Bench) -> None:
    in_step, may_yield = threading.Event(), threading.Event()

    def stepping(_: JobRun) -> Iterator[None]:
        in_step.set()
        may_yield.wait(10)
        yield

    bench.kinds["Step"] = JobKind("Step", stepping)
    engine = bench.start(ONE)
    job_id = engine.submit("Step", {})
    assert in_step.wait(10)
    assert engine.cancel(job_id)
    assert engine.pause(job_id)
    may_yield.set()
    assert engine.wait(job_id).error_code == 37


def test_a_job_ends_even_if_what_it_did_cannot_be_told(bench: Bench) -> None:
    def content(_: JobRun) -> dict[str, object]:
        raise ZeroDivisionError

    bench.kinds["Mute"] = JobKind("Mute", bench.counting, content)
    engine = bench.start(ONE)
    assert engine.wait(engine.submit("Mute", {"until": 2})).state is JobState.SUCCESS


def test_why_a_job_failed_is_told_whatever_its_error_holds(bench: Bench) -> None:
    def failing(_: JobRun) -> Iterator[None]:
        yield
        raise StorageFull("a\0b\udc80")

    bench.kinds["Odd"] = JobKind("Odd", failing)
    engine = bench.start(ONE)
    assert engine.wait(engine.submit("Odd", {})).error_details == "a b?"


def test_how_a_job_ended_is_written_as_soon_as_that_is_possible(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, is_full = Ledger.finish, threading.Event()
    is_full.set()

    def finish_if_possible(
        ledger: Ledger, row: JobRow, failure: Failure | None
    ) -> tuple[JobRow | None, list[str]]:
        if is_full.is_set():
            raise StorageFull("The disk of the index is full")
        return finish(ledger, row, failure)

    monkeypatch.setattr(Ledger, "finish", finish_if_possible)
    engine = bench.start(ONE)
    job_id = engine.submit("Count", {"until": 2})
    with pytest.raises(StorageFull):
        engine.wait(job_id)
    is_full.clear()
    until(is_in(engine, job_id, JobState.SUCCESS))
    assert bench.done == ["1", "2"]
    assert engine.wait(job_id).state is JobState.SUCCESS


def test_what_helps_a_job_may_wait_for_another_one(bench: Bench) -> None:
    def helped(run: JobRun) -> Iterator[None]:
        def ask() -> JobState:
            return engine.wait(engine.submit("Count", {"until": 2})).state

        with ThreadPoolExecutor(1) as pool:
            run.content["Inner"] = pool.submit(copy_context().run, ask).result(10).value
        yield

    bench.kinds["Help"] = JobKind("Help", helped)
    engine: Engine = bench.start(ONE)
    row = engine.wait(engine.submit("Help", {}))
    assert orjson.loads(row.content)["Inner"] == "Success"
