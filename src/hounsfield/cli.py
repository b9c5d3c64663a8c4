"""The command `hounsfield`, which also understands the command line of Orthanc."""

import json
import logging
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from hounsfield import __version__, logs
from hounsfield.config import documents, error_codes
from hounsfield.config.configuration import Configuration, load
from hounsfield.config.flags import Flags, Show, Start, Upkeep
from hounsfield.config.refusal import ConfigurationRefused, Refusal
from hounsfield.config.sources import Origin
from hounsfield.errors import ArchiveError, BadRequest, DatabaseUnavailable, Unsupported
from hounsfield.logs import CATEGORIES, LogOptions, Verbosity

EXIT_FAILURE: Final = 255
_STOPPING: Final = "Uncaught exception, stopping now: %s"
_log = logging.getLogger("hounsfield.generic")

HELP: Final = """\
Hounsfield, a medical-imaging server: receives, stores, indexes and shows DICOM.

Usage:
  hounsfield serve [OPTION]... [CONFIGURATION]...   start the server
  hounsfield config [--markdown]                    print every option, with its default
  hounsfield echo|send|find|retrieve|worklist|dump|diff
                                                    tools that need no server; each tells more with --help
  hounsfield verify [--quick] [--json] [--grace=SECONDS] [CONFIGURATION]...
                                                    compare the index with the files, while the server runs or not
  hounsfield rebuild [--json] [CONFIGURATION]...    index the files that the index does not know, all if it is new
  hounsfield [OPTION]... [CONFIGURATION]...         the same as `serve`, as Orthanc is started

CONFIGURATION is a JSON file of Orthanc's format, or a folder of them. Without any, the server listens on
127.0.0.1 only (web on port 8042, DICOM on port 4242) and keeps everything in ./HounsfieldStorage.

Options:
  --help                  print this and leave
  --version               print the version and leave
  --config=FILE           write a commented configuration file and leave ("-" for the standard output)
  --advanced-config=FILE  the same for the less common options
  --openapi=FILE          write a description of the REST API, in OpenAPI 3.1, and leave
  --cheatsheet=FILE       write a table of the REST API and leave
  --errors                print the error codes and leave
  --upgrade               upgrade the index of an older version
  --no-jobs               do not take up the jobs of the last run
  --logdir=FOLDER         write the logs to a new file in this folder, not to the standard error
  --logfile=FILE          append the logs to this file
  --verbose, --trace      say more, say everything
  --verbose-CATEGORY, --trace-CATEGORY
                          the same for one category: generic, plugins, http, sqlite, dicom, jobs, lua
  --logs-no-thread        leave the name of the thread out of the logs
  --logs-no-context       leave the place in the code out of the logs

Options with a value are also understood as two words (--logfile FILE). Those about logs are applied in order.

`verify` reads every file, or with --quick only looks at names and sizes; files younger than 60 seconds may still get
their row. Both commands print JSON with --json.

Exit status: 0 after a normal stop, 255 if the server could not start. `verify` and `rebuild`: 0 if all is well, 1 if
something is damaged, 255 if they could not work.
"""

_TOOLS: Final = {"echo", "send", "find", "retrieve", "worklist", "dump", "diff"}
_WITH_VALUE: Final = {"--config", "--advanced-config", "--logdir", "--logfile", "--openapi", "--cheatsheet"}
_PRINTED: Final = {"--help": "help", "-h": "help", "--version": "version", "--errors": "errors"}
_EXPORTS: Final = {
    "--config": "main-config",
    "--advanced-config": "advanced-config",
    "--openapi": "openapi",
    "--cheatsheet": "cheatsheet",
}
_VERBOSITIES: Final = {"--verbose": Verbosity.VERBOSE, "--trace": Verbosity.TRACE}


@dataclass(slots=True)
class _Draft:
    """What was read so far."""

    paths: list[Path] = field(default_factory=list)
    flags: Flags = field(default_factory=Flags)
    unsupported: list[str] = field(default_factory=list)


