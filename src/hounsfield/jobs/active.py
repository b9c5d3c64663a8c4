"""Jobs that run right now on this node."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

import orjson

from hounsfield.index.jobs import JobRow
from hounsfield.jobs.kinds import JobKind, JobRun

_SAVE_SECONDS = 1.0
_SAVE_SHARE = 20
"""A save may take one part in so many of the time of a job."""


class Wish(Enum):
    """What is wanted of a job that runs."""

    PAUSE = "pause"
    CANCEL = "cancel"
    LEAVE = "leave"
    """The server stops: go on elsewhere, or at the next start."""


@dataclass(slots=True)
class Active:
    """A job that runs. `row` is how it was when it started, and `wish` is obeyed at the next yield.

    One that `is_lost` was taken over by another run: how it stops is not to be told.
    """

    row: JobRow
    run: JobRun
    kind: JobKind
    wish: Wish | None = None
    started: float = 0.0
    saved: float = 0.0
    save_interval: float = _SAVE_SECONDS
    is_stream: bool = False
    is_lost: bool = False

    def begin(self) -> None:
        """Start measuring."""
        self.started = self.saved = time.monotonic()

    def runtime_ns(self) -> int:
        """How long the job has run, in all its runs."""
        return self.row.runtime_ns + int((time.monotonic() - self.started) * 1e9)

    def progress_ppm(self) -> int:
        """How far the job is, in millionths."""
        return int(min(max(self.run.progress, 0.0), 1.0) * 1_000_000)

    def snapshot(self) -> JobRow:
        """The row as the job is now; to be asked between two steps."""
        content = self.kind.content(self.run) if self.kind.content is not None else self.run.content
        return replace(
            self.row,
            runtime_ns=self.runtime_ns(),
            progress_ppm=self.progress_ppm(),
            state_json=orjson.dumps(self.run.state).decode(),
            content=orjson.dumps({"Description": self.row.description, **content}).decode(),
        )

    def is_save_due(self) -> bool:
        """Whether it is time to save how far the job is."""
        return self.run.is_save_wanted or time.monotonic() - self.saved >= self.save_interval

    def save(self, write: Callable[[JobRow], bool]) -> bool:
        """Write how far the job is, and the more rarely the longer that takes; False if the job is ours no more."""
        began = time.monotonic()
        self.run.is_save_wanted = False
        is_ours = write(self.snapshot())
        self.saved = time.monotonic()
        self.save_interval = max(_SAVE_SECONDS, _SAVE_SHARE * (self.saved - began))
        return is_ours


def new_active(row: JobRow, kind: JobKind) -> Active:
    """A job that is to run from where it was saved."""
    run = JobRun(
        row.id,
        orjson.loads(row.parameters),
        orjson.loads(row.state_json),
        row.is_permissive,
        row.progress_ppm / 1_000_000,
        orjson.loads(row.content),
    )
    return Active(row, run, kind)


Steps = Iterator[None]


def close(steps: Iterator[object]) -> None:
    """End a generator where it is, so that it releases what it holds."""
    end = getattr(steps, "close", None)
    if end is not None:
        end()
