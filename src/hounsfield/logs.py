"""Log lines, one an event: `W1120 10:15:02.123456 MAIN app.py:12] (http) message`, as Orthanc writes them.

Every module logs to a standard logger named `hounsfield.<category>`. Lines are written by one thread from a bounded
queue: when nobody reads the standard error, lines are dropped and counted, and no request waits.
"""

import logging
import os
import re
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Final

from hounsfield.errors import BadRequest

CATEGORIES: Final = ("generic", "plugins", "http", "sqlite", "dicom", "jobs", "lua")
_ROOT: Final = "hounsfield"
# What these say may quote values of data sets, so they speak at the level of debugging only.
_INDISCREET: Final = ("py.warnings", "pydicom", "pynetdicom")
_LETTERS: Final = {"CRITICAL": "E", "ERROR": "E", "WARNING": "W", "INFO": "I", "DEBUG": "T"}
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAMED: Final = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_MAXIMUM_LENGTH: Final = 8192


class Verbosity(Enum):
    """How much a category says; the values are those of the REST API."""

    DEFAULT = "default"
    VERBOSE = "verbose"
    TRACE = "trace"


_LEVELS: Final = {
    Verbosity.DEFAULT: logging.WARNING,
    Verbosity.VERBOSE: logging.INFO,
    Verbosity.TRACE: logging.DEBUG,
}


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where lines go (the standard error if nowhere else), and how much is said.

    `verbosities` are applied in order; None stands for every category.
    """

    verbosities: tuple[tuple[str | None, Verbosity], ...] = ()
    folder: Path | None = None
    file: Path | None = None
    shows_thread: bool = True
    shows_place: bool = True


def set_verbosity(verbosity: Verbosity, category: str | None = None) -> None:
    """Change how much a category says, or all of them, from now on."""
    for name in CATEGORIES if category is None else (category,):
        logging.getLogger(f"{_ROOT}.{name}").setLevel(_LEVELS[verbosity])
    if category in (None, "generic"):
        logging.getLogger(_ROOT).setLevel(_LEVELS[verbosity])
        foreign = logging.DEBUG if verbosity is Verbosity.TRACE else logging.CRITICAL + 1
        for name in _INDISCREET:
            logging.getLogger(name).setLevel(foreign)


def verbosity_of(category: str = "generic") -> Verbosity:
    """How much a category says."""
    level = logging.getLogger(f"{_ROOT}.{category}").getEffectiveLevel()
    return next((verbosity for verbosity, known in _LEVELS.items() if level >= known), Verbosity.TRACE)


class LineFormatter(logging.Formatter):
    """Makes one line of a record. Whatever a message quotes, it cannot forge another line."""

    def __init__(self, *, shows_thread: bool = True, shows_place: bool = True) -> None:
        super().__init__()
        self._shows_thread, self._shows_place = shows_thread, shows_place

    def format(self, record: logging.LogRecord) -> str:
        """The line; a traceback follows on lines of its own, set off by blanks."""
        line = f"{self._prefix(record)} ({_category(record.name)}) {_escape(record.getMessage())}"
        if record.exc_info and record.exc_info[0] is not None:
            trace = self.formatException(record.exc_info)
            line = "\n    ".join((line, *map(_escape, trace.split("\n"))))
        return line

    def _prefix(self, record: logging.LogRecord) -> str:
        letter = "T" if record.name.startswith(_INDISCREET) else _LETTERS.get(record.levelname, "I")
        seconds = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        parts = [f"{letter}{seconds}.{int(record.created % 1 * 1e6):06d}"]
        if self._shows_thread:
            thread = "MAIN" if record.threadName == "MainThread" else str(record.threadName)
            parts.append(f"{_escape(thread):>16}")
        if self._shows_place:
            parts.append(f"{record.filename}:{record.lineno}")
        return " ".join(parts) + "]"


def _category(logger: str) -> str:
    parts = logger.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == _ROOT and parts[1] in CATEGORIES else "generic"


def _escape(text: str) -> str:
    if len(text) > _MAXIMUM_LENGTH:
        text = f"{text[:_MAXIMUM_LENGTH]}... ({len(text)} characters)"
    return _CONTROL.sub(lambda found: _NAMED.get(found.group(), f"\\x{ord(found.group()):02x}"), text)


class LogWriter(logging.Handler):
    """Writes lines on a thread of its own; `write` may block as long as it likes."""

    def __init__(self, write: Callable[[bytes], None], *, capacity: int = 10_000) -> None:
        super().__init__()
        self._write, self._capacity = write, capacity
        self._lines: deque[str] = deque()
        self._changed = threading.Condition()
        self._dropped, self._is_closing, self._is_writing = 0, False, False
        self._thread = threading.Thread(target=self._run, name="LOGS", daemon=True)
        self._thread.start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue the line of a record, or drop it if too many wait."""
        try:
            line = self.format(record)
        except (TypeError, ValueError, KeyError):
            line = f"A log message of {record.filename}:{record.lineno} could not be formatted"
        with self._changed:
            if len(self._lines) >= self._capacity:
                self._dropped += 1
                return
            self._lines.append(line)
            self._changed.notify_all()

    def flush(self, timeout_seconds: float = 1.0) -> None:
        """Wait until every line is written, but not for ever."""
        with self._changed:
            self._changed.wait_for(lambda: not self._lines and not self._is_writing, timeout_seconds)

    def close(self) -> None:
        """Write what waits, give up after a second, and stop."""
        self.flush()
        with self._changed:
            self._is_closing = True
            self._changed.notify_all()
        self._thread.join(timeout=0.2)
        super().close()

    def _run(self) -> None:
        while lines := self._take():
            data = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
            try:
                self._write(data)
            except OSError:
                with self._changed:
                    self._dropped += len(lines)
                time.sleep(0.1)  # A full disk is asked again, but not in a busy loop.
            with self._changed:
                self._is_writing = False
                self._changed.notify_all()

    def _take(self) -> list[str]:
        """Wait for lines; none when there will be no more."""
        with self._changed:
            self._changed.wait_for(lambda: self._lines or self._is_closing)
            lines = [self._lines.popleft() for _ in range(min(100, len(self._lines)))]
            if lines and self._dropped:
                lines.insert(0, f"W ({self._dropped} log lines were lost because nobody read them in time)")
                self._dropped = 0
            self._is_writing = bool(lines)
            return lines


