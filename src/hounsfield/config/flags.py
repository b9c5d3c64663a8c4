"""What the command line asks for, besides the configuration."""

from dataclasses import dataclass, field
from pathlib import Path

from hounsfield.logs import LogOptions


@dataclass(frozen=True, slots=True)
class Flags:
    """Flags of one start. `unsupported` holds what was not understood; it is logged, and the server starts."""

    logs: LogOptions = field(default_factory=LogOptions)
    is_upgrade_allowed: bool = False
    is_job_restart_wanted: bool = True
    unsupported: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """Start the server."""

    paths: tuple[Path, ...]
    flags: Flags


@dataclass(frozen=True, slots=True)
class Upkeep:
    """Look after the archive: `what` is `verify` or `rebuild`."""

    what: str
    paths: tuple[Path, ...] = ()
    is_json: bool = False
    is_quick: bool = False
    grace_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Show:
    """Print something and leave. `target` is the file to write, None for the standard output."""

    what: str
    target: Path | None = None
