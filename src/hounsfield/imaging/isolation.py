"""Decoding in processes of their own, so that a codec that crashes or never ends costs one frame and not the server.

The libraries that decode JPEG and its relatives are written in C and C++ and read what anybody may send. A server
switches isolation on; a program that uses this room as a library decodes in its own process unless it does the same.

A worker is asked through its standard input and answers through its standard output, in JSON of a few hundred bytes.
Frames go through a file in memory that both have open. The parent never maps that file: a worker that was taken over
could cut it short, and end whoever reads a mapping.
"""

import contextlib
import os
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson

from hounsfield import errors

LENGTH = struct.Struct("<I")
_MEMORY_FOLDER = Path("/dev/shm")
_LONGEST_ANSWER = 1 << 20
_ENDING_SECONDS = 2
_LEAST_MEMORY, _MOST_MEMORY = 1 << 30, 8 << 30
_RAISED = {"Corrupt": errors.Corrupt, "Unsupported": errors.Unsupported}
_MAIN = "import sys; sys.path[:] = {path!r}; from hounsfield.imaging.worker import main; main({arguments!r})"

Header = dict[str, object]
Data = bytes | memoryview


@dataclass(frozen=True, slots=True)
class IsolationOptions:
    """How many workers there may be, and what each may take."""

    workers: int = 0
    """0 for one a processor."""

    timeout_seconds: int = 60
    """For one frame."""

    memory_bytes: int = 0
    """Address space of a worker at most, where the system can limit it; on Linux each frame has a limit of its own
    below this, by its size. 0 for its share of half of the machine's memory, at least 1 GiB and at most 8."""


class WorkerFailure(errors.Corrupt):
    """A worker ended while it was at work: the frame it had is not to be trusted."""


