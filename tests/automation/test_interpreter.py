"""One interpreter, many threads."""

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from hounsfield.automation.interpreter import Interpreter, ScriptFailed
from hounsfield.automation.values import LuaValue
from hounsfield.errors import Refused, TimedOut


class Bench:
    """An interpreter whose scripts do, by `RestApiGet` lending it and by `HttpGet` not, what the test wants."""

    def __init__(self) -> None:
        self.work: Callable[[], LuaValue] = lambda: None
        self.interpreter = Interpreter({"rest": self._lend, "web": self._keep}, ("OnHeartBeat", "Filter"))

    def _lend(self, *_: LuaValue) -> LuaValue:
        try:
            return self.interpreter.outside(lambda: self.work())
        except Refused as error:
            return str(error).encode()

    def _keep(self, *_: LuaValue) -> LuaValue:
        return self.work()

    def call(self, name: str, *arguments: LuaValue) -> LuaValue:
        return self.interpreter.hold(lambda: self.interpreter.call(name, *arguments), 20)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_callbacks_are_known_once_they_are_defined(bench: Bench) -> None:
    assert bench.interpreter.defined == frozenset()
    bench.interpreter.execute(b"function OnHeartBeat() end Filter = 5")
    assert bench.interpreter.defined == {"OnHeartBeat"}
    bench.interpreter.execute(b"OnHeartBeat = nil")
    assert bench.interpreter.defined == frozenset()
    assert bench.call("OnHeartBeat") is None


def test_scripts_of_many_threads_run_one_at_a_time(bench: Bench) -> None:
    bench.interpreter.execute(
        b"count = 0 function Filter() local seen = count for i = 1, 2000 do end count = seen + 1 end"
    )
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(bench.call, "Filter") for _ in range(400)]:
            done.result()
    assert bench.interpreter.execute(b"print(count)") == b"400\n"


def test_another_thread_is_served_while_a_script_waits_for_it(bench: Bench) -> None:
    bench.interpreter.execute(b"function Filter(x) return x + 1 end")
    with ThreadPoolExecutor(1) as pool:
        bench.work = lambda: b"%d" % pool.submit(bench.call, "Filter", 41).result(20)
        assert bench.interpreter.execute(b"print(RestApiGet('/x'))") == b"42\n"


def test_scripts_may_wait_for_each_other_in_turn(bench: Bench) -> None:
    bench.interpreter.execute(
        b"function Filter(x) if x > 0 then return RestApiGet('/x') end return 'end' end"
    )
    left = [5]

    def work() -> LuaValue:
        left[0] -= 1
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(bench.call, "Filter", left[0]).result(20)

    bench.work = work
    assert bench.interpreter.execute(b"print(RestApiGet('/x'))") == b"end\n"


def test_a_script_from_outside_waits_for_one_that_waits_for_the_server(bench: Bench) -> None:
    bench.interpreter.execute(b"function Filter() RestApiGet('/x') done = 'first' end")
    with ThreadPoolExecutor(2) as pool:
        outside: list[Future[bytes]] = []

        def work() -> LuaValue:
            outside.append(pool.submit(bench.interpreter.execute, b"print(done)"))
            return bench.interpreter.execute(b"print(done)")  # Sent by the script itself.

        bench.work = work
        bench.call("Filter")
        assert outside[0].result(20) == b"first\n"


def test_endless_recursion_through_the_server_is_refused(bench: Bench) -> None:
    bench.interpreter.execute(b"function Filter() return RestApiGet('/x') end")
    bench.work = lambda: bench.call("Filter")
    printed = bench.interpreter.execute(b"print(RestApiGet('/x'))")
    assert printed == b"Lua scripts call each other too deeply\n"


def test_who_waits_too_long_for_a_script_is_told(bench: Bench) -> None:
    inside, enough = threading.Event(), threading.Event()

    def work() -> LuaValue:
        inside.set()
        enough.wait(20)
        return b""

    bench.work = work
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.interpreter.execute, b"HttpGet('http://x')")
        inside.wait(20)
        with pytest.raises(TimedOut):
            bench.interpreter.hold(lambda: None, 0.05)
        enough.set()
        running.result()
    assert bench.interpreter.execute(b"print(1)") == b"1\n"


def test_an_endless_script_ends_when_the_server_stops(bench: Bench) -> None:
    begun = threading.Event()
    bench.work = lambda: begun.set()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(bench.interpreter.execute, b"HttpGet('http://x') while true do end")
        begun.wait(20)
        with pytest.raises(TimedOut):
            bench.interpreter.hold(lambda: None, 0.05)
        bench.interpreter.stop()
        with pytest.raises(ScriptFailed):
            running.result(20)


def test_an_error_of_a_borrower_reaches_the_borrower_alone(bench: Bench) -> None:
    bench.interpreter.execute(b"function Filter() error('broken') end")
    with ThreadPoolExecutor(1) as pool:

        def work() -> LuaValue:
            with pytest.raises(ScriptFailed):
                pool.submit(bench.call, "Filter").result(20)
            return b"fine"

        bench.work = work
        assert bench.interpreter.execute(b"print(RestApiGet('/x'))") == b"fine\n"


def test_a_script_that_redefines_everything_breaks_only_itself(bench: Bench) -> None:
    bench.interpreter.execute(
        b"for name, value in pairs(_G) do if name ~= '_G' and name ~= 'print' then _G[name] = nil end end"
    )
    bench.interpreter.execute(b"function Filter(x) return x .. 'b' end")
    assert bench.interpreter.defined == {"Filter"}
    assert bench.call("Filter", b"a") == b"ab"
    assert bench.interpreter.execute(b"print('still', 'here')") == b"still, here\n"