def parse(arguments: Sequence[str]) -> Start | Show | Upkeep:
    """Understand a command line. The first option that prints something wins.

    Raises
    ------
    BadRequest
        If an option that needs a value has none.
    """
    command, rest = (arguments[0], arguments[1:]) if arguments else ("serve", ())
    if command == "config":
        return _parse_config(rest)
    if command in ("verify", "rebuild"):
        return _parse_upkeep(command, rest)
    draft = _Draft()
    for name, value in _pairs(rest if command == "serve" else arguments):
        if name in _PRINTED:
            return Show(_PRINTED[name])
        if name in _EXPORTS:
            return Show(_EXPORTS[name], None if value == "-" else Path(value))
        _read(draft, name, value)
    return Start(tuple(draft.paths), replace(draft.flags, unsupported=tuple(draft.unsupported)))


def _parse_config(arguments: Sequence[str]) -> Show:
    match list(arguments):
        case []:
            return Show("config")
        case ["--markdown"]:
            return Show("markdown")
        case ["--help" | "-h"]:
            return Show("help")
    raise BadRequest("usage: hounsfield config [--markdown]")


def _parse_upkeep(what: str, arguments: Sequence[str]) -> Upkeep | Show:
    command = Upkeep(what)
    for argument in arguments:
        if argument in ("--help", "-h"):
            return Show("help")
        if argument == "--json":
            command = replace(command, is_json=True)
        elif argument == "--quick" and what == "verify":
            command = replace(command, is_quick=True)
        elif argument.startswith("--grace=") and what == "verify" and argument[8:].isdecimal():
            command = replace(command, grace_seconds=float(argument[8:]))
        elif argument.startswith("-"):
            raise BadRequest(f"`hounsfield {what}` has no option {argument}")
        else:
            command = replace(command, paths=(*command.paths, Path(argument)))
    return command