class _Worker:
    """A process, and the file shared with it."""

    def __init__(self, options: IsolationOptions) -> None:
        folder = _MEMORY_FOLDER if os.access(_MEMORY_FOLDER, os.W_OK) else None
        descriptor, name = tempfile.mkstemp(prefix="hounsfield-", dir=folder)
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        self._name = Path(name)
        self._timeout = options.timeout_seconds
        shared: int | str = name
        if (
            os.name != "nt"
        ):  # It has pixels of patients: even a server that is killed must not leave it behind.
            self._name.unlink()
            shared = descriptor
        arguments = [shared, options.timeout_seconds, options.memory_bytes or _share(_workers(options))]
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _MAIN.format(path=sys.path, arguments=arguments)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the server alone
                pass_fds=() if os.name == "nt" else (descriptor,),
            )
        except OSError:
            self._release()
            raise
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._questions: IO[bytes] = self._process.stdin
        self._answers: IO[bytes] = self._process.stdout

    def ask(self, header: Header, data: Data) -> tuple[Header, list[bytes]]:
        """Do a piece of work; `WorkerFailure`, `TimedOut`, or what the worker raised."""
        started = time.monotonic()
        try:
            self._file.seek(0)
            self._file.write(data)
            send(self._questions, {**header, "size": len(data)})
            answer = receive(self._answers)
            parts = self._parts(answer) if answer is not None else []
        except (OSError, ValueError, TypeError, KeyError) as cause:
            self.kill()
            raise WorkerFailure("the decoder gave no sensible answer") from cause
        if answer is None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # It closed its pipe, so it is ending.
                self._process.wait(_ENDING_SECONDS)
            status = self.kill()
            if time.monotonic() - started >= self._timeout:
                raise errors.TimedOut(f"decoding took longer than {self._timeout} seconds")
            raise WorkerFailure(f"the decoder ended while it decoded ({_manner(status)})")
        error = answer.get("error")
        if isinstance(error, str):
            raise _RAISED.get(error, errors.Corrupt)(str(answer.get("message", ""))[:500])
        return answer, parts

    def _parts(self, answer: Header) -> list[bytes]:
        sizes = answer.get("parts", [])
        if not isinstance(sizes, list):
            raise TypeError("sizes")
        self._file.seek(0)
        found = []
        for size in sizes:
            if not isinstance(size, int) or not 0 <= size <= os.fstat(self._file.fileno()).st_size:
                raise ValueError("size")
            part = self._file.read(size)
            if len(part) != size:
                raise ValueError("size")
            found.append(part)
        return found

    @property
    def process_id(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def kill(self) -> int:
        """End the process, whatever it does; how it ended, which may have been before."""
        self._process.kill()
        status = self._process.wait()
        for pipe in (self._questions, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()
        self._release()
        return status

    def _release(self) -> None:
        self._file.close()
        self._name.unlink(missing_ok=True)


def _workers(options: IsolationOptions) -> int:
    return options.workers or os.cpu_count() or 1


def _share(workers: int) -> int:
    """What of the machine's memory one of the workers may take."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return _MOST_MEMORY
    return min(max(memory // 2 // workers, _LEAST_MEMORY), _MOST_MEMORY)


def _manner(status: int) -> str:
    """How a process ended, in words."""
    try:
        return signal.Signals(-status).name if status < 0 else f"exit {status}"
    except ValueError:  # of a real-time signal
        return f"signal {-status}"


class WorkerPool:
    """Workers, started when there is work for them."""

    def __init__(self, options: IsolationOptions) -> None:
        self._options = options
        self._free: list[_Worker] = []
        self._lock = threading.Lock()
        self._slots = threading.BoundedSemaphore(_workers(options))
        self._is_closed = False

    def ask(self, header: Header, data: Data) -> tuple[Header, list[bytes]]:
        """Let a worker do something.

        Raises
        ------
        Corrupt
            If the data are, or the worker ended.
        Unsupported
            As the worker found.
        TimedOut
            If it took too long.
        """
        with self._slots:
            idle = self._take_idle()
            if idle is not None:
                # It may have ended while it had nothing to do, which is no fault of this frame.
                with contextlib.suppress(WorkerFailure):
                    return self._use(idle, header, data)
            return self._use(self._start(), header, data)

    def _use(self, worker: _Worker, header: Header, data: Data) -> tuple[Header, list[bytes]]:
        try:
            return worker.ask(header, data)
        finally:
            self._put_back(worker)

    def _take_idle(self) -> _Worker | None:
        with self._lock:
            while self._free:
                worker = self._free.pop()
                if worker.is_alive:
                    return worker
                worker.kill()
        return None

    def _start(self) -> _Worker:
        try:
            return _Worker(self._options)
        except OSError as cause:
            raise errors.Unsupported("No process can be started to decode in") from cause

    def _put_back(self, worker: _Worker) -> None:
        with self._lock:
            if worker.is_alive and not self._is_closed:
                self._free.append(worker)
                return
        worker.kill()

    def process_ids(self) -> list[int]:
        """The workers that have nothing to do."""
        with self._lock:
            return [worker.process_id for worker in self._free]

    def close(self) -> None:
        """End all workers; those at work end when they are done."""
        with self._lock:
            self._is_closed = True
            free, self._free = self._free, []
        for worker in free:
            worker.kill()


class _Switch:
    """The pool in use by this process: the one state of this module, as any caller of `decode` has to be protected."""

    def __init__(self) -> None:
        self.pool: WorkerPool | None = None


_switch = _Switch()


def current() -> WorkerPool | None:
    """The pool in use; None where everything is decoded in this process."""
    return _switch.pool


@contextlib.contextmanager
def isolated(options: IsolationOptions) -> Iterator[WorkerPool]:
    """Decode in workers as long as the block."""
    pool = WorkerPool(options)
    before, _switch.pool = _switch.pool, pool
    try:
        yield pool
    finally:
        _switch.pool = before
        pool.close()


def send(pipe: IO[bytes], message: Header, parts: Sequence[int] = ()) -> None:
    """Write a message to a pipe; `parts` are the sizes of what lies in the shared file."""
    body = orjson.dumps({**message, "parts": list(parts)} if parts else message)
    pipe.write(LENGTH.pack(len(body)) + body)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Header | None:
    """Read a message; None at the end of the pipe. `ValueError` if it is none."""
    length = pipe.read(LENGTH.size)
    if len(length) < LENGTH.size:
        return None
    (size,) = LENGTH.unpack(length)
    if size > _LONGEST_ANSWER:
        raise ValueError("too long")
    body = pipe.read(size)
    if len(body) < size:
        return None
    message = orjson.loads(body)
    if not isinstance(message, dict):
        raise TypeError("not an object")
    return message
