"""The functions of the server that Lua scripts may call. What fails is logged, and gives nil."""

import logging
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps

import orjson

from hounsfield.archive import Archive
from hounsfield.automation.interpreter import Interpreter
from hounsfield.automation.values import Json, LuaValue, NotJson, dump_json, parse_json, to_lua
from hounsfield.automation.web_client import WebOptions, ask
from hounsfield.dicom.levels import Level
from hounsfield.errors import ArchiveError, NotFound
from hounsfield.events import ResourceStable, ResourceUnstable
from hounsfield.http.local import LocalCalls, whole_body
from hounsfield.index.database import Transaction
from hounsfield.index.key_values import delete_value, get_value, store_value
from hounsfield.index.resources import find_level
from hounsfield.index.stability import set_stable
from hounsfield.ingest.instance import date_of
from hounsfield.ingest.intake import Intake

_log = logging.getLogger("hounsfield.lua")

Function = Callable[..., LuaValue]


class Functions:
    """What the toolbox stands on. Everything that may take time is done while the interpreter is lent to others."""

    def __init__(
        self,
        calls: LocalCalls,
        configuration: Mapping[str, Json],
        web: WebOptions,
        intake: Intake | None = None,
    ) -> None:
        self._calls, self._configuration, self._web = calls, configuration, web
        self._intake = intake
        self._interpreter: Interpreter | None = None
        self.is_asking = False
        """Whether a script is asking another server, which may be this one."""

    def by_name(self) -> dict[str, Function]:
        """The functions, by the names that the toolbox knows."""
        return {
            "complain": _complain,
            "rest": _logged(self._rest),
            "web": _logged(self._ask_others),
            "set_credentials": self._set_credentials,
            "set_timeout": self._set_timeout,
            "parse_json": lambda text: parse_json(text, self._lua.table),
            "dump_json": _dump,
            "configuration": self._get_configuration,
            "set_stable": _logged(self._set_stable),
            "store_key_value": _logged(self._store_key_value),
            "get_key_value": _logged(self._get_key_value),
            "delete_key_value": _logged(self._delete_key_value),
            "execute": _logged(self._execute),
            "run": _logged(self._run),
        }

    def attach(self, interpreter: Interpreter) -> None:
        """Say which interpreter calls."""
        self._interpreter = interpreter

    @property
    def _lua(self) -> Interpreter:
        assert self._interpreter is not None
        return self._interpreter

    def _rest(
        self, method: bytes, uri: bytes, body: bytes, is_builtin: bool, headers: LuaValue
    ) -> bytes | bool | None:
        target = _text(uri)
        if not target.startswith("/"):
            _complain(b"The address of a request must begin with a slash")
            return None
        named = _texts(headers)

        def work() -> tuple[int, bytes]:
            answer = self._calls.call(
                method.decode(), target, body, named, is_builtin=is_builtin, origin="lua"
            )
            return answer.status, whole_body(answer)

        status, answered = self._lua.outside(work)
        if not 200 <= status < 300:
            _complain(b"A request of a script failed with HTTP status %d" % status)
            return None
        return True if method == b"DELETE" else answered

    def _ask_others(self, method: bytes, url: bytes, body: bytes, headers: LuaValue) -> bytes | bool:
        options, named = self._web, _texts(headers)
        before, self.is_asking = self.is_asking, True
        try:
            answered = self._lua.outside(lambda: ask(options, method.decode(), _text(url), body, named))
        finally:
            self.is_asking = before
        return True if method == b"DELETE" else answered

    def _set_credentials(self, user: bytes, password: bytes) -> None:
        self._web = replace(self._web, credentials=(_text(user), _text(password)))

    def _set_timeout(self, seconds: int) -> None:
        self._web = replace(self._web, timeout_seconds=max(0, seconds))

    def _get_configuration(self) -> LuaValue:
        return to_lua(orjson.loads(orjson.dumps(dict(self._configuration))), self._lua.table)

    def _archive(self) -> Archive:
        if self._intake is None:
            raise NotFound("There is no archive")
        return self._intake.archive

    def _store_key_value(self, store: bytes, key: bytes, value: bytes) -> bool:
        self._archive().database.write(lambda tx: store_value(tx, _text(store), _text(key), value))
        return True

    def _get_key_value(self, store: bytes, key: bytes) -> bytes | None:
        with self._archive().database.read() as tx:
            return get_value(tx, _text(store), _text(key))

    def _delete_key_value(self, store: bytes, key: bytes) -> bool:
        self._archive().database.write(lambda tx: delete_value(tx, _text(store), _text(key)))
        return True

    def _set_stable(self, public_id: bytes, is_stable: bool) -> bool:
        """Say of a patient, a study or a series that it is stable, or not yet; whether that is news."""
        archive, name = self._archive(), _text(public_id)
        assert self._intake is not None
        now_ns = self._intake.clock_ns()
        with archive.database.read() as tx:
            level = find_level(tx, name)
        if level is None or level is Level.INSTANCE:
            raise NotFound("There is no patient, study or series of this id")

        def work(tx: Transaction) -> bool:
            return set_stable(tx, level, name, date_of(now_ns), now_ns, is_stable=is_stable)

        is_news = archive.database.write(work)
        if is_news:
            archive.events.publish((ResourceStable if is_stable else ResourceUnstable)(level, name))
        return is_news

    def _execute(self, command: bytes) -> tuple[bool | None, bytes, int]:
        """Run a command as `os.execute` does: whether it succeeded, how it ended, and its status."""
        done = self._lua.outside(lambda: subprocess.run(_text(command), shell=True, check=False))
        status = done.returncode
        return (True if status == 0 else None), (b"signal" if status < 0 else b"exit"), abs(status)

    def _run(self, command: bytes, given: bytes) -> tuple[bytes, bytes, int]:
        """Run a command with an input: its output, how it ended, and its status."""
        done = self._lua.outside(
            lambda: subprocess.run(
                _text(command), shell=True, check=False, input=given, stdout=subprocess.PIPE
            )
        )
        return done.stdout, b"signal" if done.returncode < 0 else b"exit", abs(done.returncode)


def _logged(function: Function) -> Function:
    @wraps(function)
    def call(*arguments: LuaValue) -> LuaValue:
        try:
            return function(*arguments)
        except (ArchiveError, OSError) as error:
            _log.error("Lua: %s", error)
            return None

    return call


def _complain(message: bytes) -> None:
    _log.error("Lua: %s", _text(message))


def _dump(value: LuaValue, keeps_texts: bool) -> tuple[bytes | None, bytes | None]:
    try:
        return dump_json(value, keeps_texts=keeps_texts), None
    except NotJson as error:
        return None, str(error).encode()


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")


def _texts(table: LuaValue) -> dict[str, str]:
    return {_text(name): _text(value) for name, value in table.items()}
