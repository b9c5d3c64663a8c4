"""What a job is made of: its kind, and the record that its generator works on."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.errors import PeerFailure
from hounsfield.store.spool import SpoolFile


class TryAgain(PeerFailure):
    """A job cannot go on for now, and should be run again from its saved state in some seconds."""

    def __init__(self, message: str = "", seconds: float = 10.0) -> None:
        super().__init__(message)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class OutputFile:
    """Where a file is that a job made, of `size` bytes, and what it is to be called."""

    path: Path
    size: int
    mime_type: str
    filename: str


@dataclass(frozen=True, slots=True)
class JobOutput:
    """A file that a job made. It lives as long as the job is remembered, and the server that ran it."""

    file: SpoolFile
    mime_type: str
    filename: str

    def located(self) -> OutputFile:
        """Where it is."""
        return OutputFile(self.file.path, self.file.size, self.mime_type, self.filename)


@dataclass(slots=True)
class JobRun:
    """A job that runs.

    `parameters` are those of the submission, and never change. `state` is the job's own memory: a JSON object, saved
    at the yields, at most about once a second; after a crash the job is run again with what was saved last, so a step
    that was done after that is done again. `progress` goes from 0 to 1. `content` is what the job tells the world,
    unless its kind has a function for that. `error_payload` is told beside the error if the job fails. With
    `is_save_wanted` the state is saved at the next yield however short ago that was done; the job sets it before what
    must not be done twice. `is_cancelled` says when the generator is closed that it will not be run again.
    """

    id: str
    parameters: dict[str, object]
    state: dict[str, object] = field(default_factory=dict)
    is_permissive: bool = False
    progress: float = 0.0
    content: dict[str, object] = field(default_factory=dict)
    outputs: dict[str, JobOutput] = field(default_factory=dict)
    error_payload: object = None
    is_save_wanted: bool = False
    is_cancelled: bool = False

    def release(self) -> None:
        """Delete the outputs."""
        for output in self.outputs.values():
            output.file.close()
        self.outputs.clear()


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job, under the name that clients know.

    `run` is a generator that yields wherever the job may be paused, cancelled or saved; closing it must leave
    everything as it is after a yield, and running it again with the saved state must go on from there. It fails by
    raising an `ArchiveError`. `content` makes the public content; it is called between two steps, not during one.
    A kind that is not `is_saved` vanishes with the server. One that is not `is_resubmittable` is run only once.
    """

    name: str
    run: Callable[[JobRun], Iterator[None]]
    content: Callable[[JobRun], dict[str, object]] | None = None
    is_saved: bool = True
    is_resubmittable: bool = True
