"""Runs jobs: as many at once as it may, the highest priority first, and lets them be paused, cancelled and resumed.

Workers take pending jobs out of the index. A keeper thread watches over what has a time: jobs to be tried again and,
where several nodes share the index, leases and the wishes of other nodes. When nothing is to be done, all sleep.
"""

import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import orjson

from hounsfield.archive import Archive
from hounsfield.errors import ArchiveError, BadRequest, Cancelled, NotFound
from hounsfield.index.jobs import TOPIC, JobRow, JobState
from hounsfield.jobs.active import Active, Steps, Wish, close, new_active
from hounsfield.jobs.kinds import JobKind, JobOutput, JobRun, TryAgain
from hounsfield.jobs.ledger import (
    CANNOT_WRITE,
    EngineOptions,
    Failure,
    Ledger,
    failure_of,
    is_finished,
)
from hounsfield.jobs.shelf import Shelf

_log = logging.getLogger("hounsfield.jobs")

_POLL_SECONDS = 5.0
"""How often what other servers do is looked at, in case that what they tell is lost."""
_PAUSE_SECONDS = 1.0
_STOP_SECONDS = 20.0
_REMEMBERED = 256
_CANCELLED = failure_of(Cancelled())


class NotResubmittable(BadRequest):
    """A kind of job that can be run only once."""


@dataclass(slots=True)
class _Held:
    """An unsaved job that is paused, with its generator where it stopped."""

    active: Active
    steps: Steps


