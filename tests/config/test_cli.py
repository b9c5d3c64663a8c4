import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from hounsfield import cli
from hounsfield.cli import parse
from hounsfield.config.flags import Show, Start
from hounsfield.errors import BadRequest
from hounsfield.logs import Verbosity


def _start(*arguments: str) -> Start:
    command = parse(arguments)
    assert isinstance(command, Start)
    return command


@pytest.mark.parametrize("prefix", [(), ("serve",)])
def test_paths_and_flags_are_understood_with_and_without_serve(prefix: tuple[str, ...]) -> None:
    start = _start(*prefix, "--verbose", "a.json", "--no-jobs", "--upgrade", "d", "--trace-dicom")
    assert start.paths == (Path("a.json"), Path("d"))
    assert start.flags.is_upgrade_allowed
    assert not start.flags.is_job_restart_wanted
    assert start.flags.logs.verbosities == ((None, Verbosity.VERBOSE), ("dicom", Verbosity.TRACE))


def test_nothing_at_all_starts_the_server() -> None:
    assert _start().paths == ()


@pytest.mark.parametrize("arguments", [("--logfile=x", "c.json"), ("--logfile", "x", "c.json")])
def test_options_may_be_one_word_or_two(arguments: tuple[str, ...]) -> None:
    start = _start(*arguments)
    assert start.flags.logs.file == Path("x")
    assert start.paths == (Path("c.json"),)


def test_an_option_without_its_value_is_refused() -> None:
    for name in ("--config", "--logdir", "--logfile="):
        with pytest.raises(BadRequest, match="needs a file"):
            parse([name])


def test_unknown_options_are_kept_for_the_log() -> None:
    assert _start("--nope", "--verbose-nope").flags.unsupported == ("--nope", "--verbose-nope")


@pytest.mark.parametrize(
    ("arguments", "show"),
    [
        (["--help"], Show("help")),
        (["serve", "--help"], Show("help")),
        (["--version"], Show("version")),
        (["--errors"], Show("errors")),
        (["config"], Show("config")),
        (["config", "--markdown"], Show("markdown")),
        (["config", "--help"], Show("help")),
        (["--config=-"], Show("main-config")),
        (["--config", "f"], Show("main-config", Path("f"))),
        (["--advanced-config=-"], Show("advanced-config")),
    ],
)
def test_what_is_printed_is_understood(arguments: list[str], show: Show) -> None:
    assert parse(arguments) == show


def test_an_unknown_word_after_config_is_refused() -> None:
    with pytest.raises(BadRequest):
        parse(["config", "--nope"])


def _run(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hounsfield", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_version_is_printed(tmp_path: Path) -> None:
    done = _run("--version", cwd=tmp_path)
    assert done.returncode == 0
    assert "Apache-2.0" in done.stdout


def test_error_codes_are_printed_one_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--errors"]) == 0
    assert "    47   Incompatible configurations\n" in capsys.readouterr().out


def test_a_sample_is_written_to_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([f"--config={tmp_path / 'c.json'}"]) == 0
    assert '"HttpPort": 8042' in (tmp_path / "c.json").read_text()
    assert cli.main([f"--config={tmp_path / 'missing' / 'c.json'}"]) == 255
    assert "Cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"RemoteAccessAllowed": true}', "(code 47)"),
        (
            '{"HttpPort": "x"}',
            '[Bad parameter type] (code 5) The configuration option "HttpPort" must be an integer',
        ),
        ("{", "(code 28) The configuration file does not follow the JSON syntax"),
    ],
)
def test_a_refused_start_says_why_and_ends_with_255(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "c.json").write_text(text)
    done = _run("c.json", cwd=tmp_path)
    assert done.returncode == 255
    assert "Uncaught exception, stopping now: [" in done.stderr
    assert expected in done.stderr


def test_a_log_file_that_cannot_be_written_ends_with_255(tmp_path: Path) -> None:
    done = _run(f"--logdir={tmp_path / 'missing'}", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (255, "")
    assert "Cannot write the log file" in done.stderr


def test_a_port_in_use_says_so_with_orthancs_number(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        (tmp_path / "c.json").write_text(json.dumps({"HttpPort": port, "DicomServerEnabled": False}))
        done = _run("c.json", cwd=tmp_path)
    assert done.returncode == 255
    assert "(code 2003)" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_storage_folder_that_cannot_be_made_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "c.json").write_text(json.dumps({"StorageDirectory": "file/st", "DicomServerEnabled": False}))
    done = _run("c.json", cwd=tmp_path)
    assert done.returncode == 255
    assert "(code 14)" in done.stderr
    assert "Traceback" not in done.stderr
