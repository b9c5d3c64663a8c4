"""Jobs on one node: their states, their order, and what is left when the server stops."""

import threading
from collections.abc import Iterator

import orjson
import pytest
from tests.jobs.builders import ONE, Bench, ended, is_in, state, until

from hounsfield.errors import BadRequest, Cancelled, NotFound
from hounsfield.events import JobFailed, JobSubmitted, JobSucceeded
from hounsfield.index.jobs import JobRow, JobState
from hounsfield.jobs.control import NotResubmittable
from hounsfield.jobs.kinds import JobKind, JobRun
from hounsfield.jobs.ledger import EngineOptions, Ledger


def test_a_job_runs_to_its_end_and_tells_its_content(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Count", {"until": 3}, description="REST API", user_data={"a": [1]})
    job = engine.wait(job_id)
    assert job.state is JobState.SUCCESS
    assert job.progress_ppm == 1_000_000
    assert (job.error_code, job.error_text, job.error_details) == (0, "Success", "")
    assert orjson.loads(job.content) == {"Description": "REST API", "At": 3}
    assert job.user_data == '{"a":[1]}'
    assert job.completed_ns >= job.created_ns
    assert job.runtime_ns > 0
    assert engine.ids() == [job_id]
    until(lambda: bench.events == [JobSubmitted(job_id), JobSucceeded(job_id)])


def test_a_job_that_fails_tells_why(bench: Bench) -> None:
    engine = bench.start()
    job = engine.wait(engine.submit("Fail", {}))
    assert job.state is JobState.FAILURE
    assert (job.error_code, job.error_text, job.error_details) == (8, "Bad request", "it must not be")
    assert job.error_payload == '{"Type":"Test","Content":[1]}'
    until(lambda: bench.events[-1] == JobFailed(job.id))


def test_a_bug_in_a_job_fails_the_job_alone(bench: Bench) -> None:
    engine = bench.start()
    job = engine.wait(engine.submit("Crash", {}))
    assert (job.state, job.error_code, job.error_text) == (JobState.FAILURE, -1, "Internal error")
    assert engine.wait(engine.submit("Count", {"until": 1})).state is JobState.SUCCESS


def test_an_unknown_kind_is_refused(bench: Bench) -> None:
    with pytest.raises(BadRequest):
        bench.start().submit("Nope", {})


def test_the_highest_priority_runs_first_then_the_oldest(bench: Bench) -> None:
    engine = bench.start(ONE)
    engine.submit("Wait", {"name": "first"})
    bench.reached.wait(10)
    waiting = [
        engine.submit("Count", {"until": 1, "name": name}, priority=priority)
        for name, priority in (("low", -1), ("a", 0), ("b", 0), ("high", 7))
    ]
    bench.gate.set()
    ended(engine, waiting)
    assert bench.done == ["first", "closed", "high1", "a1", "b1", "low1"]


def test_only_as_many_run_at_once_as_may(bench: Bench) -> None:
    engine = bench.start(EngineOptions(concurrent=2))
    job_ids = [engine.submit("Wait", {"name": "x"}) for _ in range(4)]
    until(lambda: bench.done.count("x") == 2)
    assert engine.counts() == {JobState.RUNNING: 2, JobState.PENDING: 2}
    bench.gate.set()
    assert {job.state for job in ended(engine, job_ids)} == {JobState.SUCCESS}


def test_a_pending_job_can_be_paused_resumed_and_cancelled(bench: Bench) -> None:
    engine = bench.start(ONE)
    engine.submit("Wait", {})
    bench.reached.wait(10)
    job_id = engine.submit("Count", {"until": 1})
    assert engine.pause(job_id)
    assert state(engine, job_id) is JobState.PAUSED
    assert engine.resume(job_id)
    assert state(engine, job_id) is JobState.PENDING
    assert engine.cancel(job_id)
    job = engine.get(job_id)
    assert (job.state, job.error_code, job.error_text) == (JobState.FAILURE, 37, "This job was canceled")
    assert job.error_details == ""
    assert bench.events[-1] == JobFailed(job_id)


def test_a_running_job_can_be_cancelled(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Wait", {})
    bench.reached.wait(10)
    assert engine.cancel(job_id)
    assert engine.wait(job_id).error_code == 37
    assert bench.done == ["waiting", "closed"]


def test_a_running_job_can_be_paused_and_goes_on_where_it_was(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Wait", {})
    bench.reached.wait(10)
    assert engine.pause(job_id)
    until(is_in(engine, job_id, JobState.PAUSED))
    assert not engine.resubmit(job_id)
    assert engine.pause(job_id)
    bench.gate.set()
    assert engine.resume(job_id)
    assert engine.wait(job_id).state is JobState.SUCCESS


def test_an_unsaved_job_keeps_its_generator_while_it_is_paused(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Fleeting", {})
    bench.reached.wait(10)
    engine.pause(job_id)
    until(is_in(engine, job_id, JobState.PAUSED))
    assert bench.done == ["waiting"]
    bench.gate.set()
    engine.resume(job_id)
    engine.wait(job_id)
    assert bench.done == ["waiting", "closed"]


def test_a_paused_unsaved_job_is_closed_when_it_is_cancelled(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Fleeting", {})
    bench.reached.wait(10)
    engine.pause(job_id)
    until(is_in(engine, job_id, JobState.PAUSED))
    engine.cancel(job_id)
    assert engine.wait(job_id).error_code == 37
    assert bench.done == ["waiting", "closed"]


def test_a_finished_job_stays_as_it_is(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Count", {"until": 1})
    engine.wait(job_id)
    assert engine.cancel(job_id)
    assert engine.pause(job_id)
    assert not engine.resume(job_id)
    assert not engine.resubmit(job_id)
    assert state(engine, job_id) is JobState.SUCCESS


def test_nothing_can_be_asked_of_an_unknown_job(bench: Bench) -> None:
    engine = bench.start()
    for change in (engine.cancel, engine.pause, engine.resume, engine.resubmit):
        assert not change("nope")
    for ask in (engine.get, engine.wait, engine.delete):
        with pytest.raises(NotFound):
            ask("nope")


def test_a_failed_job_can_be_run_again(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Fail", {})
    engine.wait(job_id)
    bench.gate.set()
    assert engine.resubmit(job_id)
    job = engine.wait(job_id)
    assert (job.state, job.error_code, job.error_details, job.error_payload) == (
        JobState.SUCCESS,
        0,
        "",
        None,
    )


def test_a_kind_may_refuse_to_be_run_again(bench: Bench) -> None:
    engine = bench.start(ONE)
    engine.submit("Wait", {})
    bench.reached.wait(10)
    job_id = engine.submit("Write", {"text": "a"})
    engine.cancel(job_id)
    with pytest.raises(NotResubmittable):
        engine.resubmit(job_id)


def test_a_job_is_tried_again_until_it_succeeds(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Retry", {})
    until(lambda: len(bench.done) > 2)
    bench.gate.set()
    job = engine.wait(job_id)
    assert job.state is JobState.SUCCESS
    assert orjson.loads(job.state_json)["tries"] == len(bench.done)


def test_only_the_last_finished_jobs_are_remembered(bench: Bench) -> None:
    engine = bench.start(EngineOptions(concurrent=1, history=3))
    job_ids = [engine.submit("Count", {"until": 1}) for _ in range(7)]
    until(lambda: set(engine.ids()) == set(job_ids[-3:]))
    assert {job.state for job in ended(engine, job_ids[-3:])} == {JobState.SUCCESS}


def test_who_waits_learns_the_end_of_a_job_that_fell_out_of_the_history(bench: Bench) -> None:
    engine = bench.start(EngineOptions(concurrent=1, history=1))
    job_ids = [engine.submit("Count", {"until": 1}) for _ in range(20)]
    assert [job.id for job in ended(engine, job_ids)] == job_ids


def test_without_history_nobody_can_wait(bench: Bench) -> None:
    engine = bench.start(EngineOptions(history=0))
    with pytest.raises(NotFound):
        engine.wait(engine.submit("Count", {"until": 1}))
    assert bench.done == ["1"]


def test_a_finished_job_can_be_forgotten_and_no_other(bench: Bench) -> None:
    engine = bench.start(ONE)
    running = engine.submit("Wait", {})
    bench.reached.wait(10)
    pending = engine.submit("Count", {"until": 1})
    for job_id in (running, pending):
        with pytest.raises(NotFound):
            engine.delete(job_id)
    bench.gate.set()
    ended(engine, [running, pending])
    engine.delete(pending)
    assert engine.ids() == [running]


def test_outputs_live_as_long_as_the_newest(bench: Bench) -> None:
    engine = bench.start(EngineOptions(concurrent=1, kept_outputs=2))
    job_ids = [engine.submit("Write", {"text": text}) for text in "abc"]
    ended(engine, job_ids)
    with pytest.raises(NotFound):
        engine.output(job_ids[0], "archive")
    assert engine.output(job_ids[2], "archive").path.read_bytes() == b"c"
    with pytest.raises(NotFound):
        engine.output(job_ids[2], "nope")
    engine.delete_output(job_ids[1], "archive")
    with pytest.raises(NotFound):
        engine.output(job_ids[1], "archive")
    engine.delete(job_ids[2])
    assert list(bench.spool.folder.iterdir()) == []


def test_a_stop_leaves_running_jobs_for_the_next_start(bench: Bench) -> None:
    first = bench.start()
    job_id = first.submit("Wait", {})
    bench.reached.wait(10)
    first.stop()
    assert bench.done == ["waiting", "closed"]
    bench.gate.set()
    second = bench.start()
    assert second.wait(job_id).state is JobState.SUCCESS


def test_a_job_that_is_taken_while_the_server_stops_is_not_begun(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    take, is_stopping = Ledger.take, threading.Event()

    def take_late(ledger: Ledger, row: JobRow) -> JobRow | None:
        first.interrupt()
        is_stopping.set()
        return take(ledger, row)

    monkeypatch.setattr(Ledger, "take", take_late)
    first = bench.start(ONE)
    job_id = first.submit("Wait", {})
    assert is_stopping.wait(10)
    first.stop()
    assert bench.done == []
    assert state(first, job_id) is JobState.PENDING


def test_a_job_goes_on_after_a_crash_from_what_was_saved(bench: Bench) -> None:
    first = bench.start(ONE)
    job_id = first.submit("Stick", {})
    assert bench.reached.wait(10)
    second = bench.start(ONE)  # As after a crash: the first one is stuck, and told the index nothing.
    assert second.wait(job_id).state is JobState.SUCCESS
    assert bench.done == ["0", "1"]


def test_a_start_may_drop_the_jobs_of_the_last_run(bench: Bench) -> None:
    first = bench.start(ONE)
    first.wait(first.submit("Count", {"until": 1}))
    first.submit("Wait", {})
    first.stop()
    assert bench.start(is_reloading=False).ids() == []


def test_unsaved_jobs_vanish_with_the_server(bench: Bench) -> None:
    first = bench.start(EngineOptions(concurrent=1, is_saved=False))
    first.submit("Wait", {})
    first.submit("Count", {"until": 1})
    bench.reached.wait(10)
    first.stop()
    bench.gate.set()
    assert bench.start().ids() == []


def test_archives_are_not_taken_up_again(bench: Bench) -> None:
    first = bench.start()
    first.wait(first.submit("Write", {"text": "a"}))
    kept = first.submit("Count", {"until": 1})
    first.wait(kept)
    first.stop()
    assert bench.start().ids() == [kept]
    assert list(bench.spool.folder.iterdir()) == []


def test_nobody_waits_for_a_server_that_stops(bench: Bench) -> None:
    engine = bench.start()
    job_id = engine.submit("Wait", {})
    bench.reached.wait(10)
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            engine.wait(job_id)
        except Cancelled as error:
            errors.append(error)

    thread = threading.Thread(target=wait)
    thread.start()
    engine.interrupt()
    thread.join(10)
    assert len(errors) == 1


def test_many_jobs_from_many_threads_all_run_once(bench: Bench) -> None:
    engine = bench.start(EngineOptions(concurrent=4, history=1000))
    submitted: list[str] = []

    def submit(name: int) -> None:
        names = (f"{name}-{number}-" for number in range(25))
        submitted.extend(engine.submit("Count", {"until": 1, "name": each}) for each in names)

    threads = [threading.Thread(target=submit, args=(name,)) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {job.state for job in ended(engine, submitted)} == {JobState.SUCCESS}
    assert len(bench.done) == len(set(bench.done)) == 200


def test_a_stream_is_a_job_too(bench: Bench) -> None:
    engine = bench.start(ONE)
    pieces = engine.stream("Write", {}, lambda run: iter((b"a", b"b")), description="REST API")
    assert engine.ids() == []
    assert next(pieces) == b"a"
    (job_id,) = engine.ids()
    assert state(engine, job_id) is JobState.RUNNING
    assert b"".join(pieces) == b"b"
    assert state(engine, job_id) is JobState.SUCCESS


def test_a_stream_whose_reader_goes_away_fails(bench: Bench) -> None:
    engine = bench.start(ONE)
    pieces = engine.stream("Write", {}, lambda run: iter((b"a", b"b")))
    next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    (job,) = engine.list()
    assert (job.state, job.error_code) == (JobState.FAILURE, 14)


def test_a_stream_that_is_cancelled_ends(bench: Bench) -> None:
    engine = bench.start(ONE)
    pieces = engine.stream("Write", {}, lambda run: iter((b"a", b"b", b"c")))
    next(pieces)
    (job_id,) = engine.ids()
    assert engine.cancel(job_id)
    with pytest.raises(Cancelled):
        next(pieces)
    assert engine.get(job_id).error_code == 37


def test_a_stream_that_is_paused_stands_still(bench: Bench) -> None:
    engine = bench.start(ONE)
    pieces = engine.stream("Write", {}, lambda run: iter((b"a", b"b")))
    next(pieces)
    (job_id,) = engine.ids()
    engine.pause(job_id)
    rest: list[bytes] = []
    thread = threading.Thread(target=lambda: rest.extend(pieces))
    thread.start()
    until(is_in(engine, job_id, JobState.PAUSED))
    assert rest == []
    assert engine.resume(job_id)
    thread.join(10)
    assert rest == [b"b"]
    assert state(engine, job_id) is JobState.SUCCESS


def test_a_job_that_waits_for_another_one_does_not_keep_it_from_running(bench: Bench) -> None:
    def nesting(run: JobRun) -> Iterator[None]:
        yield
        inner = engine.submit("Count", {"until": 2, "name": str(run.parameters["name"])})
        run.content["Inner"] = engine.wait(inner).state.value

    bench.kinds["Nest"] = JobKind("Nest", nesting)
    engine = bench.start(EngineOptions(concurrent=2))
    rows = ended(engine, [engine.submit("Nest", {"name": name}) for name in "abc"])
    assert [orjson.loads(row.content)["Inner"] for row in rows] == ["Success"] * 3
    assert sorted(bench.done) == ["a1", "a2", "b1", "b2", "c1", "c2"]
