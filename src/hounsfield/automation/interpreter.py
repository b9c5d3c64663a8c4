"""One Lua interpreter, which any thread may ask, one at a time.

While Lua waits for something of the server (a request of its own, a program), that something may need Lua too, on
another thread: a filter, mostly. So the thread that holds the interpreter does not simply wait: it has the work done
by a helper, and meanwhile runs what others ask of Lua. Calls are thereby nested, as the interpreter wants them, and
nobody waits for somebody who waits for him. Scripts that clients send wait for a while until the one that runs has
ended, unless it sent them itself: they may replace what it is made of.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from lupa.lua53 import LuaRuntime

from hounsfield.automation.toolbox import SOURCE
from hounsfield.automation.values import LuaValue
from hounsfield.errors import BadRequest, Cancelled, Refused, TimedOut

_log = logging.getLogger("hounsfield.lua")

PATIENCE_SECONDS = 60.0
"""How long a filter waits for a script that occupies the interpreter."""
SCRIPT_WAIT_SECONDS = 10.0
"""How long a script that a client sends waits for one that is waiting for the server."""
MAXIMUM_NESTING = 16
_SHORT_WAIT_SECONDS = 1.0

T = TypeVar("T")


class ScriptFailed(BadRequest):
    """A script cannot be run, or stopped with an error; the message is Lua's."""


class _Request(Generic[T]):
    """What a thread asks of the interpreter while another holds it."""

    def __init__(self, work: Callable[[], T], nested_after_seconds: float) -> None:
        self.work = work
        self.context = copy_context()
        self.nested_from = time.monotonic() + nested_after_seconds
        """When it may be run inside of what is running."""
        self.answer: Future[T] = Future()

    def run(self) -> None:
        """Do it, on the thread that holds the interpreter."""
        try:
            self.answer.set_result(self.context.run(self.work))
        except BaseException as error:  # noqa: BLE001 - handed on to the thread that asked.
            self.answer.set_exception(error)


