"""Runs jobs: as many at once as it may, the highest priority first, and lets them be paused, cancelled and resumed.

Workers (`workers`) take pending jobs out of the index. A keeper (`keeper`) watches over what has a time: jobs to be
tried again and, where several nodes share the index, leases and the wishes of other nodes. When nothing is to be done,
all sleep. What may be asked of a job is in `control`.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

import orjson

from hounsfield.archive import Archive
from hounsfield.errors import BadRequest, Cancelled, NotFound
from hounsfield.index.jobs import TOPIC, JobRow, JobState
from hounsfield.jobs import control
from hounsfield.jobs.active import new_active
from hounsfield.jobs.floor import Floor
from hounsfield.jobs.keeper import keep
from hounsfield.jobs.kinds import JobKind, JobRun, OutputFile
from hounsfield.jobs.ledger import EngineOptions, Ledger, is_finished
from hounsfield.jobs.node import Node
from hounsfield.jobs.outputs import SharedOutputs
from hounsfield.jobs.shelf import Shelf
from hounsfield.jobs.streams import drive
from hounsfield.jobs.workers import is_within_job, take_now, work

_POLL_SECONDS = 5.0
"""How often what other servers do is looked at, in case that what they tell is lost."""
_STOP_SECONDS = 20.0


class Engine:
    """Runs the jobs of one node. `kinds` may be filled until `start`."""

    def __init__(
        self,
        archive: Archive,
        kinds: Mapping[str, JobKind],
        options: EngineOptions | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
        shared_outputs: SharedOutputs | None = None,
    ) -> None:
        self.options = options or EngineOptions()
        self._archive = archive
        self._ledger = Ledger(archive, self.options, clock_ns)
        self._floor, self._shelf = Floor(), Shelf(self.options.kept_outputs)
        self._node = Node(self.options, kinds, self._ledger, self._floor, self._shelf, shared_outputs)
        is_shared = self.options.is_shared
        self._patience = min(_POLL_SECONDS, self.options.lease_seconds / 6) if is_shared else None
        self._threads: list[threading.Thread] = []

    def start(self, *, is_reloading: bool = True) -> None:
        """Take up the jobs of the last run, or with `is_reloading` false forget them, and begin to work."""
        self._ledger.open(is_reloading=is_reloading and self.options.is_saved)
        if self.options.is_shared:
            self._archive.database.subscribe(self._hear)
        for number in range(self.options.threads):
            self._spawn(work, f"JOBS-{number}")
        self._spawn(keep, "JOBS-KEEPER")

    def interrupt(self) -> None:
        """Take no more jobs, ask those that run to stop at their next yield, and let nobody wait any longer."""
        self._floor.interrupt(has_streams=False)

    def stop(self) -> None:
        """As `interrupt`; jobs that are saved go on at the next start."""
        self._floor.interrupt(has_streams=True)
        deadline = time.monotonic() + _STOP_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        if self._threads:
            self._threads.clear()
            self._floor.clear()
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
        self._floor.notify()
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
        Exception
            Why it cannot be written down how it ended.
        """
        while True:
            generation = self._floor.generation
            known = self._floor.recall(job_id) if self.options.history else None
            try:
                row = known or self.get(job_id)
            except NotFound:
                if not self.options.history or not self._floor.is_about_to_end(job_id, generation):
                    raise
                continue
            if is_finished(row):
                return row
            owed = self._floor.owed(job_id)
            if owed is not None:
                raise owed.error
            if row.state is JobState.PENDING and is_within_job() and take_now(self._node, row):
                continue
            if self._floor.is_stopping:
                raise Cancelled("The server is stopping")
            self._floor.sleep(generation, self._patience)

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
        """See `control.cancel`."""
        return control.cancel(self._node, job_id)

    def pause(self, job_id: str) -> bool:
        """See `control.pause`."""
        return control.pause(self._node, job_id)

    def resume(self, job_id: str) -> bool:
        """See `control.resume`."""
        return control.resume(self._node, job_id)

    def resubmit(self, job_id: str) -> bool:
        """See `control.resubmit`."""
        return control.resubmit(self._node, job_id)

    def delete(self, job_id: str) -> None:
        """Forget a finished job and its outputs.

        Raises
        ------
        NotFound
            If there is no finished job of this id.
        """
        elsewhere = self._elsewhere(job_id)
        if not self._ledger.delete_finished(job_id):
            raise NotFound(f"No job found with this id: {job_id}")
        self._floor.forget(job_id)
        self._shelf.forget([job_id])
        for each in elsewhere:
            each.path.unlink(missing_ok=True)

    def output(self, job_id: str, name: str) -> OutputFile:
        """A file that a job made, here or on a server that shares the storage.

        Raises
        ------
        NotFound
            If there is none.
        """
        try:
            return self._shelf.get(job_id, name).located()
        except NotFound:
            found = self._find_elsewhere(job_id, name)
            if found is None:
                raise
            return found

    def delete_output(self, job_id: str, name: str) -> None:
        """Delete a file that a job made. Errors as of `output`."""
        found = self._find_elsewhere(job_id, name)
        if found is None:
            self._shelf.delete(job_id, name)
        else:
            found.path.unlink(missing_ok=True)

    def _find_elsewhere(self, job_id: str, name: str) -> OutputFile | None:
        row = self._ledger.find(job_id) if self._node.shared_outputs is not None else None
        return (
            None
            if row is None or self._node.shared_outputs is None
            else self._node.shared_outputs.find(row, name)
        )

    def _elsewhere(self, job_id: str) -> Sequence[OutputFile]:
        row = self._ledger.find(job_id) if self._node.shared_outputs is not None else None
        return (
            () if row is None or self._node.shared_outputs is None else [*self._node.shared_outputs.all(row)]
        )

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
        """A job whose result is read while it is made; see `streams.drive`."""
        row = replace(
            self._new_row(kind_name, parameters, user_data, description),
            priority=priority,
            state=JobState.RUNNING,
            node=self._ledger.node,
            lease_ns=self._ledger.lease_ns(),
            is_saved=False,
        )
        return drive(self._node, new_active(row, self._node.kinds[kind_name]), pieces)

    def _new_row(
        self, kind_name: str, parameters: dict[str, object], user_data: object, description: str
    ) -> JobRow:
        kind = self._node.kinds.get(kind_name)
        if kind is None:
            raise BadRequest(f"There are no jobs of the kind {kind_name}")
        return replace(
            self._ledger.new_row(kind_name, parameters, is_saved=kind.is_saved),
            user_data=None if user_data is None else orjson.dumps(user_data).decode(),
            description=description,
            content=orjson.dumps({"Description": description}).decode(),
        )

    def _spawn(self, target: Callable[[Node, float | None], None], name: str) -> None:
        thread = threading.Thread(target=target, args=(self._node, self._patience), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _hear(self, topic: str) -> None:
        """Another server told of something: wake up, if it may concern us."""
        if topic in (TOPIC, ""):
            self._floor.notify()

    def _live(self, row: JobRow) -> JobRow:
        """A row with what only the job that runs here knows."""
        active = self._floor.active(row.id)
        if active is None or row.state is not JobState.RUNNING:
            return row
        return replace(row, runtime_ns=active.runtime_ns(), progress_ppm=active.progress_ppm())