def _pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Options with their values; a path is its own name."""
    rest = iter(arguments)
    for argument in rest:
        name, equals, value = argument.partition("=")
        if name not in _WITH_VALUE:
            yield argument, ""
            continue
        if not equals:
            value = next(rest, "")
        if not value:
            raise BadRequest(f"The option {name} needs a file or a folder, as in {name}=PATH")
        yield name, value


def _read(draft: _Draft, name: str, value: str) -> None:
    flags = draft.flags
    if not name.startswith("-"):
        draft.paths.append(Path(name))
    elif name == "--upgrade":
        draft.flags = replace(flags, is_upgrade_allowed=True)
    elif name == "--no-jobs":
        draft.flags = replace(flags, is_job_restart_wanted=False)
    elif (read := _read_logs(flags.logs, name, value)) is not None:
        draft.flags = replace(flags, logs=read)
    else:
        draft.unsupported.append(name)


def _read_logs(options: LogOptions, name: str, value: str) -> LogOptions | None:
    """The log options after one more flag; None if it is not about logs."""
    match name:
        case "--logdir":
            return replace(options, folder=Path(value))
        case "--logfile":
            return replace(options, file=Path(value))
        case "--logs-no-thread":
            return replace(options, shows_thread=False)
        case "--logs-no-context":
            return replace(options, shows_place=False)
        case "--logs-thread-names-in-context":
            return options  # The thread already stands in front of the place.
    for prefix, verbosity in _VERBOSITIES.items():
        category = name.removeprefix(f"{prefix}-")
        if name == prefix or (name != category and category in CATEGORIES):
            chosen = None if name == prefix else category
            return replace(options, verbosities=(*options.verbosities, (chosen, verbosity)))
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is returned."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if given and given[0] in _TOOLS:
            from hounsfield.commands.table import run as run_tool  # What a server does not need.

            return run_tool(given[0], given[1:])
        command = parse(given)
        if isinstance(command, Show):
            return _show(command)
        return _keep(command) if isinstance(command, Upkeep) else _start(command)
    except ArchiveError as error:
        sys.stderr.write(f"hounsfield: {error}\n")
        return EXIT_FAILURE


def _show(command: Show) -> int:
    text = _text(command.what)
    if command.target is None:
        sys.stdout.write(text)
        return 0
    try:
        command.target.write_text(text, encoding="utf-8")
    except OSError as cause:
        raise BadRequest(f"Cannot write {command.target}: {cause.strerror}") from cause
    return 0


def _text(what: str) -> str:
    match what:
        case "help":
            return HELP
        case "version":
            return f"{sys.argv[0]} {__version__}\nCopyright (C) the Hounsfield maintainers\nLicence: Apache-2.0\n"
        case "errors":
            return "\n".join([*error_codes.listing(), ""])
        case "config":
            return documents.sample()
        case "main-config":
            return documents.sample(documents.MAIN_SECTIONS)
        case "markdown":
            return documents.markdown()
        case "advanced-config":
            return documents.sample(documents.ADVANCED_SECTIONS)
        case "openapi" | "cheatsheet":
            return _describe_routes(what)
    raise Unsupported(f"--{what} cannot be written yet")


def _describe_routes(what: str) -> str:
    """All routes of a server with its defaults: a description for programs, or a table."""
    from hounsfield.rest import openapi
    from hounsfield.server import serve

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hounsfield.json"
        path.write_text('{"HttpServerEnabled": false, "DicomServerEnabled": false}')
        with serve(load(Origin((path,), {}, Path(folder)))) as running:
            routes = running.host.routes
    if what == "cheatsheet":
        return openapi.cheat_sheet(routes)
    return json.dumps(openapi.document(routes), indent=2) + "\n"


def _start(command: Start) -> int:
    """Start the server: open the logs, read the configuration, and hand both over."""
    writer = logs.start(command.flags.logs)
    try:
        for argument in command.flags.unsupported:
            _log.warning("Option unsupported by the core of Hounsfield: %s", argument)
        configuration = load(Origin(command.paths, dict(os.environ), Path.cwd()))
        for warning in configuration.warnings:
            _log.warning("%s", warning)
        return _serve(configuration, command.flags)
    except ConfigurationRefused as refused:
        for refusal in refused.refusals[1:]:
            _log.error("%s", refusal)
        _log.error(_STOPPING, refused.refusals[0])
    except ArchiveError as error:
        _log.error(_STOPPING, Refusal(_code(error), str(error)))
    except OSError as error:  # A folder that cannot be made or written, mostly.
        _log.error(_STOPPING, Refusal(14, f"{error.strerror}: {error.filename}"))
    finally:
        logs.stop(writer)
    return EXIT_FAILURE


def _keep(command: Upkeep) -> int:
    """Look after the archive of a configuration."""
    from hounsfield.keeping import run_rebuild, run_verify

    configuration = load(Origin(command.paths, dict(os.environ), Path.cwd()))
    return (run_verify if command.what == "verify" else run_rebuild)(configuration, command)


def _serve(configuration: Configuration, flags: Flags) -> int:
    from hounsfield.server import run  # Everything else would be loaded to print a version.

    return run(configuration, flags)


def _code(error: ArchiveError) -> int:
    """Orthanc's number of what can go wrong at the start."""
    from hounsfield.automation.interpreter import ScriptFailed
    from hounsfield.automation.lua_scripts import MissingScript
    from hounsfield.http.server import BadTls, PortInUse
    from hounsfield.server import DicomPortInUse

    for kind, code in (
        (PortInUse, 2003),
        (DicomPortInUse, 2004),
        (DatabaseUnavailable, 36),
        (BadTls, 39),
        (MissingScript, 2006),
        (ScriptFailed, 2031),
    ):
        if isinstance(error, kind):
            return code
    return -1
