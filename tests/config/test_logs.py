import logging
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hounsfield import logs
from hounsfield.errors import BadRequest
from hounsfield.logs import LineFormatter, LogOptions, LogWriter, Verbosity


@pytest.fixture(autouse=True)
def _levels_as_before() -> Iterator[None]:
    names = ["", "hounsfield", "pydicom", "py.warnings", "pynetdicom"]
    names += [f"hounsfield.{category}" for category in logs.CATEGORIES]
    before = {name: logging.getLogger(name).level for name in names}
    yield
    for name, level in before.items():
        logging.getLogger(name).setLevel(level)


def _logged(folder: Path, *lines: tuple[str, int, str], options: LogOptions | None = None) -> str:
    file = folder / "log"
    writer = logs.start(options or LogOptions(file=file))
    for category, level, message in lines:
        logging.getLogger(category).log(level, "%s", message)
    logs.stop(writer)
    return file.read_text()


def test_a_line_looks_like_orthancs(tmp_path: Path) -> None:
    text = _logged(tmp_path, ("hounsfield.http", logging.WARNING, "hello"))
    assert re.fullmatch(r"W\d{4} \d\d:\d\d:\d\d\.\d{6} +MAIN test_logs\.py:\d+\] \(http\) hello\n", text)


def test_a_message_cannot_forge_a_line(tmp_path: Path) -> None:
    text = _logged(tmp_path, ("hounsfield.dicom", logging.ERROR, "a\nE1120 fake\r\x1b[2J\u2028\x85b\x00"))
    assert len(text.splitlines()) == 1
    assert r"(dicom) a\nE1120 fake\r\x1b[2J\x2028\x85b\x00" in text


def test_a_traceback_cannot_forge_a_line(tmp_path: Path) -> None:
    writer = logs.start(LogOptions(file=tmp_path / "log"))
    try:
        raise ValueError("one\nE1120 forged")
    except ValueError:
        logging.getLogger("hounsfield.http").exception("it broke")
    logs.stop(writer)
    first, *rest = (tmp_path / "log").read_text().splitlines()
    assert first.endswith("(http) it broke")
    assert rest
    assert all(line.startswith("    ") for line in rest)


def test_only_warnings_are_written_by_default(tmp_path: Path) -> None:
    text = _logged(
        tmp_path,
        ("hounsfield.http", logging.INFO, "no"),
        ("hounsfield.http", logging.WARNING, "yes"),
        ("hounsfield.store.filesystem", logging.WARNING, "generic too"),
    )
    assert "no" not in text
    assert "(generic) generic too" in text


def test_a_category_has_its_own_verbosity(tmp_path: Path) -> None:
    options = LogOptions(
        file=tmp_path / "log", verbosities=((None, Verbosity.VERBOSE), ("dicom", Verbosity.TRACE))
    )
    text = _logged(
        tmp_path,
        ("hounsfield.http", logging.DEBUG, "hidden"),
        ("hounsfield.http", logging.INFO, "shown"),
        ("hounsfield.dicom", logging.DEBUG, "traced"),
        options=options,
    )
    assert "hidden" not in text
    assert re.search(r"^I.*shown$", text, re.MULTILINE)
    assert re.search(r"^T.*traced$", text, re.MULTILINE)


def test_verbosity_changes_while_running() -> None:
    logs.set_verbosity(Verbosity.DEFAULT)
    logs.set_verbosity(Verbosity.TRACE, "http")
    assert logs.verbosity_of("http") is Verbosity.TRACE
    assert logs.verbosity_of("dicom") is Verbosity.DEFAULT
    logs.set_verbosity(Verbosity.VERBOSE)
    assert {logs.verbosity_of(category) for category in logs.CATEGORIES} == {Verbosity.VERBOSE}


def test_what_may_quote_a_data_set_is_for_debugging_only(tmp_path: Path) -> None:
    quoting = ("pydicom", logging.WARNING, "Invalid value DOE^JOHN")
    assert _logged(tmp_path, quoting) == ""
    options = LogOptions(file=tmp_path / "log", verbosities=((None, Verbosity.TRACE),))
    assert _logged(tmp_path, quoting, options=options).startswith("T")


def test_a_message_that_cannot_be_formatted_is_still_told() -> None:
    written = bytearray()
    writer = LogWriter(written.extend)
    writer.setFormatter(LineFormatter())
    writer.handle(
        logging.LogRecord("hounsfield.http", logging.WARNING, "a.py", 1, "%d", ("no number",), None)
    )
    writer.close()
    assert b"a.py:1 could not be formatted" in written


def test_lines_nobody_reads_are_dropped_and_counted() -> None:
    gate, written = threading.Event(), bytearray()

    def write(data: bytes) -> None:
        gate.wait(10)
        written.extend(data)

    writer = LogWriter(write, capacity=10)
    writer.setFormatter(LineFormatter())
    record = logging.LogRecord("hounsfield.http", logging.WARNING, "a.py", 1, "line", (), None)
    for _ in range(500):
        writer.handle(record)
    gate.set()
    writer.flush(10)
    writer.handle(record)
    writer.close()
    lines = written.decode().splitlines()
    lost = sum(int(found[1]) for line in lines if (found := re.search(r"\((\d+) log lines were lost", line)))
    assert lost + sum("(http) line" in line for line in lines) == 501
    assert lost > 400


def test_a_full_disk_stops_nobody() -> None:
    def write(data: bytes) -> None:
        raise OSError("disk full")

    writer = LogWriter(write)
    writer.handle(logging.LogRecord("hounsfield.http", logging.WARNING, "a.py", 1, "line", (), None))
    writer.close()


@pytest.mark.skipif(os.name == "nt", reason="pipes differ")
def test_a_standard_error_that_nobody_reads_does_not_stop_the_program() -> None:
    program = """
import logging
from hounsfield import logs
writer = logs.start(logs.LogOptions())
for number in range(15_000):
    logging.getLogger("hounsfield.http").warning("a line that fills the pipe %d", number)
print("done", flush=True)
logs.stop(writer)
print("stopped", flush=True)
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "done\n"
        assert child.stdout.readline() == "stopped\n"
        assert child.wait(timeout=30) == 0


def test_a_folder_gets_a_new_file_and_a_missing_one_is_refused(tmp_path: Path) -> None:
    logs.stop(logs.start(LogOptions(folder=tmp_path)))
    assert [path.name.startswith("Hounsfield.log.") for path in tmp_path.iterdir()] == [True]
    with pytest.raises(BadRequest, match="Cannot write the log file"):
        logs.start(LogOptions(folder=tmp_path / "missing"))
