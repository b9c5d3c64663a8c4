"""An engine on a real index, and kinds of jobs that do what a test tells them."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from tests.databases import Open

from hounsfield.archive import Archive
from hounsfield.errors import BadRequest
from hounsfield.events import Event, EventBus
from hounsfield.index.database import Database
from hounsfield.index.jobs import JobRow, JobState
from hounsfield.jobs.engine import Engine
from hounsfield.jobs.kinds import JobKind, JobOutput, JobRun, TryAgain
from hounsfield.jobs.ledger import EngineOptions
from hounsfield.store.memory import MemoryArea
from hounsfield.store.spool import FolderSpool

PATIENCE_SECONDS = 20.0


def until(condition: Callable[[], bool]) -> None:
    """Wait for something that is to happen soon."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        threading.Event().wait(0.002)


@dataclass(slots=True)
class Bench:
    """Engines on one index, and what their jobs did."""

    folder: Path
    archive: Archive
    spool: FolderSpool
    engines: list[Engine] = field(default_factory=list)
    kinds: dict[str, JobKind] = field(default_factory=dict)
    done: list[str] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)

    def neighbour(self, database: Database, options: EngineOptions) -> Engine:
        """An engine of another server on the same index."""
        engine = Engine(Archive(database, MemoryArea(), EventBus()), self.kinds, options)
        engine.start()
        self.engines.append(engine)
        return engine

    def start(self, options: EngineOptions | None = None, *, is_reloading: bool = True) -> Engine:
        engine = Engine(self.archive, self.kinds, options)
        engine.start(is_reloading=is_reloading)
        self.engines.append(engine)
        return engine

    def close(self) -> None:
        self.gate.set()
        for engine in self.engines:
            engine.stop()
        self.archive.database.close()

    def counting(self, run: JobRun) -> Iterator[None]:
        """Counts to `until`, one a step, from where it was."""
        goal = int(str(run.parameters["until"]))
        while int(str(run.state.get("at", 0))) < goal:
            at = int(str(run.state.get("at", 0))) + 1
            run.state["at"] = at
            run.progress = at / goal
            run.content["At"] = at
            self.done.append(f"{run.parameters.get('name', '')}{at}")
            yield

    def waiting(self, run: JobRun) -> Iterator[None]:
        """Yields until the gate opens."""
        self.done.append(str(run.parameters.get("name", "waiting")))
        self.reached.set()
        try:
            while not self.gate.wait(0.002):
                yield
        finally:
            self.done.append("closed")

    def failing(self, run: JobRun) -> Iterator[None]:
        """Fails at its second step, unless it is told not to."""
        run.content["Tried"] = True
        yield
        if not self.gate.is_set():
            run.error_payload = {"Type": "Test", "Content": [1]}
            raise BadRequest("it must not be")

    def crashing(self, run: JobRun) -> Iterator[None]:
        """Has a bug."""
        yield
        raise ZeroDivisionError

    def sticking(self, run: JobRun) -> Iterator[None]:
        """Saves one step; its first run then stands still until the gate opens, and fails."""
        at = int(str(run.state.get("at", 0)))
        self.done.append(str(at))
        run.state["at"] = at + 1
        run.is_save_wanted = True
        yield
        if at == 0:
            self.reached.set()
            self.gate.wait()
            raise BadRequest("it is too late")

    def unreachable(self, run: JobRun) -> Iterator[None]:
        """Has to be tried again until the gate is open."""
        self.done.append("tried")
        run.state["tries"] = int(str(run.state.get("tries", 0))) + 1
        yield
        if not self.gate.is_set():
            raise TryAgain("nobody answers", 0.01)

    def writing(self, run: JobRun) -> Iterator[None]:
        """Makes a file."""
        file = self.spool.create()
        file.write(str(run.parameters["text"]).encode())
        run.outputs["archive"] = JobOutput(file, "application/zip", "a.zip")
        yield


def open_bench(folder: Path, open_index: Open) -> Bench:
    spool = FolderSpool(folder / "spool")
    spool.folder.mkdir()
    archive = Archive(open_index(), MemoryArea(), EventBus())
    bench = Bench(folder, archive, spool)
    archive.events.subscribe(bench.events.append)
    for name, run in {
        "Count": bench.counting,
        "Wait": bench.waiting,
        "Fail": bench.failing,
        "Crash": bench.crashing,
        "Retry": bench.unreachable,
        "Stick": bench.sticking,
    }.items():
        bench.kinds[name] = JobKind(name, run)
    bench.kinds["Write"] = JobKind("Write", bench.writing, is_saved=False, is_resubmittable=False)
    bench.kinds["Fleeting"] = JobKind("Fleeting", bench.waiting, is_saved=False)
    return bench


ONE = EngineOptions(concurrent=1)


def state(engine: Engine, job_id: str) -> JobState:
    return engine.get(job_id).state


def is_in(engine: Engine, job_id: str, *states: JobState) -> Callable[[], bool]:
    return lambda: state(engine, job_id) in states


def ended(engine: Engine, job_ids: Sequence[str]) -> list[JobRow]:
    return [engine.wait(job_id) for job_id in job_ids]


def shared(seconds: float = 0.3) -> EngineOptions:
    return replace(ONE, is_shared=True, lease_seconds=seconds)