class Engine:
    """Runs the jobs of one node. `kinds` may be filled until `start`."""

    def __init__(
        self,
        archive: Archive,
        kinds: Mapping[str, JobKind],
        options: EngineOptions | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self.options = options or EngineOptions()
        self._archive, self._kinds = archive, kinds
        self._ledger = Ledger(archive, self.options, clock_ns)
        is_shared = self.options.is_shared
        self._patience = min(_POLL_SECONDS, self.options.lease_seconds / 6) if is_shared else None
        self._changed = threading.Condition()
        self._taking = threading.Lock()
        self._generation = 0
        self._is_stopping = False
        self._is_open = False
        self._threads: list[threading.Thread] = []
        self._active: dict[str, Active] = {}
        self._held: dict[str, _Held] = {}
        self._shelf = Shelf(self.options.kept_outputs)
        self._recent: OrderedDict[str, JobRow] = OrderedDict()

    def start(self, *, is_reloading: bool = True) -> None:
        """Take up the jobs of the last run, or with `is_reloading` false forget them, and begin to work."""
        self._ledger.open(is_reloading=is_reloading and self.options.is_saved)
        if self.options.is_shared:
            self._archive.database.subscribe(self._hear)
        self._is_open = True
        for number in range(self.options.threads):
            self._spawn(self._work, f"JOBS-{number}")
        self._spawn(self._keep, "JOBS-KEEPER")

    def interrupt(self) -> None:
        """Take no more jobs, ask those that run to stop at their next yield, and let nobody wait any longer."""
        with self._changed:
            self._is_stopping = True
            for active in self._active.values():
                if not active.is_stream:
                    active.wish = active.wish or Wish.LEAVE
            self._notify()

    def stop(self) -> None:
        """As `interrupt`; jobs that are saved go on at the next start."""
        self.interrupt()
        for active in list(self._active.values()):
            active.wish = active.wish or Wish.LEAVE
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._is_open:
            self._is_open = False
            for held in self._held.values():
                close(held.steps)
            self._shelf.clear()
            self._ledger.close()

    def submit(
        self,
        kind_name: str,
        parameters: dict[str, object],
        *,
        priority: int = 0,
        is_permissive: bool = False,
        user_data: object = None,
        description: str = "",
        is_durable: bool = True,
    ) -> str:
        """Add a job, and give its id. With `is_durable` it survives a power cut from now on.

        Raises
        ------
        BadRequest
            If there is no such kind.
        """
        row = replace(
            self._new_row(kind_name, parameters, user_data, description),
            priority=priority,
            is_permissive=is_permissive,
        )
        self._ledger.add(row, durable=is_durable and row.is_saved)
        with self._changed:
            self._notify()
        return row.id

    def wait(self, job_id: str) -> JobRow:
        """Wait until a job has ended, and give what became of it.

        A job that waits for another one, through a script that calls the REST interface for example, runs it itself:
        all workers could be waiting.

        Raises
        ------
        NotFound
            If it is not, or no more, remembered.
        Cancelled
            If the server stops first.
        """
        while True:
            with self._changed:
                generation = self._generation
                known = self._recent.get(job_id) if self.options.history else None
            try:
                row = known or self.get(job_id)
            except NotFound:
                if not self.options.history or not self._is_about_to_end(job_id, generation):
                    raise
                continue
            if is_finished(row):
                return row
            if row.state is JobState.PENDING and threading.current_thread() in self._threads:
                self._take_now(row)
                continue
            with self._changed:
                if self._is_stopping:
                    raise Cancelled("The server is stopping")
                if self._generation == generation:
                    self._changed.wait(self._patience)

    def _is_about_to_end(self, job_id: str, generation: int) -> bool:
        """Whether a job that fell out of the history is about to be remembered, or was just now; waits for it."""
        with self._changed:
            if job_id in self._active and self._generation == generation:
                self._changed.wait(_POLL_SECONDS)
            return job_id in self._active or job_id in self._recent

    def get(self, job_id: str) -> JobRow:
        """A job as it is now.

        Raises
        ------
        NotFound
            If there is none.
        """
        row = self._ledger.find(job_id)
        if row is None:
            raise NotFound(f"No job found with this id: {job_id}")
        return self._live(row)

    def list(self) -> Sequence[JobRow]:
        """All jobs as they are now, by id."""
        return [self._live(row) for row in self._ledger.rows()]

    def ids(self) -> Sequence[str]:
        """The ids of all jobs, in order."""
        return self._ledger.ids()

    def counts(self) -> dict[JobState, int]:
        """How many jobs there are in each state."""
        return self._ledger.counts()

    def cancel(self, job_id: str) -> bool:
        """Make a job fail; a finished one stays as it is. False if there is no such job."""
        row = self._ledger.find(job_id)
        if row is None:
            return False
        if is_finished(row):
            return True
        if row.state is JobState.RUNNING or self._is_streaming(row):
            return self._tell(row, Wish.CANCEL, self.cancel)
        gone = self._ledger.end_waiting(row, _CANCELLED)
        if gone is None:
            return self.cancel(job_id)
        self._drop_held(job_id)
        self._shelf.forget(gone)
        return True

    def pause(self, job_id: str) -> bool:
        """Let a job wait until it is resumed; a finished one stays as it is. False if there is no such job."""
        row = self._ledger.find(job_id)
        if row is None:
            return False
        if is_finished(row) or row.state is JobState.PAUSED:
            return True
        if row.state is JobState.RUNNING:
            return self._tell(row, Wish.PAUSE, self.pause)
        return self._ledger.change(row, JobState.PAUSED) or self.pause(job_id)

    def resume(self, job_id: str) -> bool:
        """Let a paused job go on; False if it is not paused, or there is no such job."""
        row = self._ledger.find(job_id)
        with self._changed:
            active = self._active.get(job_id)
            if active is not None and active.wish is Wish.PAUSE:  # About to, or a stream.
                active.wish = None
                self._notify()
                return True
        if row is None or row.state is not JobState.PAUSED:
            return False
        changed = self._ledger.change(row, JobState.PENDING)
        with self._changed:
            self._notify()
        return changed

    def resubmit(self, job_id: str) -> bool:
        """Run a failed job again from its beginning; False if it has not failed, or there is no such job.

        Raises
        ------
        NotResubmittable
            If jobs of its kind can be run only once.
        """
        row = self._ledger.find(job_id)
        if row is None or row.state is not JobState.FAILURE:
            return False
        kind = self._kinds.get(row.kind)
        if kind is None or not kind.is_resubmittable:
            raise NotResubmittable(f"Cannot resubmit a job of the kind {row.kind}")
        renewed = self._ledger.renew(row)
        with self._changed:
            self._recent.pop(job_id, None)
            self._notify()
        return renewed

    def delete(self, job_id: str) -> None:
        """Forget a finished job and its outputs.

        Raises
        ------
        NotFound
            If there is no finished job of this id.
        """
        if not self._ledger.delete_finished(job_id):
            raise NotFound(f"No job found with this id: {job_id}")
        with self._changed:
            self._recent.pop(job_id, None)
        self._shelf.forget([job_id])

    def output(self, job_id: str, name: str) -> JobOutput:
        """A file that a job made.

        Raises
        ------
        NotFound
            If there is none.
        """
        return self._shelf.get(job_id, name)

    def delete_output(self, job_id: str, name: str) -> None:
        """Delete a file that a job made. Errors as of `output`."""
        self._shelf.delete(job_id, name)

    def stream(
        self,
        kind_name: str,
        parameters: dict[str, object],
        pieces: Callable[[JobRun], Iterator[bytes]],
        *,
        user_data: object = None,
        description: str = "",
        priority: int = 0,
    ) -> Iterator[bytes]:
        """A job whose result is read while it is made: it runs in the thread of the reader, and waits for no turn.

        It fails with Orthanc's code of a file that cannot be written if the reader goes away.

        Raises
        ------
        Cancelled
            While it is read, if the job was cancelled.
        """
        row = replace(
            self._new_row(kind_name, parameters, user_data, description),
            priority=priority,
            state=JobState.RUNNING,
            node=self._ledger.node,
            lease_ns=self._ledger.lease_ns(),
            is_saved=False,
        )
        return self._drive(new_active(row, self._kinds[kind_name]), pieces)

    def _drive(self, active: Active, make: Callable[[JobRun], Iterator[bytes]]) -> Iterator[bytes]:
        active.is_stream = True
        active.begin()
        self._ledger.add(active.snapshot(), durable=False)
        with self._changed:
            self._active[active.row.id] = active
        pieces = make(active.run)
        failure: Failure | None = CANNOT_WRITE
        try:
            for piece in pieces:
                yield piece
                if active.wish is Wish.PAUSE:
                    self._hold_stream(active)
                if active.wish is not None:
                    failure = _CANCELLED
                    raise Cancelled
                if active.is_save_due():
                    active.save(self._ledger.save)
            failure = None
        except GeneratorExit:
            raise
        except Cancelled:
            failure = _CANCELLED
            raise
        except ArchiveError as error:
            failure = failure_of(error)
            raise
        except Exception as error:
            failure = failure_of(error)
            raise
        finally:
            close(pieces)
            self._end(active, failure)

    def _hold_stream(self, active: Active) -> None:
        """Wait as long as a stream is to pause."""
        self._ledger.hold(active.snapshot(), JobState.PAUSED)
        with self._changed:
            while active.wish is Wish.PAUSE and not self._is_stopping:
                self._changed.wait()
        self._ledger.hold(active.snapshot(), JobState.RUNNING)

    def _new_row(
        self, kind_name: str, parameters: dict[str, object], user_data: object, description: str
    ) -> JobRow:
        kind = self._kinds.get(kind_name)
        if kind is None:
            raise BadRequest(f"There are no jobs of the kind {kind_name}")
        return replace(
            self._ledger.new_row(kind_name, parameters, is_saved=kind.is_saved),
            user_data=None if user_data is None else orjson.dumps(user_data).decode(),
            description=description,
            content=orjson.dumps({"Description": description}).decode(),
        )

    def _spawn(self, target: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=target, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _hear(self, topic: str) -> None:
        """Another server told of something: wake up, if it may concern us."""
        if topic in (TOPIC, ""):
            with self._changed:
                self._notify()

    def _notify(self) -> None:
        """Wake all who wait for a change. The caller holds `_changed`."""
        self._generation += 1
        self._changed.notify_all()

    def _live(self, row: JobRow) -> JobRow:
        """A row with what only the job that runs here knows."""
        active = self._active.get(row.id)
        if active is None or row.state is not JobState.RUNNING:
            return row
        return replace(row, runtime_ns=active.runtime_ns(), progress_ppm=active.progress_ppm())

    def _is_streaming(self, row: JobRow) -> bool:
        return row.state is JobState.PAUSED and row.id in self._active

    def _tell(self, row: JobRow, wish: Wish, again: Callable[[str], bool]) -> bool:
        """Tell the thread, or the node, that runs a job what is wanted of it; ask `again` if it runs no more."""
        with self._taking, self._changed:
            active = self._active.get(row.id)
            if active is not None:
                active.wish = wish
                self._notify()
                return True
        if row.node != self._ledger.node and self._ledger.wish(row.id, wish.value):
            return True
        found = self._ledger.find(row.id)
        if found is not None and found.state is JobState.RUNNING:
            return False  # Its thread could not write down how it ended.
        return again(row.id)

    def _work(self) -> None:
        """Run one job after the other, until the server stops."""
        while True:
            with self._changed:
                generation = self._generation
                if self._is_stopping:
                    return
            active = self._take_next()
            if active is not None:
                self._execute(active)
                continue
            with self._changed:
                if self._generation == generation and not self._is_stopping:
                    self._changed.wait(self._patience)

    def _take_next(self) -> Active | None:
        """The next job, which runs from now on; None if there is none."""
        try:
            with self._taking:
                row = self._ledger.take_next(self._kinds.keys())
                return None if row is None else self._enter(row)
        except Exception:  # noqa: BLE001  The rim of jobs.
            _log.exception("The next job cannot be read from the index")
            time.sleep(_PAUSE_SECONDS)
            return None

    def _take_now(self, row: JobRow) -> None:
        """Run a pending job in the calling thread, unless another one was faster."""
        with self._taking:
            taken = self._ledger.take(row) if row.kind in self._kinds else None
            active = None if taken is None else self._enter(taken)
        if active is not None:
            self._execute(active)

    def _enter(self, row: JobRow) -> Active:
        with self._changed:
            held = self._held.get(row.id)
            active = held.active if held else new_active(row, self._kinds[row.kind])
            active.row = row
            active.wish = Wish.LEAVE if self._is_stopping else None
            self._active[row.id] = active
        active.begin()
        return active

    def _execute(self, active: Active) -> None:
        """Run a job until it ends, or is to stop."""
        try:
            self._run(active)
        except Exception:  # noqa: BLE001  The rim of jobs.
            _log.exception("How a job of the kind %s ended cannot be written to the index", active.row.kind)

    def _run(self, active: Active) -> None:
        with self._changed:
            held = self._held.pop(active.row.id, None)
        steps = held.steps if held else active.kind.run(active.run)
        try:
            # When the server began to stop while the job was taken, it is not begun.
            is_done = active.wish is None and self._advance(active, steps)
        except TryAgain as error:
            self._leave(active, JobState.RETRY, error.seconds)
        except ArchiveError as error:
            self._end(active, failure_of(error, active.run.error_payload))
        except Exception as error:  # noqa: BLE001  The rim of jobs.
            _log.exception("A job of the kind %s failed", active.row.kind)
            self._end(active, failure_of(error, active.run.error_payload))
        else:
            if is_done:
                self._end(active, None)
            else:
                self._obey(active, steps)

    def _advance(self, active: Active, steps: Steps) -> bool:
        """Make steps until the job is done, which is true, or is to stop."""
        for _ in steps:
            if active.wish is not None:
                return False
            is_ours = self._ledger.is_lease_good(active.started)
            if not is_ours or (active.is_save_due() and not active.save(self._ledger.save)):
                active.wish = Wish.LEAVE  # Another node has it, or nobody.
                return False
        return True

    def _obey(self, active: Active, steps: Steps) -> None:
        """Stop a job where it is."""
        if active.wish is Wish.PAUSE and not active.row.is_saved:
            with self._changed:
                self._held[active.row.id] = _Held(active, steps)
            self._leave(active, JobState.PAUSED)
            return
        close(steps)
        if active.wish is Wish.CANCEL:
            self._end(active, _CANCELLED)
        else:
            self._leave(active, JobState.PAUSED if active.wish is Wish.PAUSE else JobState.PENDING)

    def _leave(self, active: Active, state: JobState, retry_seconds: float = 0.0) -> None:
        try:
            self._ledger.leave(active.snapshot(), state, retry_seconds=retry_seconds)
        finally:
            with self._changed:
                self._active.pop(active.row.id, None)
                self._notify()

    def _end(self, active: Active, failure: Failure | None) -> None:
        """Write down how a job ended."""
        job_id = active.row.id
        try:
            if failure is None and self.options.history:
                self._shelf.put(active.run)
            else:
                active.run.release()
            row, gone = self._ledger.finish(active.snapshot(), failure)
            self._shelf.forget(gone)
            if row is not None:
                self._remember(row)
        finally:
            with self._changed:
                self._active.pop(job_id, None)
                self._notify()

    def _remember(self, row: JobRow) -> None:
        """Let those who wait for a job learn how it ended, even if it falls out of the history first."""
        with self._changed:
            self._recent[row.id] = row
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)

    def _drop_held(self, job_id: str) -> None:
        with self._changed:
            held = self._held.pop(job_id, None)
            self._notify()
        if held is not None:
            close(held.steps)
            held.active.run.release()

    def _keep(self) -> None:
        """Watch over what has a time, until the server stops."""
        while True:
            with self._changed:
                generation = self._generation
                if self._is_stopping:
                    return
            patience = self._tend()
            with self._changed:
                if self._generation == generation and not self._is_stopping:
                    self._changed.wait(patience)

    def _tend(self) -> float | None:
        """Do what is due; how long nothing will be, None for as long as nothing changes."""
        try:
            patience = self._ledger.next_retry_seconds()
            if patience == 0.0:
                self._ledger.wake_retries()
                with self._changed:
                    self._notify()
            if not self.options.is_shared:
                return patience
            self._tend_neighbours()
        except Exception:  # noqa: BLE001  The rim of jobs.
            _log.exception("The jobs in the index cannot be looked after")
        return self._patience or _PAUSE_SECONDS

    def _tend_neighbours(self) -> None:
        """Renew our leases, take over those of dead nodes, and hear what other nodes want."""
        with self._taking:  # A job that is being taken would look like one that nobody runs.
            self._ledger.release_strays(self._active.keys())
        self._ledger.renew_leases()
        if self._ledger.release_expired():
            with self._changed:
                self._notify()
        if self._active:
            for job_id, wish in self._ledger.wishes().items():
                active = self._active.get(job_id)
                if active is not None:
                    active.wish = active.wish or Wish(wish)