def start(options: LogOptions) -> LogWriter:
    """Send all logs where the options say. Closing the writer writes the last lines.

    Raises
    ------
    BadRequest
        If the file cannot be written or the folder does not exist.
    """
    writer = LogWriter(_destination(options))
    writer.setFormatter(LineFormatter(shows_thread=options.shows_thread, shows_place=options.shows_place))
    logging.captureWarnings(True)
    root = logging.getLogger()
    root.setLevel(logging.WARNING)
    root.addHandler(writer)
    set_verbosity(Verbosity.DEFAULT)
    for category, verbosity in options.verbosities:
        set_verbosity(verbosity, category)
    return writer


def stop(writer: LogWriter) -> None:
    """Detach a writer and write its last lines."""
    logging.getLogger().removeHandler(writer)
    logging.captureWarnings(False)
    writer.close()


def _destination(options: LogOptions) -> Callable[[bytes], None]:
    file = options.file
    if options.folder is not None:
        file = options.folder / f"Hounsfield.log.{datetime.now().astimezone():%Y%m%d-%H%M%S}.{os.getpid()}"
    if file is None:
        return _standard_error()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    except OSError as cause:
        raise BadRequest(f"Cannot write the log file {file}: {cause.strerror}") from cause
    return lambda data: _write_all(descriptor, data)


def _standard_error() -> Callable[[bytes], None]:
    if sys.stderr is None:  # A service of Windows has none.
        return lambda _: None
    descriptor = sys.stderr.fileno()
    return lambda data: _write_all(descriptor, data)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[os.write(descriptor, rest) :]
        except BlockingIOError:
            time.sleep(0.02)
