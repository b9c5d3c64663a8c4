"""Jobs on several nodes that share an index."""

from dataclasses import replace
from pathlib import Path

import pytest
from tests.jobs.builders import Bench, is_in, open_bench, shared, state, until
from tests.postgres import shared_server

from hounsfield.index.jobs import JobState
from hounsfield.index.postgres import PostgresDatabase
from hounsfield.jobs import ledger


def test_every_node_sees_every_job_and_may_change_it(bench: Bench) -> None:
    first, second = bench.start(shared(30)), bench.start(shared(30))
    job_id = first.submit("Wait", {})
    bench.reached.wait(10)
    until(is_in(second, job_id, JobState.RUNNING))
    for engine in (first, second):
        assert engine.pause(job_id)
        until(is_in(first, job_id, JobState.PAUSED))
        assert state(second, job_id) is JobState.PAUSED
        assert engine.resume(job_id)
        until(is_in(first, job_id, JobState.RUNNING))
    first.cancel(job_id)
    second.cancel(job_id)
    assert second.wait(job_id).error_code == first.wait(job_id).error_code == 37


def test_of_two_nodes_one_runs_a_job(bench: Bench) -> None:
    engines = [bench.start(shared(30)) for _ in range(3)]
    for number in range(60):
        engines[number % 3].submit("Count", {"until": 1, "name": f"{number}-"})
    until(lambda: len(bench.done) >= 60)
    assert len(bench.done) == len(set(bench.done)) == 60


def test_a_job_of_a_dead_node_is_taken_over(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger.Ledger, "renew_leases", lambda _: None)
    first, second = bench.start(shared()), bench.start(shared())
    job_id = first.submit("Wait", {"name": "run"})
    until(lambda: bench.done.count("run") >= 2)  # Whoever had it let its lease go.
    until(lambda: "closed" in bench.done)
    bench.gate.set()
    assert second.wait(job_id).state is JobState.SUCCESS


def test_a_server_takes_up_the_jobs_of_its_last_run_at_once(bench: Bench) -> None:
    first = bench.start(replace(shared(1000), server="aaaa"))
    job_id = first.submit("Wait", {"name": "run"})
    bench.reached.wait(10)
    bench.reached.clear()
    other = bench.start(replace(shared(1000), server="bbbb"))
    assert state(other, job_id) is JobState.RUNNING
    bench.start(replace(shared(1000), server="aaaa"))  # As after a crash.
    assert bench.reached.wait(10)
    bench.gate.set()
    assert other.wait(job_id).state is JobState.SUCCESS


def test_how_a_node_ended_a_job_that_it_had_lost_is_not_told(bench: Bench) -> None:
    options = replace(shared(1000), server="aaaa")
    first = bench.start(options)
    job_id = first.submit("Stick", {})
    assert bench.reached.wait(10)
    second = bench.start(options)  # Takes the job, as the first one seems to be an earlier run of its server.
    assert second.wait(job_id).state is JobState.SUCCESS
    bench.gate.set()
    first.stop()  # Which waits for the end of its run.
    assert first.wait(job_id).state is JobState.SUCCESS


def test_a_node_that_lives_keeps_its_job_beyond_one_lease(bench: Bench) -> None:
    first, second = bench.start(shared(3.0)), bench.start(shared(3.0))
    job_id = first.submit("Wait", {"name": "run"})
    bench.reached.wait(10)
    before = first.get(job_id).lease_ns
    until(lambda: second.get(job_id).lease_ns > before + 2_000_000_000)
    assert bench.done == ["run"]
    bench.gate.set()
    assert second.wait(job_id).state is JobState.SUCCESS


def test_servers_with_connections_of_their_own_share_the_work(tmp_path: Path) -> None:
    options = shared_server().new_schema()
    bench = open_bench(tmp_path, lambda: PostgresDatabase(replace(options, node="one")))
    other = PostgresDatabase(replace(options, node="two"))
    try:
        first, second = bench.start(shared(30)), bench.neighbour(other, shared(30))
        both = [first.submit("Wait", {"name": "x"}), first.submit("Wait", {"name": "x"})]
        until(lambda: bench.done.count("x") == 2)  # Each runs one at a time: the other one has the second.
        assert second.cancel(both[0])
        assert second.cancel(both[1])
        assert {first.wait(job_id).error_code for job_id in both} == {37}
    finally:
        bench.gate.set()
        for engine in bench.engines:
            engine.stop()
        other.close()
        bench.close()
