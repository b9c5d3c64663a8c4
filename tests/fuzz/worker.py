"""A process that tries inputs and tells its parent what it saw.

What an input may do to the process itself (a crash, a native loop without end) the parent finds out: the input
being tried lies in memory that both share.
"""

import faulthandler
import gc
import heapq
import logging
import mmap
import os
import re
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from tests.fuzz.gather import Target
from tests.fuzz.mutation import Mutator

import hounsfield
from hounsfield.errors import ArchiveError

_SOURCES = str(Path(hounsfield.__file__).parent)
_TICK_SECONDS = 0.1
_TRACING_FACTOR = 10
_SLOWEST_KEPT = 3
_GROWTH_BYTES = 250 << 20
_PLACE = struct.Struct("<qQQ")
_STATE_SIZE = _PLACE.size + (1 << 20)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one input may take: processor seconds, and resident bytes of the whole process."""

    seconds: float
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Inputs `first` to `first + count` of a target. An exploring batch lets the corpus grow."""

    target: str
    first: int
    count: int
    is_exploring: bool = False


@dataclass(slots=True)
class Failure:
    """An input that did what none may do."""

    target: str
    number: int
    kind: str
    detail: str
    data: bytes


@dataclass(slots=True)
class Outcome:
    """What a batch saw; times in processor nanoseconds, memory in bytes.

    `peak_bytes` is of the whole process; `added_bytes` is how far above its beginning the batch went, and
    `kept_bytes` what was still taken at its end.
    """

    batch: Batch
    done: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    processor_ns: int = 0
    slowest: list[tuple[int, int, int]] = field(default_factory=list)
    peak_bytes: int = 0
    added_bytes: int = 0
    kept_bytes: int = 0
    found: list[bytes] = field(default_factory=list)
    is_last: bool = False


class State:
    """The input being tried, in memory that outlives the process."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _STATE_SIZE)
        self.clear()

    def clear(self) -> None:
        _PLACE.pack_into(self._memory, 0, -1, 0, 0)

    def put(self, number: int, serial: int, data: bytes) -> None:
        _PLACE.pack_into(self._memory, 0, number, serial, len(data))
        self._memory[_PLACE.size : _PLACE.size + len(data)] = data

    def get(self) -> tuple[int, int, bytes]:
        """Number (-1 for none), how many were tried before it, and the input."""
        number, serial, size = _PLACE.unpack_from(self._memory)
        return number, serial, self._memory[_PLACE.size : _PLACE.size + size]


class _Hang(BaseException):
    """An input took too long."""


class _Strict(logging.Handler):
    """Formats every record, and remembers unexpected exceptions that a rim caught."""

    def __init__(self) -> None:
        super().__init__()
        self.caught: list[BaseException] = []

    def handle(self, record: logging.LogRecord) -> bool:
        record.getMessage()
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, ArchiveError) and record.levelno >= logging.ERROR:
            self.caught.append(error)
        return True


class Coverage:
    """The lines of the project that ran; whether there were new ones tells which inputs are worth keeping."""

    def __init__(self) -> None:
        self._seen: set[tuple[CodeType, int]] = set()
        self._count = 0

    def start(self) -> None:
        sys.settrace(self._enter)

    def stop(self) -> bool:
        """Whether this input ran a new line."""
        sys.settrace(None)
        is_new = len(self._seen) > self._count
        self._count = len(self._seen)
        return is_new

    def _enter(self, frame: FrameType, event: str, argument: Any) -> Any:
        return self._line if frame.f_code.co_filename.startswith(_SOURCES) else None

    def _line(self, frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            self._seen.add((frame.f_code, frame.f_lineno))
        return self._line


class Trial:
    """Tries inputs one by one, in this process."""

    def __init__(self, limits: Limits, state: State) -> None:
        self._limits, self._state = limits, state
        self._serial = 0
        self._deadline_ns: int | None = None
        self._log = _Strict()
        self._handlers = logging.getLogger().handlers
        logging.getLogger().handlers = [self._log]
        self._handler = signal.signal(signal.SIGPROF, self._tick)
        signal.setitimer(signal.ITIMER_PROF, _TICK_SECONDS, _TICK_SECONDS)

    def close(self) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, self._handler)
        logging.getLogger().handlers = self._handlers

    def run(self, target: Target, number: int, data: bytes, coverage: Coverage | None = None) -> "Result":
        """Give an input to a target."""
        self._serial += 1
        self._state.put(number, self._serial, data)
        limit = int(self._limits.seconds * 1e9) * (_TRACING_FACTOR if coverage else 1)
        error: BaseException | None = None
        # Of the thread: the clock of the process only moves with its ticks while a timer is set.
        begin = time.thread_time_ns()
        try:
            self._deadline_ns = begin + limit
            if coverage:
                coverage.start()
            target.parse(data)
        except KeyboardInterrupt:
            raise
        except BaseException as caught:  # noqa: BLE001 - whatever comes out is what is looked for
            error = caught
        finally:
            self._deadline_ns = None
            is_new = coverage.stop() if coverage else False
        elapsed = time.thread_time_ns() - begin
        self._state.clear()
        if self._log.caught:
            error = self._log.caught.pop()
            self._log.caught.clear()
        return Result(error, elapsed, is_new, elapsed > limit)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        if self._deadline_ns is not None and time.thread_time_ns() > self._deadline_ns:
            self._deadline_ns = None
            raise _Hang


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an input."""

    error: BaseException | None
    elapsed_ns: int
    is_new: bool
    is_late: bool

    @property
    def failure(self) -> str | None:
        """The kind of failure, if it is one."""
        if self.is_late or isinstance(self.error, _Hang):
            return "hang"
        if self.error is None or isinstance(self.error, ArchiveError):
            return None
        return type(self.error).__name__

    @property
    def detail(self) -> str:
        return (
            "".join(traceback.format_exception(self.error))
            if self.error
            else f"{self.elapsed_ns / 1e9:.2f} s"
        )


