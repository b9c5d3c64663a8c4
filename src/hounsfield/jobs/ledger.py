"""The registry of jobs: what is written in the index, and what is published when it was."""

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TypeVar
from uuid import uuid4

import orjson

from hounsfield.archive import Archive
from hounsfield.errors import ArchiveError, DatabaseUnavailable
from hounsfield.events import JobFailed, JobSubmitted, JobSucceeded
from hounsfield.http.status import INTERNAL, status_of
from hounsfield.index import jobs
from hounsfield.index.database import Transaction
from hounsfield.index.jobs import FINISHED, JobRow, JobState

T = TypeVar("T")
_SECOND_NS = 1_000_000_000
_AWAY_SECONDS = 0.5
_RENEWALS = 3
"""How often a lease is renewed before it would end."""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """How jobs are run.

    `concurrent` jobs run at once, 0 for one a processor. `history` finished ones are remembered, and the outputs of
    `kept_outputs`. Without `is_saved` jobs vanish with the server. With `is_shared` other nodes use the same index: a
    node that gives no sign of life for `lease_seconds` is dead, and its jobs are taken over. `server`, of letters and
    digits, is the same in each run of this server: it takes up its own jobs at once.
    """

    concurrent: int = 2
    history: int = 10
    kept_outputs: int = 1
    is_saved: bool = True
    is_shared: bool = False
    lease_seconds: float = 30.0
    server: str = ""

    @property
    def threads(self) -> int:
        """How many jobs run at once."""
        return self.concurrent or os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed, in the words of the interface."""

    code: int
    text: str
    details: str = ""
    payload: str | None = None


CANNOT_WRITE = Failure(14, "Cannot write to file")


def failure_of(error: BaseException, payload: object = None) -> Failure:
    """The failure that an error makes."""
    packed = None
    with suppress(TypeError):  # It is no JSON.
        packed = None if payload is None else orjson.dumps(payload).decode()
    if not isinstance(error, ArchiveError):
        return Failure(INTERNAL.code, INTERNAL.text, "", packed)
    status = status_of(error)
    # What a client or a file brought, and no database takes as text.
    details = str(error).encode(errors="replace").decode().replace("\0", " ")
    return Failure(status.code, status.text, details, packed)


class Ledger:
    """Reads and writes the jobs of one node."""

    def __init__(self, archive: Archive, options: EngineOptions, clock_ns: Callable[[], int]) -> None:
        self._archive, self._options, self._clock_ns = archive, options, clock_ns
        self.node = options.server + uuid4().hex
        self._renewed = 0.0

    def open(self, *, is_reloading: bool) -> None:
        """Take over what the last run left, or drop it."""

        def work(tx: Transaction) -> None:
            if not self._options.is_shared:
                jobs.release_all(tx)
            else:
                if self._options.server:
                    jobs.release_earlier_runs(tx, self._options.server)
                jobs.release_expired(tx, self._clock_ns())
            if not is_reloading:
                jobs.drop_all(tx)

        self._archive.database.write(work)

    def close(self) -> None:
        """Drop what is not to be saved; without its database, other nodes do that."""
        with suppress(DatabaseUnavailable):
            self._archive.database.write(lambda tx: jobs.drop_node(tx, self.node))

    def add(self, row: JobRow, *, durable: bool) -> None:
        """Write a new job."""
        self._archive.database.write(lambda tx: jobs.add_job(tx, row), durable=durable)
        self._archive.events.publish(JobSubmitted(row.id))

    def new_row(self, kind: str, parameters: dict[str, object], *, is_saved: bool) -> JobRow:
        """A pending job of now."""
        now_ns = self._clock_ns()
        is_saved = is_saved and self._options.is_saved
        return JobRow(
            str(uuid4()),
            kind,
            JobState.PENDING,
            0,
            created_ns=now_ns,
            changed_ns=now_ns,
            parameters=orjson.dumps(parameters).decode(),
            is_saved=is_saved,
            node="" if is_saved else self.node,
            lease_ns=0 if is_saved else self.lease_ns(),
        )

    def lease_ns(self) -> int:
        """Until when a lease lasts that is taken now."""
        return self._clock_ns() + int(self._options.lease_seconds * _SECOND_NS)

    def find(self, job_id: str) -> JobRow | None:
        """A job, or None."""
        with self._archive.database.peek() as tx:
            return jobs.get_job(tx, job_id)

    def rows(self) -> list[JobRow]:
        """All jobs, by id."""
        with self._archive.database.peek() as tx:
            return jobs.list_jobs(tx)

    def ids(self) -> list[str]:
        """The ids of all jobs, in order."""
        with self._archive.database.peek() as tx:
            return jobs.job_ids(tx)

    def counts(self) -> dict[JobState, int]:
        """How many jobs there are in each state."""
        with self._archive.database.peek() as tx:
            return jobs.count_jobs(tx)

    def take_next(self, kinds: Collection[str]) -> JobRow | None:
        """The next job to run, which is now ours; None if there is none."""
        while True:
            with self._archive.database.peek() as tx:
                row = jobs.next_pending(tx, kinds, self.node)
            if row is None:
                return None
            taken = self.take(row)
            if taken is not None:
                return taken

    def take(self, row: JobRow) -> JobRow | None:
        """A pending job, which is now ours; None if somebody was faster."""
        now_ns, lease_ns = self._clock_ns(), self.lease_ns()
        is_ours = self._archive.database.write(
            lambda tx: jobs.claim(tx, row.id, self.node, now_ns, lease_ns), durable=False
        )
        if not is_ours:
            return None
        return replace(row, state=JobState.RUNNING, node=self.node, lease_ns=lease_ns, changed_ns=now_ns)

    def save(self, row: JobRow) -> bool:
        """Save how far one of our jobs came; False if it is ours no more."""
        row = replace(row, changed_ns=self._clock_ns(), node=self.node)
        return self._archive.database.write(lambda tx: jobs.save_progress(tx, row), durable=False)

    def leave(self, row: JobRow, state: JobState, *, retry_seconds: float = 0.0) -> bool:
        """Let one of our jobs wait as `state`; False if it is ours no more."""
        now_ns = self._clock_ns()
        is_bound = not row.is_saved
        waiting = replace(
            row,
            state=state,
            changed_ns=now_ns,
            retry_ns=now_ns + int(retry_seconds * _SECOND_NS) if state is JobState.RETRY else 0,
            node=self.node if is_bound else "",
            lease_ns=self.lease_ns() if is_bound else 0,
        )
        return self._write_patiently(lambda tx: jobs.leave_running(tx, waiting, self.node), durable=True)

    def _write_patiently(self, work: Callable[[Transaction], T], *, durable: bool) -> T:
        """Write what must not be lost, waiting for a database that is away as long as nobody else takes the job."""
        deadline = time.monotonic() + self._options.lease_seconds / 2
        while True:
            try:
                return self._archive.database.write(work, durable=durable)
            except DatabaseUnavailable:
                if time.monotonic() > deadline:
                    raise
                time.sleep(_AWAY_SECONDS)

    def hold(self, row: JobRow, state: JobState) -> bool:
        """Show one of our jobs as paused, or as running again, while it stays ours; False if it is ours no more."""
        held = replace(
            row, state=state, changed_ns=self._clock_ns(), node=self.node, lease_ns=self.lease_ns()
        )
        return self._archive.database.write(lambda tx: jobs.leave_running(tx, held, self.node), durable=False)

    def finish(self, row: JobRow, failure: Failure | None) -> tuple[JobRow | None, list[str]]:
        """End one of our jobs; what it has become, and the ids of those that fell out of the history.

        None if it is ours no more: how it ends is for others to tell.
        """
        done = self._ended(row, failure)

        def work(tx: Transaction) -> tuple[bool, list[str]]:
            if not jobs.leave_running(tx, done, self.node):
                return False, []
            return True, jobs.trim_history(tx, self._options.history)

        is_ours, gone = self._write_patiently(work, durable=row.is_saved)
        if not is_ours:
            return None, gone
        self._publish(done)
        return done, gone

    def end_waiting(self, row: JobRow, failure: Failure) -> list[str] | None:
        """Fail a job that nobody runs; None if its state is another by now."""
        done = self._ended(row, failure)

        def work(tx: Transaction) -> list[str] | None:
            if not jobs.change_state(tx, done, [row.state]):
                return None
            return jobs.trim_history(tx, self._options.history)

        gone = self._archive.database.write(work)
        if gone is not None:
            self._publish(done)
        return gone

    def change(self, row: JobRow, state: JobState) -> bool:
        """Give a job that nobody runs another state; False if its state is another by now."""
        changed = replace(row, state=state, changed_ns=self._clock_ns())
        return self._archive.database.write(lambda tx: jobs.change_state(tx, changed, [row.state]))

    def renew(self, row: JobRow) -> bool:
        """Make a failed job pending again, as if it had never run; False if its state is another by now."""
        fresh = replace(
            row,
            completed_ns=0,
            runtime_ns=0,
            progress_ppm=0,
            state_json="{}",
            error_code=0,
            error_text="Success",
            error_details="",
            error_payload=None,
        )
        return self.change(fresh, JobState.PENDING)

    def delete_finished(self, job_id: str) -> bool:
        """Forget a finished job; False if there is none."""
        return self._archive.database.write(lambda tx: jobs.delete_finished(tx, job_id))

    def wish(self, job_id: str, wish: str) -> bool:
        """Tell the node that runs a job what is wanted of it; False if nobody runs it."""
        return self._archive.database.write(lambda tx: jobs.set_wish(tx, job_id, wish), durable=False)

    def wishes(self) -> dict[str, str]:
        """What others want of our jobs, by their ids."""
        with self._archive.database.peek() as tx:
            return jobs.wishes(tx, self.node)

    def release_strays(self, active: Collection[str]) -> None:
        """Let go of our jobs that nobody runs here, as the database was away when they were to be written."""
        with self._archive.database.peek() as tx:
            strays = set(jobs.running_on(tx, self.node)) - set(active)
        for job_id in strays:
            self._archive.database.write(
                lambda tx, job_id=job_id: jobs.release_running(tx, job_id, self.node),  # type: ignore[misc]
                durable=False,
            )

    def renew_leases(self) -> None:
        """Go on owning our unfinished jobs, if it is time for that."""
        now = time.monotonic()
        if now - self._renewed < self._options.lease_seconds / _RENEWALS:
            return
        with self._archive.database.peek() as tx:
            is_owner = jobs.has_unfinished(tx, self.node)
        if is_owner:
            lease_ns = self.lease_ns()
            self._archive.database.write(lambda tx: jobs.renew_leases(tx, self.node, lease_ns), durable=False)
        self._renewed = now

    def is_lease_good(self, taken: float) -> bool:
        """Whether a job that was taken at a time of the monotonic clock is still ours, for all we know."""
        if not self._options.is_shared:
            return True
        return time.monotonic() < max(taken, self._renewed) + self._options.lease_seconds

    def release_expired(self) -> bool:
        """Let go of the jobs of dead nodes; whether there were any."""
        now_ns = self._clock_ns()
        with self._archive.database.peek() as tx:
            if not jobs.has_expired(tx, now_ns):
                return False
        return self._archive.database.write(lambda tx: jobs.release_expired(tx, now_ns)) > 0

    def next_retry_seconds(self) -> float | None:
        """How long until the first job is to be tried again; None if none waits for that."""
        with self._archive.database.peek() as tx:
            found = jobs.next_retry(tx)
        return None if found is None else max(0.0, (found - self._clock_ns()) / _SECOND_NS)

    def wake_retries(self) -> None:
        """Make those pending that waited long enough."""
        now_ns = self._clock_ns()
        self._archive.database.write(lambda tx: jobs.wake_retries(tx, now_ns), durable=False)

    def _ended(self, row: JobRow, failure: Failure | None) -> JobRow:
        now_ns = self._clock_ns()
        ended = replace(row, completed_ns=now_ns, changed_ns=now_ns, node="", lease_ns=0)
        if failure is None:
            return replace(ended, state=JobState.SUCCESS, progress_ppm=1_000_000)
        return replace(
            ended,
            state=JobState.FAILURE,
            error_code=failure.code,
            error_text=failure.text,
            error_details=failure.details,
            error_payload=failure.payload,
        )

    def _publish(self, row: JobRow) -> None:
        event = JobSucceeded(row.id) if row.state is JobState.SUCCESS else JobFailed(row.id)
        self._archive.events.publish(event)


def is_finished(row: JobRow) -> bool:
    """Whether a job has ended."""
    return row.state in FINISHED