class Interpreter:
    """Lua 5.3 with the toolbox. `functions` are those of the server that the toolbox stands on, by name."""

    def __init__(self, functions: Mapping[str, Callable[..., LuaValue]], callbacks: Iterable[str]) -> None:
        self._changed = threading.Condition()
        self._owner: int | None = None
        self._requests: deque[_Request[Any]] = deque()
        self._nesting = 0
        self._is_stopping = False
        self._latest = float("inf")
        self._helpers = ThreadPoolExecutor(MAXIMUM_NESTING, thread_name_prefix="LUA-CALL")
        self._outputs: list[list[bytes]] = []
        self._here = threading.local()
        self._callbacks = tuple(callbacks)
        self.defined: frozenset[str] = frozenset()
        """The callbacks that scripts define, as of the last script that was run."""
        self._lua = LuaRuntime(
            encoding=None, unpack_returned_tuples=True, register_eval=False, register_builtins=False
        )
        given = {**functions, "print": self._print, "is_stopping": self._is_late}
        host = self.table()
        for name, function in given.items():
            host[name.encode()] = function
        entrances = self._lua.execute(SOURCE)(host)
        self._run, self._call = entrances[b"run"], entrances[b"call"]
        self._is_function = entrances[b"is_function"]

    def table(self) -> LuaValue:
        """A new, empty table."""
        return self._lua.table()

    def execute(self, source: bytes, name: str = "line") -> bytes:
        """Run a script, and give what it printed.

        Raises
        ------
        ScriptFailed
            With Lua's message.
        TimedOut
            If another script occupies the interpreter.
        """

        def work() -> bytes:
            self._outputs.append([])
            try:
                _checked(self._run(source, name.encode()))
            finally:
                printed = b"".join(self._outputs.pop())
                self.defined = frozenset(each for each in self._callbacks if self._is_function(each.encode()))
            return printed

        is_sent_by_script = getattr(self._here, "is_for_script", False)
        return self.hold(work, nested_after_seconds=0.0 if is_sent_by_script else SCRIPT_WAIT_SECONDS)

    def call(self, name: str, *arguments: LuaValue) -> LuaValue:
        """Call a global function: its first result, or None if there is no such function.

        Only inside of `hold`, where the arguments are made too.
        """
        self._outputs.append([])
        try:
            return _checked(self._call(name.encode(), *arguments))
        finally:
            self._outputs.pop()

    def hold(
        self,
        work: Callable[[], T],
        patience_seconds: float = PATIENCE_SECONDS,
        *,
        nested_after_seconds: float = 0.0,
    ) -> T:
        """Do something with the interpreter, alone, or inside of a script that has waited for so long for the server.

        Raises
        ------
        TimedOut
            If another script occupies the interpreter for too long.
        """
        me = threading.get_ident()
        if self._owner == me:
            return work()
        request = _Request(work, nested_after_seconds)
        if not self._take(request, me, patience_seconds):
            return request.answer.result()  # Run by the thread that holds the interpreter.
        try:
            return work()
        finally:
            with self._changed:
                self._owner = None
                self._changed.notify_all()

    def outside(self, work: Callable[[], T]) -> T:
        """Do something of the server for a script: the thread that holds the interpreter lends it meanwhile.

        Raises
        ------
        Refused
            If scripts call themselves too deeply in this way.
        """
        if self._owner != threading.get_ident():
            return work()
        if self._nesting == MAXIMUM_NESTING:
            raise Refused("Lua scripts call each other too deeply")
        if self._is_stopping:
            raise Cancelled("The server stops")
        self._nesting += 1
        try:
            answer = self._helpers.submit(copy_context().run, self._for_script, work)
            answer.add_done_callback(self._notify)
            self._serve_until(answer)
            return answer.result()
        finally:
            self._nesting -= 1

    def _for_script(self, work: Callable[[], T]) -> T:
        self._here.is_for_script = True
        return work()

    def hurry(self, seconds: float) -> None:
        """Give scripts so long from now on: what still runs then fails."""
        self._latest = time.monotonic() + seconds

    def _is_late(self) -> bool:
        return time.monotonic() > self._latest

    def stop(self) -> None:
        """Let running scripts fail; no more are run."""
        self._is_stopping, self._latest = True, 0.0
        self._helpers.shutdown(wait=False, cancel_futures=True)

    def _take(self, request: _Request[T], me: int, patience_seconds: float) -> bool:
        """Get hold of the interpreter; false if who holds it took over the request."""
        deadline = time.monotonic() + patience_seconds
        with self._changed:
            self._requests.append(request)
            self._changed.notify_all()
            while request in self._requests:
                left = deadline - time.monotonic()
                if self._is_free():
                    self._requests.remove(request)
                    self._owner = me
                    return True
                if left <= 0:
                    self._requests.remove(request)
                    raise TimedOut("A Lua script occupies the interpreter for too long")
                self._changed.wait(min(left, _SHORT_WAIT_SECONDS))
            return False

    def _is_free(self) -> bool:
        return self._owner is None

    def _serve_until(self, answer: Future[T]) -> None:
        while True:
            with self._changed:
                request = self._next_nested()
                while not answer.done() and request is None:
                    self._changed.wait(_SHORT_WAIT_SECONDS)
                    request = self._next_nested()
                if request is None or answer.done():
                    return
                self._requests.remove(request)
                self._changed.notify_all()
            request.run()

    def _next_nested(self) -> _Request[Any] | None:
        now = time.monotonic()
        return next((request for request in self._requests if request.nested_from <= now), None)

    def _notify(self, _answer: Future[Any]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _print(self, line: bytes) -> None:
        if self._outputs:
            self._outputs[-1].append(line + b"\n")
        _log.warning("Lua says: %s", line.decode("utf-8", "replace"))


def _checked(result: LuaValue) -> LuaValue:
    """The result of an entrance of the toolbox."""
    is_fine, value = result if isinstance(result, tuple) else (result, None)
    if not is_fine:
        raise ScriptFailed(value.decode("utf-8", "replace"))
    return value
