"""Lua scripts as an extension: loaded at the start, and sent by clients to `/tools/execute-script`."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hounsfield.automation import lua_events, lua_filters
from hounsfield.automation.functions import Functions
from hounsfield.automation.interpreter import Interpreter, ScriptFailed
from hounsfield.automation.lua_events import LuaEvents
from hounsfield.automation.lua_filters import LuaFilters, NotPredicate
from hounsfield.automation.operations import KIND, Tools, job_kind
from hounsfield.automation.values import Json
from hounsfield.automation.web_client import WebOptions
from hounsfield.errors import NotFound
from hounsfield.host import Host
from hounsfield.http.asgi import RequestFilter
from hounsfield.http.errors import Forbidden
from hounsfield.http.messages import TEXT_TYPE, Request, Response, body_bytes
from hounsfield.http.routing import Route
from hounsfield.http.status import Retold

_log = logging.getLogger("hounsfield.lua")

_PATIENCE_SECONDS = 1.0
_LAST_SECONDS = 5.0
"""How long scripts may go on when the server stops: those of clients, then those of events, then `Finalize`."""
_CANNOT_EXECUTE = (2031, "Cannot execute a Lua command")
_NOT_PREDICATE = (2034, "The Lua function is not a predicate (only true/false outputs allowed)")


class MissingScript(NotFound):
    """A script that the configuration names is not there."""


@dataclass(frozen=True, slots=True)
class LuaOptions:
    """What the configuration says about scripts; it is itself what scripts read as `configuration`.

    `manufacturer_of` gives the manufacturer of the modality with an AE title, `heart_beat_seconds` is 0 for none.
    """

    scripts: tuple[Path, ...] = ()
    heart_beat_seconds: int = 0
    is_execution_allowed: bool = False
    configuration: Mapping[str, Json] = field(default_factory=dict, repr=False)
    web: WebOptions = field(default_factory=WebOptions)
    manufacturer_of: Callable[[str], str] = str


def extend(host: Host, options: LuaOptions) -> None:
    """Add scripts to a host."""
    functions = Functions(host.calls, options.configuration, options.web, host.intake)
    callbacks = ("Initialize", "Finalize", *lua_events.CALLBACKS, *lua_filters.CALLBACKS)
    interpreter = Interpreter(functions.by_name(), callbacks)
    functions.attach(interpreter)
    filters = LuaFilters(interpreter, options.manufacturer_of)
    filters.extend(host)
    host.request_filters.append(
        RequestFilter(
            partial(_admits_request, filters), lambda: lua_filters.HTTP_FILTER in interpreter.defined
        )
    )
    host.job_kinds[KIND] = job_kind(Tools(host.calls, host.intake))
    events = LuaEvents(interpreter, host.calls, host.engine, options.heart_beat_seconds)
    host.subscribers.append(events.on_event)
    host.request_filters.append(
        RequestFilter(
            partial(_catch_up, events),
            lambda: not functions.is_asking and events.is_behind(host.archive.database.finish),
        )
    )
    host.routes.append(Route("POST", "/tools/execute-script", partial(execute_script, interpreter, options)))
    host.interrupts.append(partial(interpreter.hurry, _LAST_SECONDS))
    host.runs.append(partial(_running, interpreter, events, options.scripts))


@contextmanager
def _running(interpreter: Interpreter, events: LuaEvents, scripts: Sequence[Path]) -> Iterator[None]:
    """Load the scripts, begin, and at the end tell what is left to be told.

    Raises
    ------
    MissingScript, ScriptFailed
        If a script is missing, or cannot be run.
    """
    for path in scripts:
        try:
            source = path.read_bytes()
        except OSError as error:
            raise MissingScript(f"The Lua script {path} cannot be read") from error
        interpreter.execute(source, f"@{path}")
    _call(interpreter, events, "Initialize")
    events.start()
    try:
        yield
    finally:
        interpreter.hurry(_LAST_SECONDS)
        events.stop()
        interpreter.hurry(_LAST_SECONDS)
        _call(interpreter, events, "Finalize")
        interpreter.stop()


def _call(interpreter: Interpreter, events: LuaEvents, name: str) -> None:
    if name in interpreter.defined:
        events.guard(name, lambda: events.call(name, dict))


def _catch_up(events: LuaEvents, _request: Request) -> bool:
    """Let scripts go first: who asks right after storing something sees what they made of it, as in Orthanc."""
    events.catch_up(_PATIENCE_SECONDS)
    return True


def _admits_request(filters: LuaFilters, request: Request) -> bool:
    try:
        return filters.admits_request(request)
    except NotPredicate as error:
        raise Retold("", *_NOT_PREDICATE) from error
    except ScriptFailed as error:
        raise Retold(str(error), *_CANNOT_EXECUTE) from error


def execute_script(interpreter: Interpreter, options: LuaOptions, request: Request) -> Response:
    """Run a Lua script; what it prints is the answer."""
    if not options.is_execution_allowed:
        _log.error("A client sent a Lua script, which ExecuteLuaEnabled forbids")
        raise Forbidden
    try:
        return Response(200, (TEXT_TYPE,), interpreter.execute(body_bytes(request.body)))
    except ScriptFailed as error:
        raise Retold(str(error), *_CANNOT_EXECUTE) from error