def work(
    connection: Connection,
    state: State,
    targets: Mapping[str, Target],
    corpora: Mapping[str, list[bytes]],
    limits: Limits,
    seed: int,
    folder: Path,
) -> None:
    """Run batches until told to stop with None, or until this process has grown too large.

    Parsers remember things, and then run fewer lines: exploring needs a fresh process to find the same again.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warnings.simplefilter("error")
    tempfile.tempdir = str(folder)
    with (folder / f"{os.getpid()}.trace").open("w") as trace:
        faulthandler.enable(trace)
        faulthandler.register(signal.SIGUSR1, trace)
        _limit_memory(limits)
        trial = Trial(limits, state)
        gc.collect()
        gc.freeze()
        start = _resident()[0]
        while (batch := connection.recv()) is not None:
            outcome = _run(batch, targets[batch.target], corpora, trial, limits, seed, connection)
            outcome.is_last = batch.is_exploring or _resident()[0] - start > _GROWTH_BYTES
            connection.send(outcome)
            if outcome.is_last:
                break
        trial.close()
        faulthandler.disable()


def _run(
    batch: Batch,
    target: Target,
    corpora: Mapping[str, list[bytes]],
    trial: Trial,
    limits: Limits,
    seed: int,
    connection: Connection,
) -> Outcome:
    mutator = Mutator(target, seed)
    mutator.corpus = [*mutator.corpus, *corpora.get(target.name, ())]
    outcome = Outcome(batch)
    coverage = cover_seeds(target, trial) if batch.is_exploring else None
    reset_peak()
    before = _resident()[0]
    for number in range(batch.first, batch.first + batch.count):
        data = mutator.make(number)
        result = trial.run(target, number, data, coverage)
        if kind := result.failure:
            connection.send(Failure(target.name, number, kind, result.detail, data))
        elif result.is_new:
            mutator.corpus.append(data)
            outcome.found.append(data)
        outcome.done += 1
        outcome.outcomes[type(result.error).__name__ if result.error else "returned"] += 1
        outcome.processor_ns += result.elapsed_ns
        if not batch.is_exploring:
            _keep_slowest(outcome.slowest, (result.elapsed_ns, number, len(data)))
    after, outcome.peak_bytes = _resident()
    if not batch.is_exploring:
        outcome.added_bytes, outcome.kept_bytes = outcome.peak_bytes - before, after - before
    if outcome.peak_bytes > 2 * limits.memory_bytes:
        _find_greedy(batch, target, mutator, trial, limits, connection)
    return outcome


def cover_seeds(target: Target, trial: Trial) -> Coverage:
    """What the seeds already reach."""
    coverage = Coverage()
    for data in target.seeds:
        trial.run(target, -1, data, coverage)
    return coverage


def _keep_slowest(slowest: list[tuple[int, int, int]], entry: tuple[int, int, int]) -> None:
    if len(slowest) < _SLOWEST_KEPT:
        heapq.heappush(slowest, entry)
    elif entry > slowest[0]:
        heapq.heapreplace(slowest, entry)


def _find_greedy(
    batch: Batch, target: Target, mutator: Mutator, trial: Trial, limits: Limits, connection: Connection
) -> None:
    """Which inputs of a batch took too much memory: each again, alone."""
    found = False
    for number in range(batch.first, batch.first + batch.count):
        data = mutator.make(number)
        reset_peak()
        trial.run(target, number, data)
        peak = _resident()[1]
        if peak > 2 * limits.memory_bytes:
            found = True
            connection.send(Failure(target.name, number, "memory", f"{peak >> 20} MiB resident", data))
    if not found:
        detail = f"batch {batch.first}+{batch.count}: no input alone repeats the peak"
        connection.send(Failure(target.name, batch.first, "memory", detail, b""))


def _limit_memory(limits: Limits) -> None:
    """Address space beyond what is in use now; an allocation above it fails."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + 2 * limits.memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def reset_peak() -> None:
    """Begin a new high-water mark of resident memory."""
    Path("/proc/self/clear_refs").write_text("5")


def _resident() -> tuple[int, int]:
    """Resident bytes now, and at most since `reset_peak`."""
    status = Path("/proc/self/status").read_text()
    now, peak = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("VmRSS", "VmHWM"))
    assert now is not None
    assert peak is not None
    return int(now[1]) << 10, int(peak[1]) << 10
